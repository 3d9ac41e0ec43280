import { expect } from 'chai';
import { explainFailure } from '../../src/adapters/postgres/failures';
import { OperatingError } from '../../src/core/errors';
import { type LogEntry } from '../../src/adapters/postgres/log-line';
import { RepeatedMessages } from '../../src/instance/repeated-messages';
import { ServerMessages } from '../../src/instance/server-messages';
import { StreamFailures } from '../../src/instance/stream-failures';

const entry = (level: string, backend: string, message: string): LogEntry => ({
  severity: 'info',
  level,
  message,
  fields: { backend },
});

describe('what explains a failed start', () => {
  it('is what the server itself said last', () => {
    const messages = new ServerMessages();
    messages.add(entry('LOG', 'postmaster', 'starting PostgreSQL'));
    messages.add(entry('FATAL', 'client backend', 'password authentication failed'));
    messages.add(entry('LOG', 'postmaster', 'could not bind IPv4 address: Address already in use'));
    messages.add(entry('FATAL', 'postmaster', 'could not create any TCP/IP sockets'));
    expect(messages.ofStart).to.equal(
      'could not bind IPv4 address: Address already in use; could not create any TCP/IP sockets',
    );
    messages.clear();
    expect(messages.ofStart).to.equal('PostgreSQL has ended without saying why');
  });
});

describe('a failure of PostgreSQL', () => {
  const rows = [
    { words: 'could not extend file "x": No space left on device', reason: 'DataVolumeFull' },
    {
      words: 'could not resize shared memory segment "/x": No space left on device',
      reason: 'SharedMemoryRefused',
    },
    { words: 'could not bind IPv4 address: Address already in use', reason: 'PortInUse' },
    { words: 'FATAL:  password authentication failed for user "x"', reason: 'PasswordRefused' },
    { words: 'could not translate host name "pg9" to address', reason: 'UpstreamUnknown' },
    { words: 'connection to server failed: Connection refused', reason: 'UpstreamUnreachable' },
    { words: 'requested WAL segment 000 has already been removed', reason: 'WalRemoved' },
    {
      words: "requested starting point 0/5 on timeline 1 is not in this server's history",
      reason: 'TimelineDiverged',
    },
    {
      words: 'requested timeline 4 does not contain minimum recovery point 0/5000000 on timeline 3',
      reason: 'TimelineDiverged',
    },
    {
      words: 'unexpected timeline ID 4 (should be 3) in end-of-recovery record',
      reason: 'TimelineDiverged',
    },
    { words: 'something new', reason: 'StartFailed' },
  ];
  for (const { words, reason } of rows) {
    it(`is ${reason}: ${words}`, () => {
      const error = new OperatingError('transient', 'ProgramFailed', words);
      const explained = explainFailure(error, { attempted: 'x', otherwise: 'StartFailed' });
      expect(explained).to.have.property('code', reason);
    });
  }

  it('that was broken off is not explained', () => {
    const error = new DOMException('aborted', 'AbortError');
    expect(explainFailure(error, { attempted: 'x', otherwise: 'y' })).to.equal(error);
  });
});

describe('why a standby does not stream', () => {
  it('is said when it lasts, and no more when it streams', () => {
    const failures = new StreamFailures();
    for (let atMs = 0; atMs <= 2900; atMs += 100) failures.add('refused', atMs);
    expect(failures.lasting(2950, false)).to.equal(null);
    failures.add('refused', 3000);
    // What it shows for a moment between two refusals is no stream.
    expect(failures.lasting(3050, true)).to.equal('refused');
    expect(failures.lasting(4600, true)).to.equal(null);
  });

  it('goes on as long as attempts fail, however rarely', () => {
    const failures = new StreamFailures();
    for (const atMs of [0, 5000, 10_000]) failures.add('timeout', atMs);
    expect(failures.lasting(14_000, false)).to.equal('timeout');
    expect(failures.lasting(17_000, false)).to.equal(null);
  });

  it('does not add up over separate interruptions', () => {
    const failures = new StreamFailures();
    for (const atMs of [0, 10_000, 20_000]) failures.add('gone', atMs);
    expect(failures.lasting(20_500, false)).to.equal(null);
  });
});

describe('a message that PostgreSQL repeats', () => {
  it('is logged once in a while', () => {
    const repeated = new RepeatedMessages();
    const failure = entry('FATAL', 'walreceiver', 'could not connect');
    expect(repeated.has(failure, 0)).to.equal(false);
    expect(repeated.has(failure, 9000)).to.equal(true);
    expect(repeated.has(failure, 10_001)).to.equal(false);
    expect(repeated.has(entry('FATAL', 'walreceiver', 'another'), 10_002)).to.equal(false);
  });

  it('is logged each time when it is no failure of a standby', () => {
    const repeated = new RepeatedMessages();
    for (const each of [
      entry('ERROR', 'client backend', 'division by zero'),
      entry('LOG', 'walreceiver', 'started streaming WAL'),
    ]) {
      expect(repeated.has(each, 0)).to.equal(false);
      expect(repeated.has(each, 1)).to.equal(false);
    }
  });
});
