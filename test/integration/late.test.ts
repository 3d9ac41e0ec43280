/**
 * Standbys that are late on purpose, with real PostgreSQL: one that is fed from the archive alone,
 * beside a pair. It asks the archives of the others for what it needs.
 */
import { randomBytes } from 'node:crypto';
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { compareLsn } from '../../src/core/lsn';
import { slotName } from '../../src/core/names';
import { type Report, type Task } from '../../src/core/protocol';
import { type LateSpec } from '../../src/core/spec';
import { eventually } from '../support/eventually';
import { FakeLeader } from './support/fake-leader';
import { findBinDirectory, InstanceProcess, runAs } from './support/instance-process';
import { settingsWith } from './support/told';

const CLUSTER = 'orders';
const SETTINGS = settingsWith({ hba: [] });
const SHIPPED: LateSpec = { replication: 'archive', hotStandby: true, applyDelayMs: 0 };
const DELAYED: LateSpec = { ...SHIPPED, replication: 'streaming', applyDelayMs: 3_600_000 };

/** What a standby is told besides its upstream. */
const STANDBY = { slots: [], sync: null, restartFor: null } as const;
const PRIMARY: Extract<Task, { kind: 'primary' }> = {
  kind: 'primary',
  slots: ['pg1', 'pg2'].map(slotName),
  checkpointFor: null,
  contract: null,
  sync: null,
  restartFor: null,
};

const isPrimary = ({ postgres }: Report): boolean => postgres.state === 'primary';
const isStandby = ({ postgres }: Report): boolean => postgres.state === 'standby';

