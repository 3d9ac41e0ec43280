/** Two instance managers with real PostgreSQL on this machine, told what to be by a fake leader. */
import { randomBytes } from 'node:crypto';
import {
  chmodSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { compareLsn } from '../../src/core/lsn';
import { slotName } from '../../src/core/names';
import { type InstanceSettings, type Report, type Task } from '../../src/core/protocol';
import { FakeLeader } from './support/fake-leader';
import { findBinDirectory, InstanceProcess, runAs } from './support/instance-process';
import { settingsWith } from './support/told';

const CLUSTER = 'orders';
const SETTINGS = settingsWith({ archive: { compression: 'zstd', timeoutMs: 300_000 } });

const isPrimary = ({ postgres }: Report): boolean => postgres.state === 'primary';
const isStreaming = ({ postgres }: Report): boolean =>
  postgres.state === 'standby' && postgres.receiver?.status === 'streaming';
const isStopped = ({ postgres, obeys }: Report): boolean =>
  postgres.state === 'stopped' && obeys?.task === 'stop';

/** What a standby is told besides its upstream. */
const STANDBY = { slots: [], sync: null, restartFor: null } as const;

describe('an instance manager with PostgreSQL', function () {
  this.timeout(120_000);

  const binDirectory = findBinDirectory();
  const identity = runAs();
  let root: string;
  let leader: FakeLeader;
  let leaderPort: number;
  let pg1: InstanceProcess;
  let pg2: InstanceProcess;
  let systemIdentifier = '';

  const instances: InstanceProcess[] = [];
  const instance = (server: string): InstanceProcess => {
    const { key } = leader;
    const directory = binDirectory ?? '';
    const options = { root, cluster: CLUSTER, server, key, leaderPort, binDirectory: directory };
    instances.push(new InstanceProcess(options));
    return instances.at(-1)!;
  };
  const primary = (checkpointFor: string | null = null, slots: readonly string[] = []): Task => ({
    kind: 'primary',
    slots: slots.map(slotName),
    checkpointFor,
    contract: null,
    sync: null,
    restartFor: null,
  });
  const upstream = (own: string, from: InstanceProcess, server: string) => ({
    server,
    host: '127.0.0.1',
    port: from.port,
    slot: slotName(own),
    systemIdentifier,
  });
  const note = (what: string, ms: number): void =>
    console.log(`      ${what}: ${ms.toFixed(0)} ms`);

  before(async function () {
    if (binDirectory === null || identity === null) {
      console.log('    skipped: needs PostgreSQL under /usr/lib/postgresql and the user postgres');
      this.skip();
    }
    root = mkdtempSync(join(tmpdir(), 'pgswarm-instance-'));
    chmodSync(root, 0o755);
    leader = new FakeLeader(CLUSTER, randomBytes(32), SETTINGS);
    leaderPort = await leader.listen();
    pg1 = instance('pg1');
    pg2 = instance('pg2');
    await pg1.start();
    await pg2.start();
  });

  after(async function () {
    if (binDirectory === null || identity === null) return;
    for (const each of instances) await each.die();
    leader.close();
    if (this.currentTest?.isFailed() !== true && process.env['KEEP'] === undefined) {
      rmSync(root, { recursive: true, force: true });
    }
  });

  it('reports an empty volume and does nothing by itself', async () => {
    leader.assign('pg1', { kind: 'wait', because: 'test' });
    leader.assign('pg2', { kind: 'wait', because: 'test' });
    const { report } = await leader.until('pg1', ({ obeys }) => obeys?.task === 'wait');
    expect(report.volume.kind).to.equal('empty');
    expect(report.postgres).to.deep.equal({
      state: 'stopped',
      control: null,
      standbySignal: false,
    });
  });

  it('initialises, and then starts as primary with roles, database and slots', async () => {
    const beganAtMs = performance.now();
    leader.assign('pg1', { kind: 'initialise', volumeId: 'v1' });
    const filled = await leader.until('pg1', ({ volume }) => volume.kind === 'tagged');
    note('initialise', filled.atMs - beganAtMs);
    const { volume, postgres } = filled.report;
    if (volume.kind !== 'tagged' || postgres.state !== 'stopped') throw new Error('not filled');
    systemIdentifier = volume.tag.systemIdentifier;
    expect(volume.tag).to.include({ cluster: CLUSTER, server: 'pg1', volumeId: 'v1' });
    expect(postgres.control?.systemIdentifier).to.equal(systemIdentifier);

    const startedAtMs = performance.now();
    leader.assign('pg1', primary(null, ['pg2']));
    const running = await leader.until('pg1', isPrimary);
    note('start as primary', running.atMs - startedAtMs);
    await eventually(
      async () => (await pg1.sql("select count(*) from pg_database where datname = 'app'")) === '1',
    );
    await eventually(
      async () => (await pg1.sql('select slot_name from pg_replication_slots')) === 'pgswarm_pg2',
    );
    await pg1.sql('create table numbers (n int primary key, at timestamptz default now())');
  });

  it('clones into an empty volume, and streams', async () => {
    // As in the first moments of a primary, which has its roles set when it accepts writes already.
    const password = await pg1.sql(
      "select rolpassword from pg_authid where rolname = 'pgswarm_replication'",
    );
    await pg1.sql("alter role pgswarm_replication password 'not yet'");
    const beganAtMs = performance.now();
    leader.assign('pg2', { kind: 'clone', volumeId: 'v2', from: upstream('pg2', pg1, 'pg1') });
    await eventually(async () => await Promise.resolve(/authentication failed/.test(pg1.log)));
    await pg1.sql(`alter role pgswarm_replication password '${password}'`);
    const filled = await leader.until('pg2', ({ volume }) => volume.kind === 'tagged');
    note('clone', filled.atMs - beganAtMs);
    expect(pg2.log, 'nobody is to read of that').not.to.match(/has not worked/);
    const startedAtMs = performance.now();
    leader.assign('pg2', { kind: 'standby', upstream: upstream('pg2', pg1, 'pg1'), ...STANDBY });
    const streaming = await leader.until('pg2', isStreaming);
    note('start as standby until streaming', streaming.atMs - startedAtMs);
    const { report } = await leader.until(
      'pg1',
      ({ postgres }) => postgres.state === 'primary' && postgres.standbys.length === 1,
    );
    if (report.postgres.state === 'primary') {
      expect(report.postgres.standbys[0]?.server).to.equal('pg2');
    }
  });

  it('switches over and back, and the end of the WAL is where the standby knows it', async () => {
    for (const round of [1, 2, 3, 4]) {
      const [from, to] = round % 2 === 1 ? (['pg1', 'pg2'] as const) : (['pg2', 'pg1'] as const);
      await switchover(from, to, round);
    }
  });

  async function switchover(from: string, to: string, round: number): Promise<void> {
    const byName = { pg1, pg2 } as Record<string, InstanceProcess>;
    const [old, next] = [byName[from]!, byName[to]!];
    await old.sql(
      `insert into numbers select generate_series(${round * 1000}, ${round * 1000 + 99})`,
    );
    leader.assign(from, primary(`change-${round}`, [to]), { reportEveryMs: 100 });
    await leader.until(from, ({ checkpointedFor }) => checkpointedFor === `change-${round}`);
    const fast = { reportEveryMs: 10 };
    leader.assign(to, { kind: 'standby', upstream: upstream(to, old, from), ...STANDBY }, fast);

    const stopAtMs = performance.now();
    leader.assign(from, { kind: 'stop', because: 'switchover' });
    const stopped = await leader.until(from, isStopped);
    const { postgres } = stopped.report;
    if (postgres.state !== 'stopped' || postgres.control === null) throw new Error('not stopped');
    expect(postgres.control.clusterState).to.equal('shut down');
    const { endLsn, checkpointLsn } = postgres.control;
    const replayed = await leader.until(
      to,
      ({ postgres: standby }) =>
        standby.state === 'standby' && compareLsn(standby.replayedLsn, endLsn) >= 0,
    );
    // Exactly: there is nothing after the shutdown checkpoint, and it was not counted short.
    if (replayed.report.postgres.state === 'standby') {
      expect(replayed.report.postgres.replayedLsn).to.equal(endLsn);
    }
    expect(compareLsn(endLsn, checkpointLsn)).to.be.greaterThan(0);

    const promoteAtMs = performance.now();
    leader.nextTerm();
    leader.assign(to, primary(null, [from]), fast);
    const promoted = await leader.until(to, isPrimary);
    const standbyAtMs = performance.now();
    leader.assign(from, { kind: 'standby', upstream: upstream(from, next, to), ...STANDBY });
    const rejoined = await leader.until(from, isStreaming);
    note(`round ${round}: stop`, stopped.atMs - stopAtMs);
    note('  replayed', Math.max(replayed.atMs - stopAtMs, 0));
    note('  promote', promoted.atMs - promoteAtMs);
    note('  write gap in all', promoted.atMs - stopAtMs);
    note('  rejoin', rejoined.atMs - standbyAtMs);
    leader.assign(to, primary(null, [from]));
    await eventually(
      async () =>
        (await old.sql(`select count(*) from numbers where n >= ${round * 1000}`)) === '100',
    );
  }

  it('hands the lock on the volume to every process of PostgreSQL', () => {
    const files = readdirSync(`/proc/${pg1.postmasterPid}/fd`).map((fd) =>
      readlinkSync(`/proc/${pg1.postmasterPid}/fd/${fd}`),
    );
    expect(files).to.include(join(pg1.volume, '.lock'));
  });

  it('shows its role to load balancers', async () => {
    expect((await pg1.get('/healthz')).status).to.equal(200);
    expect((await pg1.get('/primary')).status).to.equal(200);
    expect((await pg1.get('/replica')).status).to.equal(503);
    expect((await pg2.get('/replica?lag=1000000')).status).to.equal(200);
    expect((await pg2.get('/primary')).body['reason']).to.equal('PostgreSQL: standby');
    expect(JSON.stringify((await pg1.get('/status')).body)).not.to.match(/password|passfile/);
  });

  it('keeps clear-text passwords out of its log and of every command line', () => {
    for (const each of [pg1, pg2]) expect(each.log).not.to.match(/(replication|owner)-password/);
  });

  it('applies changed settings by reload, and says which need a restart', async () => {
    const parameters = { ...SETTINGS.parameters, work_mem: '5MB', max_connections: '41' };
    leader.assign('pg1', primary(null, ['pg2']), { settings: { ...SETTINGS, parameters } });
    const { report } = await leader.until(
      'pg1',
      ({ postgres }) => postgres.state === 'primary' && postgres.pendingRestart.length > 0,
    );
    expect(report.postgres).to.have.deep.property('pendingRestart', ['max_connections']);
    expect(await pg1.sql('show work_mem')).to.equal('5MB');
    leader.assign('pg1', primary(null, ['pg2']));
    await leader.until(
      'pg1',
      ({ postgres }) => postgres.state === 'primary' && postgres.pendingRestart.length === 0,
    );
  });

  it('drops slots of servers that are gone', async () => {
    leader.assign('pg1', primary(null, ['pg2', 'pg3']));
    const slots = async (): Promise<string> =>
      await pg1.sql("select string_agg(slot_name, ' ' order by 1) from pg_replication_slots");
    await eventually(async () => (await slots()) === 'pgswarm_pg2 pgswarm_pg3');
    leader.assign('pg1', primary(null, ['pg2']));
    await eventually(async () => (await slots()) === 'pgswarm_pg2');
  });

  it('kills what outlives a killed postmaster, and starts it again in place', async () => {
    // It never waits, so it does not notice the postmaster's death.
    void pg1.sql('do $$ begin loop end loop; end $$').catch(() => undefined);
    const busy = "select pid from pg_stat_activity where query like 'do %' and state = 'active'";
    await eventually(async () => (await pg1.sql(busy)) !== '');
    const backend = Number(await pg1.sql(busy));
    const postmaster = pg1.postmasterPid;
    const killedAtMs = performance.now();
    process.kill(postmaster, 'SIGKILL');
    const running = await leader.until(
      'pg1',
      (report) => isPrimary(report) && pg1.postmasterPid !== postmaster,
    );
    note('crash until it accepts writes again', running.atMs - killedAtMs);
    const stopped = leader.history.find(
      ({ atMs, report }) =>
        atMs > killedAtMs && report.server === 'pg1' && report.postgres.state === 'stopped',
    );
    expect(stopped?.report.postgres).to.have.nested.property(
      'control.clusterState',
      'in production',
    );
    expect(isAlive(backend)).to.equal(false);
    await leader.until('pg2', isStreaming);
  });

  it('tries settings and pg_hba.conf before it takes them, and stays able to start', async () => {
    const bad: readonly { readonly settings: InstanceSettings; readonly reason: string }[] = [
      { settings: { ...SETTINGS, parameters: { work_mam: '4MB' } }, reason: 'ParameterRefused' },
      { settings: { ...SETTINGS, hba: ['host all all 10.0.0.0/99 md5'] }, reason: 'HbaRefused' },
    ];
    for (const { settings, reason } of bad) {
      leader.assign('pg1', primary(null, ['pg2']), { settings });
      const { report } = await leader.until('pg1', ({ problem }) => problem?.reason === reason);
      console.log(`      ${report.problem?.message ?? ''}`);
      const postmaster = pg1.postmasterPid;
      process.kill(postmaster, 'SIGKILL');
      await leader.until('pg1', (each) => isPrimary(each) && pg1.postmasterPid !== postmaster);
    }
    leader.assign('pg1', primary(null, ['pg2']));
    await leader.until('pg1', ({ problem }) => problem === null);
    await leader.until('pg2', isStreaming);
  });

  it('stops PostgreSQL in order on SIGTERM, and starts a standby again by itself', async () => {
    const beganAtMs = performance.now();
    pg2.signal('SIGTERM');
    pg2.signal('SIGTERM');
    expect(await pg2.ended()).to.equal(0);
    note('SIGTERM until the end', performance.now() - beganAtMs);
    expect(leader.last('pg2')?.postgres.state).to.equal('stopped');
    expect(await pg2.controlData()).to.match(/cluster state: +shut down in recovery/);
    leader.forget('pg2');
    await pg2.start();
    const { report } = await leader.until(
      'pg2',
      ({ obeys, postgres }) => obeys === null && postgres.state === 'standby',
    );
    expect(report.volume.kind).to.equal('tagged');
    leader.assign('pg2', { kind: 'standby', upstream: upstream('pg2', pg1, 'pg1'), ...STANDBY });
    await leader.until('pg2', isStreaming);
  });

  it('is told another upstream at the very moment in which it starts', async () => {
    for (let round = 1; round <= 3; round += 1) {
      pg2.signal('SIGTERM');
      await pg2.ended();
      leader.forget('pg2');
      leader.assign('pg2', { kind: 'standby', upstream: upstream('pg2', pg1, 'pg1'), ...STANDBY });
      const loggedBefore = pg2.log.length;
      await pg2.start();
      await leader.until('pg2', isStreaming);
      expect(pg2.log.slice(loggedBefore)).not.to.include('has ended by itself');
    }
  });

  it('says why it does not stream', async () => {
    const from = { ...upstream('pg2', pg1, 'pg1'), slot: 'pgswarm_absent' };
    leader.assign('pg2', { kind: 'standby', upstream: from, ...STANDBY });
    const { report } = await leader.until('pg2', ({ problem }) => problem !== null);
    console.log(`      ${report.problem?.message ?? ''}`);
    expect(report.problem?.reason).to.equal('SlotMissing');
    leader.assign('pg2', { kind: 'standby', upstream: upstream('pg2', pg1, 'pg1'), ...STANDBY });
    await leader.until('pg2', (each) => isStreaming(each) && each.problem === null);
  });

  it('leaves a former primary alone until it is told its role', async () => {
    pg1.signal('SIGTERM');
    expect(await pg1.ended()).to.equal(0);
    const loggedBefore = pg1.log.length;
    expect(await pg1.controlData()).to.match(/cluster state: +shut down\n/);
    leader.forget('pg1');
    await pg1.start();
    await leader.until('pg1', ({ obeys }) => obeys === null);
    leader.assign('pg1', { kind: 'wait', because: 'test' });
    const { report } = await leader.until('pg1', ({ obeys }) => obeys?.task === 'wait');
    expect(report.postgres.state).to.equal('stopped');
    leader.assign('pg1', primary(null, ['pg2']));
    await leader.until('pg1', isPrimary);
    expect(pg1.log.slice(loggedBefore)).not.to.include('automatic recovery in progress');
    await leader.until('pg2', isStreaming);
  });

  it('ignores an assignment of an older term', async () => {
    leader.assign('pg2', { kind: 'stop', because: 'late' }, { term: 0 });
    await eventually(() => Promise.resolve(pg2.log.includes('Assignment ignored')));
    expect((await pg2.get('/healthz')).body['state']).to.equal('standby');
    leader.assign('pg2', { kind: 'standby', upstream: upstream('pg2', pg1, 'pg1'), ...STANDBY });
  });

  it('leaves an empty volume when it is killed while it clones', async () => {
    const pg3 = instance('pg3');
    await pg3.start();
    leader.assign('pg3', { kind: 'clone', volumeId: 'v3', from: upstream('pg3', pg1, 'pg1') });
    await eventually(() => Promise.resolve(existsSync(join(pg3.volume, 'pgdata.new/base'))));
    await pg3.die();
    leader.forget('pg3');
    await pg3.start();
    const { report } = await leader.until(
      'pg3',
      ({ obeys, volume }) => obeys === null && volume.kind !== 'tagged',
    );
    expect(report.volume.kind).to.equal('empty');
    expect(existsSync(join(pg3.volume, 'pgdata.new'))).to.equal(false);
    pg3.signal('SIGTERM');
    await pg3.ended();
  });

  it('says why it cannot clone, and touches nothing', async () => {
    const pg3 = instance('pg3');
    await pg3.start();
    const from = upstream('pg3', pg1, 'pg1');
    const rows = [
      { from: { ...from, systemIdentifier: '1' }, reason: 'UpstreamForeign' },
      { from: { ...from, port: 1 }, reason: 'UpstreamUnreachable' },
    ];
    for (const row of rows) {
      leader.assign('pg3', { kind: 'clone', volumeId: row.reason, from: row.from });
      const { report } = await leader.until('pg3', ({ problem }) => problem?.reason === row.reason);
      console.log(`      ${report.problem?.message ?? ''}`);
      expect(report.volume.kind).to.equal('empty');
    }
    pg3.signal('SIGTERM');
    await pg3.ended();
  });

  it('refuses a volume of another server', async () => {
    const pg4 = instance('pg4');
    pg4.place('pgswarm.json', readFileSync(join(pg2.volume, 'pgswarm.json'), 'utf8'));
    pg4.placeDirectory('pgdata');
    await pg4.start();
    leader.assign('pg4', { kind: 'initialise', volumeId: 'v4' });
    const { report } = await leader.until('pg4', ({ problem }) => problem !== null);
    console.log(`      ${report.problem?.message ?? ''}`);
    expect(report.problem?.reason).to.equal('VolumeForeign');
    expect(report.problem?.message).to.include('it belongs to server pg2 of cluster orders');
    pg4.signal('SIGTERM');
    await pg4.ended();
  });

  it('keeps its own memory small', () => {
    console.log(`      resident: ${pg1.residentMegabytes()} and ${pg2.residentMegabytes()} MB`);
  });
});

/** A zombie, which only waits to be reaped, is not alive. */
function isAlive(pid: number): boolean {
  try {
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return false;
  }
}

async function eventually(isSo: () => Promise<boolean>, timeoutMs = 60_000): Promise<void> {
  for (const deadline = Date.now() + timeoutMs; ;) {
    if (await isSo().catch(() => false)) return;
    if (Date.now() > deadline) {
      throw new Error(`did not happen within ${timeoutMs} ms: ${String(isSo)}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
