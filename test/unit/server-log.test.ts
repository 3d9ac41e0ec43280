import { expect } from 'chai';
import { type LogEntry } from '../../src/adapters/postgres/log-line';
import { LogReader } from '../../src/adapters/postgres/log-reader';

function read(...lines: readonly string[]): readonly LogEntry[] {
  const entries: LogEntry[] = [];
  const reader = new LogReader((entry) => entries.push(entry));
  for (const line of lines) reader.read(line);
  reader.flush();
  return entries;
}

describe("PostgreSQL's log", () => {
  it('becomes a message with fields', () => {
    expect(
      read('[1795260000.123|42|00000|checkpointer] LOG:  checkpoint starting: time'),
    ).to.deep.equal([
      {
        severity: 'info',
        level: 'LOG',
        message: 'checkpoint starting: time',
        fields: { pid: '42', backend: 'checkpointer' },
      },
    ]);
  });

  it('joins what belongs to one message', () => {
    expect(
      read(
        '[1795260000.123|42|23505|client backend] <app@orders> ERROR:  duplicate key value',
        '[1795260000.123|42|23505|client backend] <app@orders> DETAIL:  Key (n)=(1) already exists.',
        '[1795260000.123|42|23505|client backend] <app@orders> STATEMENT:  insert into numbers',
        '\tvalues (1)',
        '[1795260000.200|43|00000|walwriter] LOG:  next',
      ),
    ).to.deep.equal([
      {
        severity: 'warn',
        level: 'ERROR',
        message: 'duplicate key value',
        fields: {
          pid: '42',
          sqlstate: '23505',
          backend: 'client backend',
          session: 'app@orders',
          detail: 'Key (n)=(1) already exists.',
          statement: 'insert into numbers\nvalues (1)',
        },
      },
      {
        severity: 'info',
        level: 'LOG',
        message: 'next',
        fields: { pid: '43', backend: 'walwriter' },
      },
    ]);
  });

  it('goes on over several lines of a message', () => {
    const [entry] = read('[1.2|7|08006|walreceiver] FATAL:  could not connect', '\tIs it running?');
    expect(entry?.message).to.equal('could not connect\nIs it running?');
  });

  it('knows a session without a database', () => {
    const [entry] = read('[1.2|7|00000|walsender] <pgswarm_replication@[unknown]> LOG:  ended');
    expect(entry?.message).to.equal('ended');
    expect(entry?.fields['session']).to.equal('pgswarm_replication@[unknown]');
  });

  it('does not give the detail of one process to the message of another', () => {
    const entries = read(
      '[1.2|7|00000|startup] LOG:  first',
      '[1.2|8|00000|startup] DETAIL:  of something else',
    );
    expect(entries.map(({ message }) => message)).to.deep.equal(['first', 'of something else']);
  });

  const early: readonly {
    readonly name: string;
    readonly line: string;
    readonly message: string;
  }[] = [
    {
      name: 'before the configuration is read',
      line: '2026-11-21 11:11:11.111 UTC [17] FATAL:  could not open file',
      message: 'could not open file',
    },
    {
      name: 'before there is a log',
      line: 'postgres: could not access directory "/x": No such file or directory',
      message: 'could not access directory "/x": No such file or directory',
    },
    { name: 'of an extension that prints', line: 'hello', message: 'hello' },
  ];
  for (const { name, line, message } of early) {
    it(`is read ${name}`, () => {
      expect(read(line)[0]?.message).to.equal(message);
    });
  }
});
