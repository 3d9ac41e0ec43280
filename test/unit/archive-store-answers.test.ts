/** What PostgreSQL's commands are answered: by the archiver, by the restorer, over the socket. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import { expect } from 'chai';
import { createSandbox } from 'sinon';
import { parseWalFile, renderWalFile, type WalFile } from '../../src/core/archive/wal-files';
import { OperatingError } from '../../src/core/errors';
import { ARCHIVE_PAUSE_MAX_MS } from '../../src/core/archive/pause';
import { Archiver } from '../../src/instance/archive/archiver';
import { Restorer, type PeerAnswer } from '../../src/instance/archive/restorer';
import {
  DONE,
  later,
  LEAVE,
  openWalSocket,
  type AnswerWal,
  type WalAnswer,
  type WalQuestion,
} from '../../src/instance/archive/wal-socket';
import { GrowthRate } from '../../src/instance/growth-rate';

const MEMORY = existsSync('/dev/shm') ? '/dev/shm' : tmpdir();
const SEGMENT_BYTES = 16 * 1024 * 1024;
const file = (name: string): WalFile => parseWalFile(name)!;
const segmentName = (number: number): string => `00000001000000000000000${number}`;
const HISTORY = '00000002.history';

/** A result that the test gives when it wants to. */
class Later<T> {
  readonly promise: Promise<T>;
  give!: (value: T) => void;
  fail!: (error: unknown) => void;
  constructor() {
    this.promise = new Promise((give, fail) => Object.assign(this, { give, fail }));
  }
}

async function until(isSo: () => boolean): Promise<void> {
  for (let turns = 0; !isSo(); turns += 1) {
    if (turns > 20_000) throw new Error(`did not happen: ${String(isSo)}`);
    await turn();
  }
}

