/** Two instance managers with real PostgreSQL on this machine, told what to be by a fake leader. */
import { randomBytes } from 'node:crypto';
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { compareLsn } from '../../src/core/lsn';
import { slotName } from '../../src/core/names';
import { type InstanceSettings, type Report, type Task } from '../../src/core/protocol';
import { FakeLeader } from './support/fake-leader';
import { findBinDirectory, InstanceProcess, runAs } from './support/instance-process';

const CLUSTER = 'orders';
const SETTINGS: InstanceSettings = {
  parameters: { shared_buffers: '32MB', max_connections: '40' },
  hba: ['host all all 127.0.0.1/32 scram-sha-256'],
  subnet: '10.0.200.0/24',
  database: 'app',
  owner: 'app',
};

const isPrimary = ({ postgres }: Report): boolean => postgres.state === 'primary';
const isStreaming = ({ postgres }: Report): boolean =>
  postgres.state === 'standby' && postgres.receiver?.status === 'streaming';
const isStopped = ({ postgres, obeys }: Report): boolean =>
  postgres.state === 'stopped' && obeys?.task === 'stop';

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

  const instance = (server: string): InstanceProcess =>
    new InstanceProcess({
      root,
      cluster: CLUSTER,
      server,
      key: leader.key,
      leaderPort,
      binDirectory: binDirectory ?? '',
    });
  const primary = (checkpointFor: string | null = null, slots: readonly string[] = []): Task => ({
    kind: 'primary',
    slots: slots.map(slotName),
    checkpointFor,
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
    for (const each of [pg1, pg2]) {
      each.signal('SIGTERM');
      await each.ended();
    }
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
    const beganAtMs = performance.now();
    leader.assign('pg2', { kind: 'clone', volumeId: 'v2', from: upstream('pg2', pg1, 'pg1') });
    const filled = await leader.until('pg2', ({ volume }) => volume.kind === 'tagged');
    note('clone', filled.atMs - beganAtMs);
    const startedAtMs = performance.now();
    leader.assign('pg2', { kind: 'standby', upstream: upstream('pg2', pg1, 'pg1') });
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
    leader.assign(to, { kind: 'standby', upstream: upstream(to, old, from) }, fast);

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
    leader.assign(from, { kind: 'standby', upstream: upstream(from, next, to) });
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

  it('keeps its own memory small', () => {
    console.log(`      resident: ${pg1.residentMegabytes()} and ${pg2.residentMegabytes()} MB`);
  });
});

async function eventually(isSo: () => Promise<boolean>, timeoutMs = 10_000): Promise<void> {
  for (const deadline = Date.now() + timeoutMs; ;) {
    if (await isSo().catch(() => false)) return;
    if (Date.now() > deadline) {
      throw new Error(`did not happen within ${timeoutMs} ms: ${String(isSo)}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
