/** The guard and the fence with real PostgreSQL: nothing of it is left when they are done. */
import { existsSync, readFileSync, readlinkSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import { lagBytes } from '../../src/core/lsn';
import { failureOf } from '../support/failure';
import { type BareManager, type Call } from './support/bare-manager';
import { BareServer, signal, until } from './support/bare-server';
import { findBinDirectory, runAs } from './support/instance-process';

const SESSIONS = 20;
/** Time for what must not happen. */
const MARGIN_MS = 300;
/** A machine may be busy with something else: the figures are printed. */
const LATE_MAX_MS = 500;

describe('guard and fence', function () {
  this.timeout(120_000);

  const binDirectory = findBinDirectory();
  let server: BareServer | null = null;
  let manager: BareManager;

  before(async function () {
    if (binDirectory === null || runAs() === null) {
      console.log('    skipped: needs PostgreSQL under /usr/lib/postgresql and the user postgres');
      this.skip();
    }
    server = await BareServer.create(binDirectory);
  });

  beforeEach(async () => {
    manager = await bare().manager();
  });

  afterEach(async function () {
    if (server === null) return;
    await server.end(manager);
    rmSync(join(server.directory, 'standby.signal'), { force: true });
    if (this.currentTest?.isFailed() === true) console.log(manager.log);
  });

  after(() => server?.remove());

  describe('the guard', () => {
    it('kills at the deadline, a busy orphan of a killed postmaster too', async () => {
      await manager.call({ kind: 'start' });
      const orphan = await bare().busyBackend();
      const deadlineMs = await held(600);
      // Or the manager would clean up before the guard has to.
      manager.signal('SIGSTOP');
      process.kill(bare().postmasterPid, 'SIGKILL');
      await sleep(MARGIN_MS);
      expect(bare().processes).to.include(orphan);
      expectOnTime('deadline until the orphan was gone', await bare().gone(), deadlineMs);
      manager.signal('SIGCONT');
    });

    it('kills the manager too when that hangs', async () => {
      await manager.call({ kind: 'start' });
      await bare().write(SESSIONS);
      const deadlineMs = await held(300);
      const guardPid = manager.guardPid;
      manager.signal('SIGSTOP');
      expectOnTime('deadline until the last process was gone', await bare().gone(), deadlineMs);
      expect(await manager.ended()).to.equal('SIGKILL');
      note('deadline until the manager was gone', performance.now() - deadlineMs);
      await until(() => !existsSync(`/proc/${guardPid}`));
      expect(manager.log).to.include('The instance manager hangs');
    });

    it('leaves a manager alone that lives', async () => {
      await manager.call({ kind: 'start' });
      const deadlineMs = await held(100);
      expectOnTime('deadline until the last process was gone', await bare().gone(), deadlineMs);
      await manager.until(({ report }) => report.state === 'stopped');
      await sleep(1500);
      expect(manager.log).to.include('the guard has killed PostgreSQL');
      // It guards what is started next.
      await manager.call({ kind: 'start' });
      await held(100);
      await bare().gone();
    });

    for (const { name, first } of [
      { name: 'a deadline that was moved', first: [{ kind: 'hold', inMs: 800 }] },
      { name: 'a release', first: [{ kind: 'release' }] },
    ] satisfies readonly { readonly name: string; readonly first: readonly Call[] }[]) {
      it(`honours ${name}`, async () => {
        await manager.call({ kind: 'start' });
        await held(200);
        for (const call of first) await manager.call(call);
        await sleep(200 + MARGIN_MS);
        // Had it acted on the first deadline, nothing would be left to kill at this one.
        expect(bare().processes).not.to.be.empty;
        const deadlineMs = await held(200);
        expectOnTime('deadline until the last process was gone', await bare().gone(), deadlineMs);
      });
    }

    it('honours a deadline that was moved just before a freeze', async () => {
      await manager.call({ kind: 'start' });
      const guardPid = manager.guardPid;
      await held(300);
      process.kill(guardPid, 'SIGSTOP');
      await held(2000);
      await sleep(300 + MARGIN_MS);
      process.kill(guardPid, 'SIGCONT');
      await sleep(MARGIN_MS);
      expect(bare().processes).not.to.be.empty;
      const deadlineMs = await held(100);
      expectOnTime('deadline until the last process was gone', await bare().gone(), deadlineMs);
    });

    it('kills as soon as everything thaws after the deadline, and no living manager', async () => {
      for (let round = 1; round <= 3; round += 1) {
        await manager.call({ kind: 'start' });
        await bare().write(SESSIONS);
        await held(300);
        const frozen = [manager.pid, manager.guardPid, ...bare().processes];
        for (const pid of frozen) signal(pid, 'SIGSTOP');
        await sleep(2000);
        const thawedAtMs = performance.now();
        for (const pid of frozen.toReversed()) signal(pid, 'SIGCONT');
        const goneAtMs = await bare().gone();
        note(`thaw until ${frozen.length - 2} processes were gone`, goneAtMs - thawedAtMs);
        expect(goneAtMs - thawedAtMs).to.be.below(LATE_MAX_MS);
        await manager.until(({ report }) => report.state === 'stopped');
        await bare().quiet();
      }
    });

    it('kills when the manager dies, and ends', async () => {
      await manager.call({ kind: 'start' });
      await bare().write(SESSIONS);
      const guardPid = manager.guardPid;
      const diedAtMs = performance.now();
      manager.signal('SIGKILL');
      note('death until the last process was gone', (await bare().gone()) - diedAtMs);
      await until(() => !existsSync(`/proc/${guardPid}`));
    });

    it('is started again, and knows the deadline', async () => {
      await manager.call({ kind: 'start' });
      const deadlineMs = await held(3000);
      process.kill(manager.guardPid, 'SIGKILL');
      await manager.until(({ isGuarded }) => !isGuarded);
      await manager.until(({ isGuarded }) => isGuarded);
      expect(bare().processes).not.to.be.empty;
      expectOnTime('deadline until the last process was gone', await bare().gone(), deadlineMs);
    });

    it('ends when it is told to, and leaves PostgreSQL alone', async () => {
      await manager.call({ kind: 'start' });
      const guardPid = manager.guardPid;
      await held(200);
      await manager.call({ kind: 'leave' });
      await until(() => !existsSync(`/proc/${guardPid}`));
      await sleep(200);
      const left = bare().processes;
      expect(left).not.to.be.empty;
      for (const pid of left) process.kill(pid, 'SIGKILL');
    });

    it('spares who works elsewhere, and a shell of a person in the directory', async () => {
      await manager.call({ kind: 'start' });
      const shell = bare().help('script', [
        '-qec',
        `cd ${bare().directory} && exec sleep 1000`,
        '/dev/null',
      ]);
      const other = bare().help('sleep', ['1000']);
      // The shell's own process, not `script`, which waits for it elsewhere.
      await until(() => worksIn(childOf(shell.pid), bare().directory));
      await held(100);
      await bare().gone();
      expect(worksIn(childOf(shell.pid), bare().directory)).to.equal(true);
      expect(other.exitCode ?? other.signalCode).to.equal(null);
    });
  });

  function bare(): BareServer {
    if (server === null) throw new Error('there is no server');
    return server;
  }

  /** Holds the deadline, and says when it is, as seen from here: never later than it really is. */
  async function held(inMs: number): Promise<number> {
    const nowMs = performance.now();
    await manager.call({ kind: 'hold', inMs });
    return nowMs + inMs;
  }

  function expectOnTime(what: string, goneAtMs: number, deadlineMs: number): void {
    note(what, goneAtMs - deadlineMs);
    expect(goneAtMs - deadlineMs).to.be.within(0, LATE_MAX_MS);
  }

  function note(what: string, ms: number): void {
    console.log(`      ${what}: ${ms.toFixed(0)} ms`);
  }

  describe('the fence', () => {
    it('stops a server that runs within a moment, and may be called twice', async () => {
      await manager.call({ kind: 'start' });
      expect(manager.last?.mayWrite).to.equal(true);
      await bare().write(SESSIONS);
      const beganAtMs = performance.now();
      await Promise.all([manager.call(fence(5000, 6000)), manager.call(fence(5000, 6000))]);
      note('until it was fenced', performance.now() - beganAtMs);
      expectFenced();
      const { report } = await manager.until(({ report: { state } }) => state === 'stopped');
      expect(report).to.have.nested.property('control.clusterState', 'shut down');
      expect(manager.log).not.to.include('has ended by itself');
    });

    it('does not wait for a standby that is silent', async () => {
      await manager.call({ kind: 'start' });
      await bare().silentStandby();
      const beganAtMs = performance.now();
      await manager.call(fence(600, 5000));
      expectFenced();
      expect(performance.now() - beganAtMs).to.be.within(600, 2000);
    });

    it('breaks into an ordinary stop that takes its time', async () => {
      await manager.call({ kind: 'start' });
      await bare().silentStandby();
      const beganAtMs = performance.now();
      const stopped = manager.call({ kind: 'stop', fastMs: 50_000 });
      await manager.until(({ report }) => report.state === 'stopping');
      await manager.call(fence(300, 5000));
      expectFenced();
      await stopped;
      expect(performance.now() - beganAtMs).to.be.below(2000);
    });

    it('kills what does not listen', async () => {
      await manager.call({ kind: 'start' });
      signal(bare().postmasterPid, 'SIGSTOP');
      const beganAtMs = performance.now();
      await manager.call(fence(200, 400));
      expectFenced();
      expect(performance.now() - beganAtMs).to.be.within(400, 1500);
    });

    it('kills at once when it is too late for anything else', async () => {
      await manager.call({ kind: 'start' });
      await manager.call(fence(-200, -100));
      expectFenced();
      expect(manager.log).to.include('killing all of its processes');
    });

    it('ends a start in crash recovery, of which the length was known', async () => {
      await manager.call({ kind: 'start' });
      bare().sql('create table if not exists filled as select generate_series(1, 3000000) as n');
      const redo = bare().sql('select redo_lsn from pg_control_checkpoint()');
      const expected = lagBytes(bare().sql('select pg_current_wal_insert_lsn()'), redo);
      bare().processes.forEach((pid) => signal(pid, 'SIGKILL'));
      await manager.until(({ report }) => report.state === 'stopped');
      const failure = failureOf(manager.call({ kind: 'start' }));
      const { report, mayWrite } = await manager.until((seen) => seen.report.state === 'starting');
      if (report.state !== 'starting') throw new Error('not starting');
      console.log(`      to recover: ${report.recoveryBytes} of ${expected} bytes`);
      expect(report.recoveryBytes).to.be.within(expected * 0.95, expected * 1.05);
      expect(mayWrite).to.equal(true);
      await manager.call(fence(300, 600));
      expectFenced();
      expect((await failure).code).to.equal('Fenced');
    });

    it('ends a start that has not begun yet, and lets none begin meanwhile', async () => {
      const early = failureOf(manager.call({ kind: 'start' }));
      await manager.call(fence(1000, 2000));
      expect((await early).code).to.equal('Fenced');
      expectFenced();

      await manager.call({ kind: 'start' });
      await bare().silentStandby();
      const fenced = manager.call(fence(400, 1000));
      const late = failureOf(manager.call({ kind: 'start' }));
      expect((await late).code).to.equal('Fenced');
      await fenced;
      expectFenced();
    });

    it('ends a promotion', async () => {
      writeFileSync(join(bare().directory, 'standby.signal'), '');
      await manager.call({ kind: 'start' });
      expect(manager.last).to.deep.include({ mayWrite: false });
      const seen = manager.history.length;
      const failure = failureOf(manager.call({ kind: 'promote' }));
      await manager.call(fence(500, 1000));
      expectFenced();
      expect((await failure).code).to.be.oneOf(['Fenced', 'Unexpected']);
      expect(manager.history.slice(seen).some(({ mayWrite }) => mayWrite)).to.equal(true);
    });

    it('has nothing to do when nothing runs', async () => {
      await manager.call(fence(1000, 2000));
      expectFenced();
    });
  });

  const fence = (quitInMs: number, killInMs: number): Call => ({
    kind: 'fence',
    quitInMs,
    killInMs,
  });

  function expectFenced(): void {
    expect(bare().processes).to.deep.equal([]);
    expect(manager.last?.mayWrite ?? false).to.equal(false);
  }
});

function childOf(parent: number | undefined): number {
  const children = readFileSync(`/proc/${parent}/task/${parent}/children`, 'utf8');
  return Number.parseInt(children, 10);
}

function worksIn(pid: number, path: string): boolean {
  try {
    return readlinkSync(`/proc/${pid}/cwd`) === path;
  } catch {
    return false;
  }
}