describe('the answers to archive_command and restore_command', function () {
  this.timeout(20_000);
  let place: string;
  const sandbox = createSandbox();
  beforeEach(async () => (place = await mkdtemp(join(MEMORY, 'pgswarm-answers-'))));
  afterEach(async () => {
    sandbox.restore();
    await rm(place, { recursive: true });
  });

  describe('the archiver', () => {
    /** Puts that have begun, and not ended. */
    let puts: Map<string, Later<'stored'>>;
    let begun: string[];
    let lines: string[];
    let archiver: Archiver;

    beforeEach(async () => {
      await mkdir(join(place, 'archive_status'));
      puts = new Map();
      begun = [];
      lines = [];
      const say = (line: string): void => void lines.push(line);
      archiver = new Archiver({
        store: {
          put: async (wanted) => {
            const put = new Later<'stored'>();
            puts.set(renderWalFile(wanted), put);
            begun.push(renderWalFile(wanted));
            return await put.promise;
          },
        },
        walDirectory: place,
        segmentBytes: SEGMENT_BYTES,
        log: { info: say, warn: say, error: say } as never,
        onChange: () => undefined,
      });
    });

    const status = (name: string, ending: string): string =>
      join(place, 'archive_status', `${name}.${ending}`);
    const makeReady = async (...names: string[]): Promise<unknown> =>
      await Promise.all(names.map(async (name) => await writeFile(status(name, 'ready'), '')));
    const markDone = async (name: string): Promise<void> =>
      await rename(status(name, 'ready'), status(name, 'done'));
    const ask = async (name: string): Promise<WalAnswer> =>
      await archiver.archive(file(name), join(place, name));

    it('stores the next ones while one is stored: two at once, in order, histories first', async () => {
      await makeReady(segmentName(3), segmentName(1), segmentName(2), segmentName(4), HISTORY);
      await makeReady('not-a-file');
      const asked = ask(segmentName(1));
      await until(() => begun.length === 2);
      expect(begun).to.deep.equal([segmentName(1), HISTORY]);
      expect(archiver.state.waiting).to.equal(5);
      puts.get(HISTORY)!.give('stored');
      await until(() => begun.length === 3);
      puts.get(segmentName(2))!.give('stored');
      await until(() => begun.length === 4);
      expect(begun.slice(2)).to.deep.equal([segmentName(2), segmentName(3)]);
      puts.get(segmentName(1))!.give('stored');
      expect(await asked).to.deep.equal(DONE);
      await markDone(segmentName(1));
      // It is there: nothing is begun for it.
      expect(await ask(segmentName(2))).to.deep.equal(DONE);
      expect(begun.filter((name) => name === segmentName(2))).to.have.length(1);
      expect(archiver.state).to.deep.include({ waiting: 3, failure: null });
      expect(archiver.state.lastArchived!.file).to.equal(segmentName(2));
    });

    it('does not go on and on: what is stored ahead has a bound', async () => {
      const names = Array.from(
        { length: 40 },
        (_, n) => `0000000100000000000000${n.toString(16).toUpperCase().padStart(2, '0')}`,
      );
      await makeReady(...names);
      void ask(names[0]!);
      let given = 1;
      await until(() => {
        for (const put of [...puts.values()].slice(given)) put.give('stored');
        given = puts.size;
        return begun.length === 16;
      });
      for (let turns = 0; turns < 200; turns += 1) await turn();
      expect(begun).to.have.length(16);
    });

    it('does not store again what is answered and not marked yet', async () => {
      await makeReady(segmentName(1));
      const asked = ask(segmentName(1));
      await until(() => begun.length === 1);
      puts.get(segmentName(1))!.give('stored');
      await asked;
      await makeReady(segmentName(2), segmentName(3));
      void ask(segmentName(2));
      await until(() => begun.length === 3);
      expect(begun).to.deep.equal([segmentName(1), segmentName(2), segmentName(3)]);
      // Asked for once more, because PostgreSQL was killed before it had marked it: compared again.
      void ask(segmentName(1));
      await until(() => begun.length === 4);
    });

    it('tells PostgreSQL to leave at once, whatever is under way', async () => {
      await makeReady(segmentName(1), segmentName(2));
      const asked = ask(segmentName(1));
      await until(() => begun.length === 2);
      archiver.stopping(true);
      expect(await asked).to.deep.equal(LEAVE);
      expect(await ask(segmentName(2))).to.deep.equal(LEAVE);
      puts.get(segmentName(1))!.give('stored');
      puts.get(segmentName(2))!.give('stored');
      await turn();
      expect(archiver.state.lastArchived).to.equal(null);
      archiver.stopping(false);
      // `pg_wal` may be another one: what was stored before is compared.
      const again = ask(segmentName(1));
      expect(begun.filter((name) => name === segmentName(1))).to.have.length(2);
      puts.get(segmentName(1))!.give('stored');
      expect(await again).to.deep.equal(DONE);
    });

    it('says once why it fails, for as long as it is the same, and that it works again', async () => {
      const fail = async (code: string): Promise<WalAnswer> => {
        const asked = ask(segmentName(1));
        puts.get(segmentName(1))!.fail(new OperatingError('transient', code, `${code}!`));
        return await asked;
      };
      expect(await fail('ArchiveVolumeFull')).to.deep.equal(later('ArchiveVolumeFull!'));
      const { sinceMs } = archiver.state.failure!;
      await fail('ArchiveVolumeFull');
      await fail('ArchiveVolumeReadOnly');
      expect(archiver.state.failure).to.deep.equal({
        ...{ file: segmentName(1), reason: 'ArchiveVolumeReadOnly', sinceMs },
        message: 'ArchiveVolumeReadOnly!',
      });
      const asked = ask(segmentName(1));
      puts.get(segmentName(1))!.give('stored');
      expect(await asked).to.deep.equal(DONE);
      expect(archiver.state.failure).to.equal(null);
      expect(lines).to.deep.equal(['Archiving fails', 'Archiving fails', 'Archiving works again']);
    });

    it('tries again when it is asked what has failed ahead of time', async () => {
      await makeReady(segmentName(1), segmentName(2));
      void ask(segmentName(1));
      await until(() => begun.length === 2);
      puts.get(segmentName(2))!.fail(new Error('once'));
      await turn();
      expect(archiver.state.failure).to.equal(null);
      const asked = ask(segmentName(2));
      puts.get(segmentName(2))!.give('stored');
      expect(await asked).to.deep.equal(DONE);
    });

    it('pauses for a bounded time', async () => {
      const clock = sandbox.useFakeTimers({ toFake: ['performance', 'Date'] });
      expect(archiver.pause(10 * ARCHIVE_PAUSE_MAX_MS)).to.equal(ARCHIVE_PAUSE_MAX_MS);
      archiver.pause(90_000);
      clock.tick(30_500);
      expect(archiver.state.pausedForMs).to.equal(59_500);
      expect(await ask(segmentName(1))).to.deep.equal(
        later('archiving is paused for another 60 s'),
      );
      clock.tick(59_500);
      expect(archiver.state.pausedForMs).to.equal(null);
      void ask(segmentName(1));
      expect(begun).to.deep.equal([segmentName(1)]);
      archiver.pause(1000);
      archiver.resume();
      expect(archiver.state.pausedForMs).to.equal(null);
    });

    it('counts what waits, and from that how much is written, even if nothing is archived', async () => {
      const clock = sandbox.useFakeTimers({ toFake: ['performance', 'Date'] });
      await makeReady(segmentName(1));
      expect(await archiver.countWaiting()).to.equal(1);
      expect(archiver.state.bytesPerSecond).to.equal(null);
      await makeReady(segmentName(2), segmentName(3));
      clock.tick(16_000);
      await archiver.countWaiting();
      expect(archiver.state.bytesPerSecond).to.equal((2 * SEGMENT_BYTES) / 16);
      const asked = ask(segmentName(1));
      puts.get(segmentName(1))!.give('stored');
      await asked;
      expect(archiver.state).to.include({ waiting: 2, bytesPerSecond: (2 * SEGMENT_BYTES) / 16 });
    });
  });

  it('the rate of WAL is that of the last minutes', () => {
    const rate = new GrowthRate();
    for (let second = 0; second <= 1200; second += 1) {
      rate.note(second * 100 + Math.max(0, second - 600) * 900, second * 1000);
      if (second === 600) expect(rate.bytesPerSecond(600_000)).to.equal(100);
    }
    expect(rate.bytesPerSecond(1_200_000)).to.equal(1000);
    // Nothing more: it goes down.
    expect(rate.bytesPerSecond(1_500_000)).to.be.within(490, 510);
  });

  describe('the restorer', () => {
    let own: Map<string, string>;
    let peers: Map<string, string>;
    let asked: string[];
    let peerAnswer: ((name: string) => Promise<PeerAnswer>) | null;
    let storeFails: boolean;
    let isPeerWorth: boolean;
    let restorer: Restorer;
    const nobodyLeft = new AbortController().signal;

    beforeEach(async () => {
      own = new Map();
      peers = new Map();
      asked = [];
      peerAnswer = null;
      storeFails = false;
      isPeerWorth = true;
      restorer = new Restorer({
        store: {
          has: (wanted) => own.has(renderWalFile(wanted)),
          get: async (wanted, destination) => {
            if (storeFails) throw new OperatingError('transient', 'ArchiveVolumeGone', 'gone!');
            const bytes = own.get(renderWalFile(wanted));
            if (bytes !== undefined) await writeFile(destination, bytes);
            return bytes !== undefined;
          },
        },
        spoolDirectory: join(place, 'spool'),
        segmentBytes: SEGMENT_BYTES,
        belongs: (wanted) => wanted.timeline === 1 || wanted.kind === 'history',
        mayAskPeers: () => isPeerWorth,
        fetchFromPeer: async (wanted, destination) => {
          const name = renderWalFile(wanted);
          asked.push(name);
          if (peerAnswer !== null) return await peerAnswer(name);
          const bytes = peers.get(name);
          if (bytes !== undefined) await writeFile(destination, bytes);
          return bytes === undefined ? 'absent' : 'fetched';
        },
      });
      await mkdir(join(place, 'spool'));
      await writeFile(join(place, 'spool', 'left-over'), '');
      await restorer.open();
    });
    afterEach(() => restorer.rest());

    const restore = async (
      name: string,
      verb: WalQuestion['verb'] = 'restore',
      gone = nobodyLeft,
    ): Promise<string> => {
      const path = join(place, 'RECOVERYXLOG');
      await rm(path, { force: true });
      const answer = await restorer.restore({ verb, file: file(name), path }, gone);
      if (answer.kind === 'done') return await readFile(path, 'utf8');
      return answer.kind === 'later' ? `later: ${answer.because}` : answer.kind;
    };
    const inSpool = async (): Promise<string[]> => (await readdir(join(place, 'spool'))).toSorted();
    async function untilSpooled(...names: string[]): Promise<void> {
      for (let turns = 0; (await inSpool()).join() !== names.join(); turns += 1) {
        if (turns > 2000) throw new Error(`in the spool: ${(await inSpool()).join()}`);
      }
    }

    it('brings from the own archive, then from a peer, and says what nobody has', async () => {
      own.set(segmentName(1), 'own 1');
      peers.set(HISTORY, 'history 2');
      expect(await restore(segmentName(1))).to.equal('own 1');
      expect(await restore(HISTORY)).to.equal('history 2');
      expect(await restore('00000003.history')).to.equal('absent');
      isPeerWorth = false;
      asked = [];
      expect(await restore('00000003.history')).to.equal('absent');
      expect(asked).to.be.empty;
    });

    it('never hands out what is not part of the history', async () => {
      own.set('000000020000000000000001', 'of a timeline that was left');
      expect(await restore('000000020000000000000001')).to.equal('absent');
    });

    it('brings the next four ahead, from wherever they are, and no more', async () => {
      for (let n = 1; n <= 7; n += 1) (n % 2 ? own : peers).set(segmentName(n), `segment ${n}`);
      expect(await restore(segmentName(1))).to.equal('segment 1');
      await untilSpooled(...[2, 3, 4, 5].map(segmentName));
      own.clear();
      peers.clear();
      for (let n = 2; n <= 5; n += 1) {
        expect(await restore(segmentName(n))).to.equal(`segment ${n}`);
      }
      expect(await restore(segmentName(6))).to.equal('absent');
    });

    it('asks once for what comes after the last one', async () => {
      own.set(segmentName(1), 'segment 1');
      await restore(segmentName(1));
      await until(() => asked.length > 0);
      for (let turns = 0; turns < 100; turns += 1) await turn();
      expect(asked).to.deep.equal([segmentName(2), segmentName(3)]);
    });

    it('throws away what was brought ahead when another one is wanted', async () => {
      for (let n = 1; n <= 9; n += 1) own.set(segmentName(n), `segment ${n}`);
      await restore(segmentName(1));
      await untilSpooled(...[2, 3, 4, 5].map(segmentName));
      await restore(segmentName(5));
      await untilSpooled(...[6, 7, 8, 9].map(segmentName));
      restorer.rest();
      await untilSpooled();
    });

    it('does not wait long for a peer that is silent when the file hardly exists', async () => {
      peerAnswer = async () => await new Promise(() => undefined);
      const sinceMs = performance.now();
      expect(await restore(HISTORY)).to.match(/^later: .*silent/);
      expect(performance.now() - sinceMs).to.be.within(250, 1500);
    });

    it('gives up questions to peers when it is told to, or when nobody waits', async () => {
      peerAnswer = async () => await new Promise(() => undefined);
      const first = restore(segmentName(1));
      await until(() => asked.length === 1);
      restorer.breakOff();
      expect(await first).to.match(/^later/);
      const gone = new AbortController();
      const second = restore(segmentName(1), 'restore', gone.signal);
      await until(() => asked.length === 2);
      gone.abort();
      expect(await second).to.match(/^later/);
    });

    it('does not fill the log of a standby that asks again and again; a recovery hears it', async () => {
      peerAnswer = async () => await Promise.resolve('unreachable');
      expect(await restore(segmentName(1))).to.match(/^later: it is not/);
      expect(await restore(segmentName(1))).to.equal('later: ');
      expect(await restore(segmentName(1), 'recover')).to.match(/^later: it is not/);
    });

    it('does not call a file absent when the own archive cannot be read', async () => {
      storeFails = true;
      expect(await restore(segmentName(1), 'recover')).to.equal('later: gone!');
      peers.set(segmentName(1), 'from a peer');
      expect(await restore(segmentName(1), 'recover')).to.equal('from a peer');
    });
  });

  describe('the socket and its script', () => {
    const script = resolve(__dirname, '../../manifests/image/wal-command.sh');
    let socket: string;
    let server: Server | null = null;
    let answer: AnswerWal;
    let heard: WalQuestion[];

    before(async function () {
      const socat = spawn('socat', ['-V'], { stdio: 'ignore' });
      const [code] = (await Promise.race(
        ['close', 'error'].map(async (event): Promise<unknown> => await once(socat, event)),
      )) as [unknown];
      if (code === 0) return;
      console.log('    skipped: needs socat');
      this.skip();
    });
    beforeEach(async () => {
      heard = [];
      socket = join(place, 'wal.sock');
      answer = async () => await Promise.resolve(DONE);
      server = await openWalSocket(socket, async (question, gone) => {
        heard.push(question);
        return await answer(question, gone);
      });
    });
    afterEach(() => void server?.close());

    async function run(
      verb: string,
      name = segmentName(1),
      path = `pg_wal/${segmentName(1)}`,
    ): Promise<{ readonly status: number; readonly words: string }> {
      const child = spawn(script, [socket, verb, name, path], { cwd: place });
      let words = '';
      child.stderr.setEncoding('utf8').on('data', (part: string) => (words += part));
      const [status] = (await once(child, 'close')) as [number];
      return { status, words: words.trim() };
    }

    it('asks with an absolute path, and ends well', async () => {
      expect(await run('archive')).to.deep.equal({ status: 0, words: '' });
      expect(await run('restore', HISTORY, '/some where/RECOVERYHISTORY')).to.include({
        status: 0,
      });
      const path = join(place, 'pg_wal', segmentName(1));
      expect(heard).to.deep.equal([
        { verb: 'archive', file: file(segmentName(1)), path },
        { verb: 'restore', file: file(HISTORY), path: '/some where/RECOVERYHISTORY' },
      ]);
    });

    const rows: readonly (readonly [string, WalAnswer, number])[] = [
      ['archive', later('the volume is full:\nmake room'), 1],
      ['archive', LEAVE, 130],
      ['restore', { kind: 'absent' }, 1],
      ['restore', later('no peer answers'), 1],
      ['restore', LEAVE, 1],
      ['recover', { kind: 'absent' }, 1],
      ['recover', later('no peer answers'), 130],
      ['recover', LEAVE, 130],
    ];
    for (const [verb, given, status] of rows) {
      it(`ends with ${status} when ${verb} is answered: ${given.kind}`, async () => {
        answer = async () => await Promise.resolve(given);
        const words =
          given.kind === 'later'
            ? `${verb} ${segmentName(1)}: ${given.because.replace('\n', ' ')}`
            : '';
        expect(await run(verb)).to.deep.equal({ status, words });
      });
    }

    it('ends with a status that breaks a recovery off when nobody answers, and only a recovery', async () => {
      server!.close();
      server = null;
      for (const [verb, status] of [
        ['archive', 1],
        ['restore', 1],
        ['recover', 130],
      ] as const) {
        const end = await run(verb);
        expect(end.status).to.equal(status);
        expect(end.words).to.include(`the instance manager does not answer at ${socket}`);
      }
    });

    it('does not pass on what is no name of a WAL file', async () => {
      for (const name of ['../../etc/passwd', 'base', segmentName(1).toLowerCase() + 'x']) {
        const end = await run('archive', name);
        expect(end.status).to.equal(1);
        expect(end.words).to.include('not understood');
      }
      expect(heard).to.be.empty;
    });

    it('tells the one who answers that nobody waits any more', async () => {
      const isGone = new Later<void>();
      answer = async (_, gone) => {
        gone.addEventListener('abort', () => isGone.give());
        return await new Promise(() => undefined);
      };
      const child = spawn(script, [socket, 'restore', HISTORY, 'x'], {
        cwd: place,
        detached: true,
      });
      await until(() => heard.length === 1);
      process.kill(-child.pid!, 'SIGKILL');
      await isGone.promise;
    });

    it('takes the place of a socket that was left behind', async () => {
      server!.close();
      await writeFile(socket, '');
      server = await openWalSocket(socket, async () => await Promise.resolve(DONE));
      expect((await run('archive')).status).to.equal(0);
    });
  });
});
