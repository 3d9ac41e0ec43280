/**
 * How an old primary comes back: real instance managers with real PostgreSQL, told by a fake leader
 * what to be. In every case it comes back by itself, with the primary's data, by the cheapest way
 * that is right; and what would be lost on the way is kept and counted.
 */
import { execFile, execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import {
  chmodSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { expect } from 'chai';
import { lagBytes } from '../../src/core/lsn';
import { slotName } from '../../src/core/names';
import { type Divergence, type Report, type Task, type Upstream } from '../../src/core/protocol';
import { FakeLeader, type TimedReport } from './support/fake-leader';
import { findBinDirectory, InstanceProcess, runAs } from './support/instance-process';
import { settingsWith } from './support/told';

const CLUSTER = 'orders';
/** What autovacuum commits would count as lost transactions, too. WAL is removed early. */
const SETTINGS = settingsWith({
  parameters: {
    shared_buffers: '32MB',
    autovacuum: 'off',
    wal_keep_size: '48MB',
    max_slot_wal_keep_size: '48MB',
    min_wal_size: '32MB',
    max_wal_size: '64MB',
  },
  hba: [],
});
const NAMES = ['pg1', 'pg2', 'pg3'] as const;
const MEGABYTE = 1024 * 1024;
/** The machine may have other things to do; the figures are printed, not judged. */
const PATIENCE_MS = 100_000;

/** What belongs to the way back; the rest is upkeep. */
const WAY: readonly string[] = ['stop', 'compare', 'start-standby', 'rewind', 'reclone'];

type Name = (typeof NAMES)[number];

const isPrimary = ({ postgres }: Report): boolean => postgres.state === 'primary';
const isStreaming = ({ postgres }: Report): boolean =>
  postgres.state === 'standby' &&
  postgres.receiver?.status === 'streaming' &&
  postgres.upstreamLsn !== null;

describe('the way back of an old primary', function () {
  this.timeout(600_000);

  const binDirectory = findBinDirectory();
  const identity = runAs();
  const figures = new Map<string, number[]>();
  let root: string;
  let leader: FakeLeader;
  let servers: Readonly<Record<Name, InstanceProcess>>;
  let systemIdentifier = '';
  let primary: Name = 'pg1';
  /** Of the last scenario: reports before it are another story. */
  let beganAtMs = 0;

  before(async function () {
    if (binDirectory === null || identity === null) {
      console.log('    skipped: needs PostgreSQL under /usr/lib/postgresql and the user postgres');
      this.skip();
    }
    root = mkdtempSync(join(tmpdir(), 'pgswarm-rejoin-'));
    chmodSync(root, 0o755);
    leader = new FakeLeader(CLUSTER, randomBytes(32), SETTINGS);
    const leaderPort = await leader.listen();
    const instance = (server: string): InstanceProcess =>
      new InstanceProcess({
        ...{ root, cluster: CLUSTER, server, key: leader.key, leaderPort, binDirectory },
      });
    servers = { pg1: instance('pg1'), pg2: instance('pg2'), pg3: instance('pg3') };
    for (const name of NAMES) await servers[name].start();
    await initialise();
  });

  after(async function () {
    if (binDirectory === null || identity === null) return;
    for (const name of NAMES) await servers[name].die();
    leader.close();
    for (const [what, times] of figures) note(what, times);
    if (process.env['KEEP'] === undefined) rmSync(root, { recursive: true, force: true });
    else console.log(`      kept: ${root}`);
  });

  beforeEach(() => {
    beganAtMs = performance.now();
  });

  it('starts as it is after a clean switchover', async () => {
    for (let round = 1; round <= 3; round += 1) {
      const [old, next] = [primary, other(primary)];
      await stop(old);
      await promote(next);
      await comesBack(old, 'start as is, stopped in order');
      expect(actionsOf(old)).to.deep.equal(['stop', 'compare', 'start-standby']);
      beganAtMs = performance.now();
    }
  });

  it('starts as it is after a crash with which nothing was lost', async () => {
    for (let round = 1; round <= 3; round += 1) {
      const [old, next] = [primary, other(primary)];
      await write(old, 5);
      await untilReplayed(next, old);
      await crash(old);
      await promote(next);
      await comesBack(old, 'start as is, crashed');
      expect(divergenceOf(old)).to.equal(null);
      expect(actionsOf(old)).to.deep.equal(['compare', 'start-standby']);
      beganAtMs = performance.now();
    }
  });

  it('is rewound after a crash with losses, which are kept and counted', async () => {
    for (const transactions of [17, 1]) {
      const old = await crashWithLosses(transactions);
      await comesBack(old, 'rewind, crashed');
      expect(actionsOf(old)).to.include('rewind').and.not.to.include('reclone');
      const divergence = divergenceOf(old);
      expectLoss(old, divergence, transactions);
      expect(divergence?.term).to.equal(termOf(old));
      expect(await commitsIn(old, divergence)).to.equal(transactions);
      expect(busyWordsOf(old).join('\n')).to.match(
        /^rewinding to pg[123]: its WAL goes on beyond/m,
      );
      expect(readFileSync(join(dataOf(old), 'postgresql.auto.conf'), 'utf8')).to.equal('');
      beganAtMs = performance.now();
    }
  });

  it('reports what was lost after a restart of the instance manager, too', async () => {
    const name = other(primary);
    const before = leader.last(name)?.divergence;
    expect(before?.transactions).to.equal(1);
    await restart(name);
    await streams(name);
    expect(leader.last(name)?.divergence).to.deep.equal(before);
  });

  it('is rewound without a loss when it only stopped beyond the fork', async () => {
    const [old, next] = [primary, other(primary)];
    const known = leader.last(old)?.divergence ?? null;
    await cutOff(next);
    await stop(old);
    await promote(next);
    await comesBack(old, 'rewind, stopped in order');
    expect(actionsOf(old)).to.include('rewind');
    expect(leader.last(old)?.divergence ?? null).to.deep.equal(known);
  });

  it('another standby that had received more is rewound, too', async () => {
    await join3();
    const [old, next] = [primary, other(primary)];
    await cutOff(next);
    await write(old, 9);
    await untilReplayed('pg3', old);
    await crash(old);
    await promote(next, [old, 'pg3']);
    assignStandby('pg3');
    await until('pg3', ({ busy }) => busy !== null);
    await comesBack(old, 'rewind, crashed');
    await streams('pg3');
    expect(actionsOf('pg3')).to.include('rewind').and.not.to.include('reclone');
    expectLoss('pg3', divergenceOf('pg3'), 9);
    expectLoss(old, divergenceOf(old), 9);
    await sameRows('pg3');
  });

  it('and so is one that stopped with more in its data files, which cannot even be started', async () => {
    const [old, next] = [primary, other(primary)];
    await cutOff(next);
    await write(old, 4);
    await untilReplayed('pg3', old);
    await stop('pg3');
    await crash(old);
    await promote(next, [old, 'pg3']);
    // As from an archive: only with it PostgreSQL sees at its start that it cannot go there.
    const history =
      (await servers[next].sql('select pg_walfile_name(pg_current_wal_lsn())')).slice(0, 8) +
      '.history';
    servers.pg3.place(
      `pgdata/pg_wal/${history}`,
      readFileSync(join(dataOf(next), 'pg_wal', history), 'utf8'),
    );
    assignStandby('pg3');
    await until('pg3', ({ busy }) => /^rewinding/.test(busy ?? ''));
    await comesBack(old, 'rewind, crashed');
    await streams('pg3');
    expect(actionsOf('pg3')).to.include('rewind').and.not.to.include('reclone');
    expectLoss('pg3', divergenceOf('pg3'), 4);
    await sameRows('pg3');
  });

  it('a standby whose slot and WAL are lost is cloned again', async () => {
    const name = 'pg3';
    await servers[name].die();
    await outrun(primary);
    await servers[name].start();
    const atMs = performance.now();
    const { report } = await until(name, ({ busy }) => /^cloning from/.test(busy ?? ''));
    expect(report.busy).to.match(/does not have the WAL segment [0-9A-F]{24} any more/);
    await settled(name, 'clone again, from its start on', atMs);
    await sameRows(name);
    leader.assign(name, { kind: 'stop', because: 'test' });
    leader.assign(primary, primaryTask([other(primary)]));
  });

  it('is cloned again when pg_rewind lacks WAL; its copy goes when the new one streams', async () => {
    const old = await crashWithLosses(3, { inOrder: true, withoutOlderWal: true });
    const { report } = await until(old, ({ busy }) => /^cloning from/.test(busy ?? ''));
    expect(report.busy).to.match(/goes on beyond .*; pg_rewind to pg\d .*/);
    expect(existsSync(join(dataOf(old), 'PG_VERSION'))).to.equal(true);
    await comesBack(old, 'clone again, after a rewind that failed');
    expectLoss(old, divergenceOf(old), 3);
    await eventually(() => !existsSync(join(servers[old].volume, 'pgdata.old')));
    expect(volumeOf(old)).not.to.include('rewinding');
  });

  it('is cloned again when a rewind was cut short, without ever being started', async () => {
    const old = await crashWithLosses(2);
    await servers[old].die();
    servers[old].place('rewinding', 'test\n');
    await servers[old].start();
    await comesBack(old, 'clone again, after a rewind that was cut short');
    expect(actionsOf(old)).to.deep.equal(['reclone', 'start-standby']);
    await eventually(() => !existsSync(join(servers[old].volume, 'pgdata.old')));
  });

  it('comes back when it is killed at any moment of a rewind', async () => {
    await fill(primary, 60);
    for (const moment of [
      (name: Name) => existsSync(join(servers[name].volume, 'diverged/unfinished')),
      (name: Name) => existsSync(join(servers[name].volume, 'rewinding')),
      (name: Name) => /^rewinding to .* MB/.test(leader.last(name)?.busy ?? ''),
      (name: Name) => existsSync(join(dataOf(name), 'backup_label')),
    ]) {
      const old = await crashWithLosses(4);
      await eventually(() => moment(old) || isDone(old));
      await restart(old);
      await comesBack(old, null);
      expectLoss(old, divergenceOf(old), 4);
      beganAtMs = performance.now();
    }
  });

  it('comes back when it is killed at any moment of a re-clone', async () => {
    for (const name of ['pgdata.new/base', 'pgdata.new/pg_wal/archive_status', 'pgdata.old']) {
      const old = await crashWithLosses(2);
      await servers[old].die();
      servers[old].place('rewinding', 'test\n');
      await servers[old].start();
      await eventually(() => existsSync(join(servers[old].volume, name)) || isDone(old));
      await restart(old);
      await comesBack(old, null);
      await eventually(() => !volumeOf(old).some((each) => /^pgdata\./.test(each)));
      beganAtMs = performance.now();
    }
  });

  it('finishes a swap that was cut short', async () => {
    const name = other(primary);
    for (const old of ['pgdata', 'pgdata.old']) {
      await servers[name].die();
      const path = (each: string): string => join(servers[name].volume, each);
      execFileSync('cp', ['-a', path('pgdata'), path('pgdata.next')]);
      if (old !== 'pgdata') renameSync(path('pgdata'), path(old));
      leader.forget(name);
      assignStandby(name);
      await servers[name].start();
      await streams(name);
      await eventually(() => !volumeOf(name).some((each) => /^pgdata\./.test(each)));
    }
  });

  it('changes nothing while there is no room, says how much is missing, and goes on with it', async () => {
    const name = other(primary);
    const free = join(root, 'free');
    servers[name].variables = {
      NODE_OPTIONS: `--require ${resolve(__dirname, 'support/little-room.cjs')}`,
      PGSWARM_TEST_FREE_BYTES: free,
    };
    await restart(name);
    await streams(name);
    await promoteCleanly(name);
    writeFileSync(free, String(10 * MEGABYTE));
    const old = await crashWithLosses(3);
    expect(old).to.equal(name);
    await refuses(old, 'NoRoomToKeepWal', /10 MB are free/);
    expect(volumeOf(old)).not.to.include.members(['pgdata.new', 'rewinding']);
    writeFileSync(free, String(90 * MEGABYTE));
    await refuses(old, 'NoRoomToRewind', /rewinding to pg\d needs about \d+ MB .* 90 MB are free/);
    await servers[old].die();
    servers[old].place('rewinding', 'test\n');
    await servers[old].start();
    await refuses(old, 'NoRoomToReclone', /pgswarm reclone orders pg\d/);
    expect(existsSync(join(dataOf(old), 'PG_VERSION'))).to.equal(true);
    rmSync(free);
    await comesBack(old, null);
    expectLoss(old, divergenceOf(old), 3);
  });

  it('breaks off a re-clone when its upstream is replaced', async () => {
    const old = await crashWithLosses(2);
    await servers[old].die();
    servers[old].place('rewinding', 'test\n');
    const elsewhere = { ...upstream(old), server: 'pg9' };
    leader.forget(old);
    leader.assign(old, { ...standbyTask(old), upstream: elsewhere });
    await servers[old].start();
    await until(old, ({ busy }) => /^cloning from pg9/.test(busy ?? ''));
    assignStandby(old);
    await comesBack(old, null);
    expect(servers[old].log).to.include('Action broken off');
  });

  // ── the cluster ────────────────────────────────────────────────────────────────────────────

  async function initialise(): Promise<void> {
    leader.assign('pg1', { kind: 'initialise', volumeId: 'v1' });
    const { report } = await until('pg1', ({ volume }) => volume.kind === 'tagged');
    if (report.volume.kind === 'tagged') systemIdentifier = report.volume.tag.systemIdentifier;
    leader.assign('pg1', primaryTask(['pg2']));
    await until('pg1', isPrimary);
    await servers.pg1.sql('create table numbers (n bigserial primary key, filler text)');
    leader.assign('pg2', { kind: 'clone', volumeId: 'v2', from: upstream('pg2') });
    await until('pg2', ({ volume }) => volume.kind === 'tagged');
    assignStandby('pg2');
    await streams('pg2');
  }

  async function join3(): Promise<void> {
    leader.assign(primary, primaryTask([other(primary), 'pg3']));
    leader.assign('pg3', { kind: 'clone', volumeId: 'v3', from: upstream('pg3') });
    await until('pg3', ({ volume }) => volume.kind === 'tagged');
    assignStandby('pg3');
    await streams('pg3');
  }

  function primaryTask(standbys: readonly Name[]): Task {
    return {
      ...{ kind: 'primary', slots: standbys.map(slotName), checkpointFor: null, contract: null },
      ...{ sync: null, restartFor: null },
    };
  }

  function standbyTask(name: Name): Extract<Task, { kind: 'standby' }> {
    const rest = { slots: [], sync: null, restartFor: null };
    return { kind: 'standby', upstream: upstream(name), ...rest };
  }

  function upstream(name: Name): Upstream {
    const { port } = servers[primary];
    return { server: primary, host: '127.0.0.1', port, slot: slotName(name), systemIdentifier };
  }

  function assignStandby(name: Name): void {
    leader.assign(name, standbyTask(name));
  }

  async function promote(name: Name, standbys: readonly Name[] = [other(name)]): Promise<void> {
    leader.nextTerm();
    primary = name;
    leader.assign(name, primaryTask(standbys));
    await until(name, isPrimary);
    // Before 16 pg_rewind waits for a promoted source's first checkpoint, which takes its time.
    if (/\/15\//.test(binDirectory ?? '')) await servers[name].sql('checkpoint');
  }

  async function promoteCleanly(name: Name): Promise<void> {
    const old = primary;
    await stop(old);
    await promote(name);
    await comesBack(old, null);
    beganAtMs = performance.now();
  }

  async function stop(name: Name): Promise<void> {
    leader.assign(name, { kind: 'stop', because: 'test' });
    await until(
      name,
      ({ postgres, obeys }) => postgres.state === 'stopped' && obeys?.task === 'stop',
    );
  }

  /** Its PostgreSQL is killed and, as after a failover, not started again. */
  async function crash(name: Name): Promise<void> {
    leader.assign(name, { kind: 'wait', because: 'test' });
    await until(name, ({ obeys }) => obeys?.task === 'wait');
    process.kill(servers[name].postmasterPid, 'SIGKILL');
    await until(name, ({ postgres }) => postgres.state === 'stopped');
  }

  async function restart(name: Name): Promise<void> {
    await servers[name].die();
    const bootBefore = leader.last(name)?.bootId;
    await servers[name].start();
    await until(name, ({ bootId }) => bootId !== bootBefore);
  }

  /** The standby's upstream is a port at which nobody listens: it receives nothing any more. */
  async function cutOff(name: Name): Promise<void> {
    const task = standbyTask(name);
    leader.assign(name, { ...task, upstream: { ...task.upstream, port: 1 } });
    const senders = `select count(*) from pg_stat_replication where application_name = '${name}'`;
    await eventually(async () => (await servers[primary].sql(senders)) === '0');
  }

  /** Transactions that are acknowledged one by one. */
  async function write(name: Name, transactions: number): Promise<void> {
    await servers[name].sql(
      `do $$ begin for i in 1..${transactions} loop ` +
        "insert into numbers (filler) values ('x'); commit; end loop; end $$",
    );
  }

  async function fill(name: Name, megabytes: number): Promise<void> {
    await servers[name].sql(
      'insert into numbers (filler) ' +
        `select repeat(md5(n::text), 30) from generate_series(1, ${megabytes * 1000}) n`,
    );
  }

  /** The primary acknowledges transactions that its standby never gets, dies, and is succeeded. */
  async function crashWithLosses(
    transactions: number,
    options: { readonly inOrder?: boolean; readonly withoutOlderWal?: boolean } = {},
  ): Promise<Name> {
    const [old, next] = [primary, other(primary)];
    await streams(next);
    await servers[old].sql('checkpoint');
    if (options.withoutOlderWal === true) await servers[old].sql('select pg_switch_wal()');
    await write(old, 1);
    await untilReplayed(next, old);
    await cutOff(next);
    await write(old, transactions);
    const current = await servers[old].sql('select pg_walfile_name(pg_current_wal_lsn())');
    await (options.inOrder === true ? stop(old) : crash(old));
    if (options.withoutOlderWal === true) removeSegmentsBefore(old, current);
    await promote(next);
    await write(next, 2);
    assignStandby(old);
    return old;
  }

  function removeSegmentsBefore(name: Name, current: string): void {
    const wal = join(dataOf(name), 'pg_wal');
    const segments = readdirSync(wal).filter((each) => /^[0-9A-F]{24}$/.test(each));
    for (const each of segments) if (each < current) rmSync(join(wal, each));
  }

  /** So much WAL that the slots of those who are away are given up. */
  async function outrun(name: Name): Promise<void> {
    for (let round = 1; round <= 8; round += 1) {
      await servers[name].sql('create table if not exists ballast (t text)');
      await servers[name].sql(
        "insert into ballast select repeat('x', 1000) from generate_series(1, 8000)",
      );
      await servers[name].sql('select pg_switch_wal()');
    }
    await servers[name].sql('checkpoint');
    await servers[name].sql('checkpoint');
  }

  async function untilReplayed(name: Name, from: Name): Promise<void> {
    const lsn = await servers[from].sql('select pg_current_wal_flush_lsn()');
    await eventually(
      async () =>
        (await servers[name].sql(`select pg_last_wal_replay_lsn() >= '${lsn}'::pg_lsn`)) === 't',
    );
  }

  async function until(name: Name, isSo: (report: Report) => boolean): Promise<TimedReport> {
    return await leader.until(name, isSo, PATIENCE_MS);
  }

  // ── what is expected ───────────────────────────────────────────────────────────────────────

  async function streams(name: Name): Promise<TimedReport> {
    return await until(name, isStreaming);
  }

  /** It streams, has the primary's rows, and nothing is left of the way back. */
  async function comesBack(name: Name, figure: string | null): Promise<void> {
    const atMs = performance.now();
    if (leader.last(name)?.obeys?.task !== 'standby') assignStandby(name);
    await settled(name, figure, atMs);
    await write(primary, 1);
    await sameRows(name);
    expect(await servers[name].sql('select pg_is_in_recovery()')).to.equal('t');
    expect(existsSync(join(dataOf(name), 'standby.signal'))).to.equal(true);
    expect(await servers[name].sql('show cluster_name')).to.equal(name);
  }

  async function settled(name: Name, figure: string | null, sinceMs: number): Promise<void> {
    const { atMs } = await streams(name);
    if (figure !== null) figures.set(figure, [...(figures.get(figure) ?? []), atMs - sinceMs]);
    await until(name, ({ busy, problem }) => busy === null && problem === null);
  }

  async function refuses(name: Name, reason: string, words: RegExp): Promise<void> {
    const { report } = await until(name, ({ problem }) => problem?.reason === reason);
    console.log(`      ${report.problem?.message ?? ''}`);
    expect(report.problem?.message).to.match(words);
  }

  async function sameRows(name: Name): Promise<void> {
    const digest = 'select count(*), sum(n), max(n) from numbers';
    await untilReplayed(name, primary);
    expect(await servers[name].sql(digest)).to.equal(await servers[primary].sql(digest));
  }

  function expectLoss(name: Name, divergence: Divergence | null, transactions: number): void {
    if (divergence === null) throw new Error(`${name} reports no divergence`);
    expect(divergence.transactions).to.equal(transactions);
    expect(divergence.bytes).to.equal(lagBytes(divergence.toLsn, divergence.fromLsn));
    expect(divergence.bytes).to.be.greaterThan(transactions * 50);
    const [first, last] = [divergence.firstCommitAt ?? '', divergence.lastCommitAt ?? ''];
    expect(Date.parse(last)).to.be.at.least(Date.parse(first));
    expect(Math.abs(Date.now() - Date.parse(last))).to.be.lessThan(120_000);
    const folder = join(servers[name].volume, divergence.keptIn);
    expect(JSON.parse(readFileSync(join(folder, 'loss.json'), 'utf8'))).to.deep.equal(divergence);
  }

  /** What somebody finds who reads the WAL that was kept. */
  async function commitsIn(name: Name, divergence: Divergence | null): Promise<number> {
    if (divergence === null) return 0;
    const folder = join(servers[name].volume, divergence.keptIn);
    const { fromLsn, timeline } = divergence;
    const read = promisify(execFile)(
      join(binDirectory ?? '', 'pg_waldump'),
      [`--path=${folder}`, `--start=${fromLsn}`, `--timeline=${timeline}`],
      { ...identity, cwd: '/' },
    );
    const output = await read.catch((error: unknown) => error as { stdout: string });
    return output.stdout.match(/desc: COMMIT /g)?.length ?? 0;
  }

  const other = (name: Name): Name => (name === 'pg1' ? 'pg2' : 'pg1');
  const dataOf = (name: Name): string => join(servers[name].volume, 'pgdata');
  const volumeOf = (name: Name): readonly string[] => readdirSync(servers[name].volume);
  const isDone = (name: Name): boolean => {
    const last = leader.last(name);
    return last !== null && last.obeys?.task === 'standby' && isStreaming(last);
  };

  function reportsOf(name: Name): readonly Report[] {
    return leader.history
      .filter(({ report, atMs }) => report.server === name && atMs >= beganAtMs)
      .map(({ report }) => report);
  }

  function divergenceOf(name: Name): Divergence | null {
    return reportsOf(name).at(-1)?.divergence ?? null;
  }

  function busyWordsOf(name: Name): readonly string[] {
    return reportsOf(name).flatMap(({ busy }) => (busy === null ? [] : [busy]));
  }

  function termOf(name: Name): number {
    return (reportsOf(name).at(-1)?.obeys?.term ?? 0) - 1;
  }

  /** Actions that were begun since the scenario began; the log is written with the time of day. */
  function actionsOf(name: Name): readonly string[] {
    const since = Date.now() - (performance.now() - beganAtMs);
    return servers[name].log
      .split('\n')
      .filter((line) => line.includes('Action begins'))
      .map((line) => JSON.parse(line) as { action: string; timestamp: string })
      .filter(({ timestamp }) => Date.parse(timestamp) >= since)
      .map(({ action }) => action)
      .filter((action) => WAY.includes(action));
  }

  function note(what: string, times: readonly number[]): void {
    const sorted = times.toSorted((a, b) => a - b);
    const [least, median, most] = [0, Math.floor(sorted.length / 2), sorted.length - 1].map((at) =>
      (sorted[at] ?? NaN).toFixed(0),
    );
    console.log(`      ${what}: ${median} ms (${least}–${most}, n = ${sorted.length})`);
  }
});

async function eventually(isSo: () => boolean | Promise<boolean>): Promise<void> {
  for (const deadlineMs = performance.now() + PATIENCE_MS; ;) {
    if (await isSo()) return;
    if (performance.now() > deadlineMs) throw new Error(`did not happen: ${String(isSo)}`);
    await sleep(5);
  }
}
