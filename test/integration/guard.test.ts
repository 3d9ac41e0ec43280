/** The guard and the fence with real PostgreSQL: nothing of it is left when they are done. */
import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import {
  appendFileSync,
  chmodSync,
  chownSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  readlinkSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import { processesIn } from '../../src/adapters/postgres/processes';
import { lagBytes } from '../../src/core/lsn';
import { failureOf } from '../support/failure';
import { BareManager, type Call } from './support/bare-manager';
import { findBinDirectory, freePort, runAs } from './support/instance-process';

const SESSIONS = 20;
const POLL_MS = 2;
const PATIENCE_MS = 20_000;
/** Time for what must not happen. */
const MARGIN_MS = 300;

describe('guard and fence', function () {
  this.timeout(120_000);

  const binDirectory = findBinDirectory();
  const identity = runAs();
  const canRun = binDirectory !== null && identity !== null;
  const helpers: ChildProcess[] = [];
  let root: string;
  let directory: string;
  let port: number;
  let manager: BareManager;

  before(async function () {
    if (!canRun) {
      console.log('    skipped: needs PostgreSQL under /usr/lib/postgresql and the user postgres');
      this.skip();
    }
    root = mkdtempSync(join(tmpdir(), 'pgswarm-guard-'));
    own(root);
    chmodSync(root, 0o755);
    directory = join(root, 'pgdata');
    port = await freePort();
    run('initdb', ['-D', directory, '-U', 'postgres', '--auth=trust', '--no-instructions']);
    appendFileSync(
      join(directory, 'postgresql.conf'),
      [
        `port = ${port}`,
        "listen_addresses = ''",
        `unix_socket_directories = '${directory}'`,
        'max_connections = 100',
        'shared_buffers = 32MB',
        'max_wal_size = 4GB',
        'checkpoint_timeout = 1h',
      ].join('\n'),
    );
  });

  beforeEach(async () => {
    manager = await BareManager.begin(directory, binDirectory ?? '', port);
  });

  afterEach(async function () {
    if (!canRun) return;
    for (const helper of helpers.splice(0)) helper.kill('SIGKILL');
    const left = [manager.guardPid, manager.pid, ...processesIn(directory)];
    for (const name of ['SIGKILL', 'SIGCONT'] as const) left.forEach((pid) => signal(pid, name));
    await gone();
    rmSync(join(directory, 'standby.signal'), { force: true });
    if (this.currentTest?.isFailed() === true) console.log(manager.log);
  });

  after(() => {
    if (canRun) rmSync(root, { recursive: true, force: true });
  });

  describe('the guard', () => {
    it('kills at the deadline, a busy orphan of a killed postmaster too', async () => {
      await manager.call({ kind: 'start' });
      const orphan = await busyBackend();
      const deadlineMs = await held(600);
      // Or the manager would clean up before the guard has to.
      manager.signal('SIGSTOP');
      process.kill(postmasterPid(), 'SIGKILL');
      await sleep(MARGIN_MS);
      expect(processesIn(directory)).to.include(orphan);
      expectOnTime('deadline until the orphan was gone', await gone(), deadlineMs);
      manager.signal('SIGCONT');
    });

    it('kills the manager too when that hangs', async () => {
      await manager.call({ kind: 'start' });
      await sessions();
      const deadlineMs = await held(300);
      const guardPid = manager.guardPid;
      manager.signal('SIGSTOP');
      expectOnTime('deadline until the last process was gone', await gone(), deadlineMs);
      expect(await manager.ended()).to.equal('SIGKILL');
      note('deadline until the manager was gone', performance.now() - deadlineMs);
      await until(() => !existsSync(`/proc/${guardPid}`));
      expect(manager.log).to.include('The instance manager hangs');
    });

    it('leaves a manager alone that lives', async () => {
      await manager.call({ kind: 'start' });
      const deadlineMs = await held(100);
      expectOnTime('deadline until the last process was gone', await gone(), deadlineMs);
      await manager.until(({ report }) => report.state === 'stopped');
      await sleep(1500);
      expect(manager.log).to.include('the guard has killed PostgreSQL');
      // It guards what is started next.
      await manager.call({ kind: 'start' });
      await held(100);
      await gone();
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
        expect(processesIn(directory)).not.to.be.empty;
        const deadlineMs = await held(200);
        expectOnTime('deadline until the last process was gone', await gone(), deadlineMs);
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
      expect(processesIn(directory)).not.to.be.empty;
      const deadlineMs = await held(100);
      expectOnTime('deadline until the last process was gone', await gone(), deadlineMs);
    });

    it('kills as soon as everything thaws after the deadline, and no living manager', async () => {
      for (let round = 1; round <= 3; round += 1) {
        await manager.call({ kind: 'start' });
        await sessions();
        await held(300);
        const frozen = [manager.pid, manager.guardPid, ...processesIn(directory)];
        for (const pid of frozen) signal(pid, 'SIGSTOP');
        await sleep(2000);
        const thawedAtMs = performance.now();
        for (const pid of frozen.toReversed()) signal(pid, 'SIGCONT');
        const goneAtMs = await gone();
        note(`thaw until ${frozen.length - 2} processes were gone`, goneAtMs - thawedAtMs);
        expect(goneAtMs - thawedAtMs).to.be.below(500);
        await manager.until(({ report }) => report.state === 'stopped');
        for (const helper of helpers.splice(0)) await ended(helper);
      }
    });

    it('kills when the manager dies, and ends', async () => {
      await manager.call({ kind: 'start' });
      await sessions();
      const guardPid = manager.guardPid;
      const diedAtMs = performance.now();
      manager.signal('SIGKILL');
      note('death until the last process was gone', (await gone()) - diedAtMs);
      await until(() => !existsSync(`/proc/${guardPid}`));
    });

    it('is started again, and knows the deadline', async () => {
      await manager.call({ kind: 'start' });
      const deadlineMs = await held(3000);
      process.kill(manager.guardPid, 'SIGKILL');
      await manager.until(({ isGuarded }) => !isGuarded);
      await manager.until(({ isGuarded }) => isGuarded);
      expect(processesIn(directory)).not.to.be.empty;
      expectOnTime('deadline until the last process was gone', await gone(), deadlineMs);
    });

    it('ends when it is told to, and leaves PostgreSQL alone', async () => {
      await manager.call({ kind: 'start' });
      const guardPid = manager.guardPid;
      await held(200);
      await manager.call({ kind: 'leave' });
      await until(() => !existsSync(`/proc/${guardPid}`));
      await sleep(200);
      const left = processesIn(directory);
      expect(left).not.to.be.empty;
      for (const pid of left) process.kill(pid, 'SIGKILL');
    });

    it('spares who works elsewhere, and a shell of a person in the directory', async () => {
      await manager.call({ kind: 'start' });
      const shell = helper('script', ['-qec', `cd ${directory} && exec sleep 1000`, '/dev/null']);
      const other = helper('sleep', ['1000']);
      // The shell's own process, not `script`, which waits for it elsewhere.
      await until(() => worksIn(childOf(shell.pid), directory));
      await held(100);
      await gone();
      expect(worksIn(childOf(shell.pid), directory)).to.equal(true);
      expect(other.exitCode ?? other.signalCode).to.equal(null);
    });
  });

  /** Holds the deadline, and says when it is, as seen from here: never later than it really is. */
  async function held(inMs: number): Promise<number> {
    const nowMs = performance.now();
    await manager.call({ kind: 'hold', inMs });
    return nowMs + inMs;
  }

  /** When the last process of PostgreSQL was gone. */
  async function gone(patienceMs = PATIENCE_MS): Promise<number> {
    await until(() => processesIn(directory).length === 0, patienceMs);
    return performance.now();
  }

  function expectOnTime(what: string, goneAtMs: number, deadlineMs: number): void {
    note(what, goneAtMs - deadlineMs);
    expect(goneAtMs - deadlineMs).to.be.within(0, 500);
  }

  function note(what: string, ms: number): void {
    console.log(`      ${what}: ${ms.toFixed(0)} ms`);
  }

  const postmasterPid = (): number =>
    Number(readFileSync(join(directory, 'postmaster.pid'), 'utf8').split('\n')[0]);

  function run(name: string, programArguments: readonly string[]): string {
    return execFileSync(join(binDirectory ?? '', name), programArguments, {
      ...identity,
      cwd: '/',
      encoding: 'utf8',
      stdio: 'pipe',
    });
  }

  const sql = (text: string): string => run('psql', [...PSQL(), '-c', text]).trim();

  const PSQL = (): string[] => [
    ...['-X', '-A', '-t', '-q', '-U', 'postgres', '-d', 'postgres'],
    ...['-h', directory, '-p', `${port}`],
  ];

  function helper(program: string, programArguments: readonly string[]): ChildProcess {
    const child = spawn(program, programArguments, { ...identity, cwd: '/', stdio: 'ignore' });
    helpers.push(child);
    return child;
  }

  /** Sessions that write as fast as they can. */
  async function sessions(): Promise<void> {
    sql('create table if not exists written (n int)');
    const script = join(root, 'write.sql');
    writeFileSync(script, 'insert into written values (1);\n');
    helper(join(binDirectory ?? '', 'pgbench'), [
      ...['-n', '-c', `${SESSIONS}`, '-f', script, '-T', '1000', '-U', 'postgres'],
      ...['-h', directory, '-p', `${port}`, 'postgres'],
    ]);
    const count = "select count(*) from pg_stat_activity where application_name = 'pgbench'";
    await until(() => Number(sql(count)) === SESSIONS);
  }

  /** It never waits, so it does not notice the postmaster's death. */
  async function busyBackend(): Promise<number> {
    helper(join(binDirectory ?? '', 'psql'), [
      ...PSQL(),
      '-c',
      'do $$ begin loop end loop; end $$',
    ]);
    const busy = "select pid from pg_stat_activity where query like 'do %' and state = 'active'";
    await until(() => sql(busy) !== '');
    return Number(sql(busy));
  }

  function own(path: string): void {
    const { uid, gid } = identity ?? {};
    if (uid !== undefined && gid !== undefined) chownSync(path, uid, gid);
  }

  describe('the fence', () => {
    it('stops a server that runs within a moment, and may be called twice', async () => {
      await manager.call({ kind: 'start' });
      expect(manager.last?.mayWrite).to.equal(true);
      await sessions();
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
      await silentStandby();
      const beganAtMs = performance.now();
      await manager.call(fence(600, 5000));
      expectFenced();
      expect(performance.now() - beganAtMs).to.be.within(600, 2000);
    });

    it('breaks into an ordinary stop that takes its time', async () => {
      await manager.call({ kind: 'start' });
      await silentStandby();
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
      signal(postmasterPid(), 'SIGSTOP');
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
      sql('create table if not exists filled as select generate_series(1, 3000000) as n');
      const redo = sql('select redo_lsn from pg_control_checkpoint()');
      const expected = lagBytes(sql('select pg_current_wal_insert_lsn()'), redo);
      processesIn(directory).forEach((pid) => signal(pid, 'SIGKILL'));
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
      await silentStandby();
      const fenced = manager.call(fence(400, 1000));
      const late = failureOf(manager.call({ kind: 'start' }));
      expect((await late).code).to.equal('Fenced');
      await fenced;
      expectFenced();
    });

    it('ends a promotion', async () => {
      writeFileSync(join(directory, 'standby.signal'), '');
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
    expect(processesIn(directory)).to.deep.equal([]);
    expect(manager.last?.mayWrite ?? false).to.equal(false);
  }

  /** A fast stop waits for every walsender, as long as its standby does not break the connection. */
  async function silentStandby(): Promise<void> {
    const received = mkdtempSync(join(root, 'received-'));
    own(received);
    const standby = helper(join(binDirectory ?? '', 'pg_receivewal'), [
      ...['-D', received, '-U', 'postgres', '-h', directory],
      ...['-p', `${port}`],
    ]);
    const streaming = "select count(*) from pg_stat_replication where state = 'streaming'";
    await until(() => sql(streaming) === '1');
    standby.kill('SIGSTOP');
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

async function until(isSo: () => boolean, patienceMs = PATIENCE_MS): Promise<void> {
  for (const giveUpAtMs = performance.now() + patienceMs; !isSo();) {
    if (performance.now() > giveUpAtMs) throw new Error(`did not happen: ${String(isSo)}`);
    await sleep(POLL_MS);
  }
}

/** Backends come and go. */
function signal(pid: number, name: NodeJS.Signals): void {
  try {
    if (pid > 0) process.kill(pid, name);
  } catch {
    // Gone.
  }
}

async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
}