describe('a standby that is late on purpose', function () {
  this.timeout(180_000);

  const binDirectory = findBinDirectory();
  const identity = runAs();
  const instances: InstanceProcess[] = [];
  let root: string;
  let leader: FakeLeader;
  let pg1: InstanceProcess;
  let pg2: InstanceProcess;
  let pg3: InstanceProcess;
  let systemIdentifier = '';

  const start = async (
    server: string,
    leaderPort: number,
    peers: Readonly<Record<string, number>> = {},
  ): Promise<InstanceProcess> => {
    const { key } = leader;
    const options = { root, cluster: CLUSTER, server, key, leaderPort };
    const instance = new InstanceProcess({ ...options, binDirectory: binDirectory ?? '' });
    instance.variables = { PGSWARM_TEST_PEERS: JSON.stringify(peers) };
    instances.push(instance);
    await instance.start();
    return instance;
  };
  const upstream = (from: InstanceProcess, server: string, slot: string | null) => ({
    ...{ server, host: '127.0.0.1', port: from.port },
    ...{ slot: slot === null ? null : slotName(slot), systemIdentifier },
  });
  const standby = (from: InstanceProcess, server: string, slot: string | null) => ({
    ...{ kind: 'standby' as const, upstream: upstream(from, server, slot) },
    ...STANDBY,
  });
  /** pg3 is told to be late in this way, from now on. */
  const assignLate = (task: Task, late: LateSpec): void =>
    leader.assign('pg3', task, { settings: { ...SETTINGS, late }, others: ['pg1', 'pg2'] });
  /** Everything that the server has written so far is in its archive when this returns. */
  const archived = async (server: string, from: InstanceProcess): Promise<string> => {
    const end = await from.sql('select pg_walfile_name(pg_switch_wal())');
    const { report } = await leader.until(
      server,
      ({ archive }) => (archive?.last?.file ?? '') >= end,
    );
    return report.archive?.last?.endLsn ?? '';
  };
  const count = async (): Promise<string> => await pg3.sql('select count(*) from notes');
  const untilCount = async (wanted: string): Promise<void> =>
    await eventually(async () => {
      expect(await count()).to.equal(wanted);
    });

  before(async function () {
    if (binDirectory === null || identity === null) {
      console.log('    skipped: needs PostgreSQL under /usr/lib/postgresql and the user postgres');
      this.skip();
    }
    root = mkdtempSync(join(tmpdir(), 'pgswarm-late-'));
    chmodSync(root, 0o755);
    leader = new FakeLeader(CLUSTER, randomBytes(32), SETTINGS);
    const port = await leader.listen();
    [pg1, pg2] = [await start('pg1', port), await start('pg2', port)];
    pg3 = await start('pg3', port, { pg1: pg1.peerPort, pg2: pg2.peerPort });
    leader.assign('pg1', { kind: 'initialise', volumeId: 'v1' });
    const { report } = await leader.until('pg1', ({ volume }) => volume.kind === 'tagged');
    if (report.volume.kind === 'tagged') systemIdentifier = report.volume.tag.systemIdentifier;
    leader.assign('pg1', PRIMARY);
    await leader.until('pg1', isPrimary);
    await pg1.sql('create table notes (words text)');
    leader.assign('pg2', { kind: 'clone', volumeId: 'v2', from: upstream(pg1, 'pg1', 'pg2') });
    await leader.until('pg2', ({ volume }) => volume.kind === 'tagged');
    leader.assign('pg2', standby(pg1, 'pg1', 'pg2'));
    await leader.until('pg2', isStandby);
  });

  after(async function () {
    if (binDirectory === null || identity === null) return;
    for (const each of instances) await each.die();
    leader.close();
    if (process.env['KEEP'] === undefined) rmSync(root, { recursive: true, force: true });
  });

  it('is cloned, and follows by what is archived, without a stream and without a slot', async () => {
    const clone = { kind: 'clone', volumeId: 'v3', from: upstream(pg1, 'pg1', null) } as const;
    assignLate(clone, SHIPPED);
    await leader.until('pg3', ({ volume }) => volume.kind === 'tagged');
    assignLate(standby(pg1, 'pg1', null), SHIPPED);
    await leader.until('pg3', isStandby);
    await pg1.sql("insert into notes values ('first')");
    const endLsn = await archived('pg1', pg1);
    await untilCount('1');
    const { report } = await leader.until(
      'pg3',
      ({ postgres }) =>
        postgres.state === 'standby' && compareLsn(postgres.replayedLsn, endLsn) >= 0,
    );
    expect(report.postgres).to.include({ state: 'standby', receiver: null });
    expect(report.problem).to.equal(null);
    expect(await pg1.sql('select count(*) from pg_stat_replication')).to.equal('1');
    const slots = 'select string_agg(slot_name, $$ $$ order by 1) from pg_replication_slots';
    expect(await pg1.sql(slots)).to.equal('pgswarm_pg1 pgswarm_pg2');
    // What it has restored is in its own archive as well, without an alarm.
    expect(report.archive?.failure).to.equal(null);
  });

  it('follows a new timeline by itself', async () => {
    leader.assign('pg1', { kind: 'stop', because: 'test' });
    await leader.until('pg1', ({ postgres }) => postgres.state === 'stopped');
    leader.nextTerm();
    leader.assign('pg2', PRIMARY);
    await leader.until('pg2', isPrimary);
    assignLate(standby(pg2, 'pg2', null), SHIPPED);
    await pg2.sql("insert into notes values ('second')");
    await archived('pg2', pg2);
    await untilCount('2');
    expect(leader.last('pg3')?.problem).to.equal(null);
  });

  it('streams when it is told to, and replays commits only when their time has come', async () => {
    await pg2.sql(`select pg_create_physical_replication_slot('${slotName('pg3')}')`);
    leader.assign('pg2', { ...PRIMARY, slots: ['pg1', 'pg2', 'pg3'].map(slotName) });
    assignLate(standby(pg2, 'pg2', 'pg3'), DELAYED);
    await leader.until(
      'pg3',
      ({ postgres }) => postgres.state === 'standby' && postgres.receiver?.status === 'streaming',
    );
    await eventually(async () => {
      expect(await pg3.sql('show recovery_min_apply_delay')).to.equal('1h');
    });
    await pg2.sql("insert into notes values ('third')");
    const waiting = "select count(*) from pg_stat_activity where wait_event = 'RecoveryApplyDelay'";
    await eventually(async () => {
      expect(await pg3.sql(waiting)).to.equal('1');
    });
    expect(await count()).to.equal('2');
    assignLate(standby(pg2, 'pg2', 'pg3'), { ...DELAYED, applyDelayMs: 0 });
    await untilCount('3');
  });

  it('is warm without connections, and its position is seen all the same', async () => {
    const warm: LateSpec = { ...SHIPPED, hotStandby: false };
    const task = standby(pg2, 'pg2', null);
    assignLate(task, warm);
    const pending = ({ postgres }: Report): boolean =>
      postgres.state === 'standby' && postgres.pendingRestart.includes('hot_standby');
    await leader.until('pg3', pending);
    assignLate({ ...task, restartFor: 'cool' }, warm);
    const isWarm = ({ postgres, restartedFor }: Report): boolean =>
      restartedFor === 'cool' && postgres.state === 'standby' && postgres.isWarm === true;
    await leader.until('pg3', isWarm);
    expect(await count().catch(String)).to.include('not accepting connections');

    await pg2.sql("insert into notes values ('fourth')");
    const endLsn = await archived('pg2', pg2);
    const { report } = await leader.until(
      'pg3',
      ({ postgres }) =>
        postgres.state === 'standby' && compareLsn(postgres.replayedLsn, endLsn) >= 0,
    );
    expect(report.problem).to.equal(null);
    expect(report.postgres).to.include({ isWarm: true, systemIdentifier });

    assignLate({ ...task, restartFor: 'cool' }, SHIPPED);
    await leader.until('pg3', pending);
    assignLate({ ...task, restartFor: 'warm' }, SHIPPED);
    await leader.until(
      'pg3',
      ({ restartedFor, postgres }) =>
        restartedFor === 'warm' && postgres.state === 'standby' && postgres.isWarm === undefined,
    );
    await untilCount('4');
  });
});
