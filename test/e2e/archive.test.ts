/**
 * The archives of a pair, on real volumes: the same on both, whole again after a loss, the way back
 * for a standby that fell too far behind, and no obstacle to anything when one of them fails.
 */
import { expect } from 'chai';
import { type BackupStatus } from '../../src/core/status';
import { eventually } from '../support/eventually';
import { Deployment } from './deployment';

const CLUSTER = 'vault';
const ARCHIVE = '/var/lib/pgswarm/archive';
const SEGMENTS = 6;
const SUMMARIZED = `
select current_setting('summarize_wal') = 'on' and pending_lsn > pg_last_wal_replay_lsn() - 65536
  from pg_get_wal_summarizer_state()`;

/** WAL that is not in the archive is soon gone from the primary. */
const spec = (primary = 'pg1'): string => `
apiVersion: pgswarm.dev/v1
kind: PostgresCluster
metadata: { name: ${CLUSTER} }
spec:
  postgres:
    version: 17
    parameters:
      wal_keep_size: 0
      max_slot_wal_keep_size: 32MB
      min_wal_size: 32MB
      max_wal_size: 64MB
      summarize_wal: on
  network: { subnet: 10.0.221.0/24 }
  primary: ${primary}
  servers:
    - { name: pg1, node: { hostname: n1 }, port: 5451 }
    - { name: pg2, node: { hostname: n2 }, port: 5451 }
  archive: { timeout: 5s }
`;

describe('the archives of a pair', function () {
  this.timeout(300_000);
  let deployment: Deployment;

  const service = (server: string): string => `pgswarm-${CLUSTER}-${server}`;
  const sql = async (server: string, text: string): Promise<string> =>
    deployment.asSuperuser(CLUSTER, server, text);
  /** Names of the WAL files: they tell the hash of what is in them. */
  const archived = async (server: string): Promise<string[]> => {
    const find = ['find', ARCHIVE, '-path', '*/wal/*', '-type', 'f', '-printf', '%f\\n'];
    const names = await deployment.inside(service(server), find);
    return names
      .split('\n')
      .filter((name) => /^[0-9A-F]{24}-|history/.test(name))
      .toSorted();
  };
  /** As many whole segments as asked for, with something in each. */
  const write = async (segments = SEGMENTS): Promise<void> => {
    const { primary } = (await deployment.status(CLUSTER))!;
    for (let left = segments; left > 0; left -= 1) {
      await sql(primary!, 'create table if not exists marks (at timestamptz default now())');
      await sql(primary!, 'insert into marks default values');
      await sql(primary!, 'select pg_switch_wal()');
    }
    await sql(primary!, 'checkpoint');
  };
  /** The last segment of a timeline that was left is every server's own: it is not compared. */
  const shared = (names: readonly string[], others: readonly string[]): readonly string[] => {
    const newest = names
      .toSorted()
      .findLast((name) => !name.includes('history'))!
      .slice(0, 8);
    const isLast = (name: string): boolean =>
      !name.includes('history') &&
      name.slice(0, 8) !== newest &&
      ![...names, ...others].some(
        (each) => each.slice(0, 8) === name.slice(0, 8) && each.slice(0, 24) > name.slice(0, 24),
      );
    return names.filter((name) => !isLast(name));
  };
  const areEqual = async (): Promise<readonly string[]> =>
    eventually(async () => {
      const [one, other] = [await archived('pg1'), await archived('pg2')];
      expect(shared(one, other)).to.deep.equal(shared(other, one));
      return shared(one, other);
    });

  before(async function () {
    this.timeout(900_000);
    deployment = await Deployment.open();
    const file = deployment.file('vault.yaml', spec());
    await deployment.mustPgswarm('apply', '-f', file, '--wait=120');
  });

  afterEach(async function () {
    if (this.currentTest?.state === 'failed') await deployment.keepLogs(CLUSTER, 'archive');
  });

  after(async () => deployment.mustPgswarm('delete', CLUSTER, '--volumes', '--yes'));

  it('hold the same files, the first one included, and the status says what was last', async () => {
    await write();
    const last = await sql('pg1', 'select pg_walfile_name(pg_current_wal_lsn())');
    await eventually(async () => {
      const { servers } = (await deployment.status(CLUSTER))!;
      for (const { archive } of servers) {
        expect(archive!.lastArchivedWal! >= last.slice(0, 23), archive!.lastArchivedWal!).to.equal(
          true,
        );
        expect(archive).to.include({ failedSince: null });
      }
    });
    const names = await areEqual();
    expect(names.length).to.be.greaterThan(SEGMENTS);
    expect(names[0]).to.match(/^000000010000000000000001-[0-9a-f]{32}\.zst$/);
  });

  it('go on with the history of a new timeline after a switchover', async () => {
    await deployment.mustPgswarm('promote', CLUSTER, 'pg2');
    await write(2);
    const names = await areEqual();
    expect(names.filter((name) => name.startsWith('00000002'))).to.have.length.greaterThan(2);
    await deployment.mustPgswarm('promote', CLUSTER, 'pg1');
    await deployment.ready(CLUSTER, 'pg1');
  });

  it('bring a standby back that its primary has no WAL for any more', async () => {
    const volume = await deployment.inside(service('pg2'), [
      'cat',
      '/var/lib/pgswarm/data/pgswarm.json',
    ]);
    await deployment.mustPgswarm('fence', CLUSTER, 'pg2');
    await write(8);
    await deployment.mustPgswarm('unfence', CLUSTER, 'pg2');
    await deployment.ready(CLUSTER, 'pg1');
    const logs = await deployment.logs(service('pg2'));
    expect(logs).to.match(/restored log file \\"0000000300000000000000/);
    expect(logs).to.not.match(/"action":"reclone"/);
    const after = await deployment.inside(service('pg2'), [
      'cat',
      '/var/lib/pgswarm/data/pgswarm.json',
    ]);
    expect(after).to.equal(volume);
    await areEqual();
  });

  it('are filled again from the other one when a whole archive is lost', async () => {
    const before = await areEqual();
    await deployment.inside(service('pg2'), ['sh', '-c', `rm -rf ${ARCHIVE}/*`]);
    await deployment.killContainer(service('pg2'));
    await deployment.ready(CLUSTER, 'pg1');
    await eventually(async () => expect(await archived('pg2')).to.include.members(before));
    await areEqual();
  });

  it('keep backups on both: full, the changes since, a dump and a snapshot', async () => {
    const backup = async (...args: readonly string[]): Promise<BackupStatus> => {
      await deployment.mustPgswarm('backup', CLUSTER, ...args);
      const { backups } = (await deployment.status(CLUSTER))!;
      return backups.at(-1)!;
    };
    // Behind a restart in the midst of a way back over timelines the summarizer is stuck for ever.
    await eventually(async () => {
      for (const server of ['pg1', 'pg2']) await sql(server, 'checkpoint');
      expect(await sql('pg2', SUMMARIZED)).to.equal('t');
    });
    await deployment.sql(CLUSTER, 'create table ballast as select generate_series(1, 100000) i');
    const full = await backup();
    expect(full).to.deep.include({ method: 'base', parent: null, server: 'pg2', problem: null });
    expect(full.verifiedAt).to.not.equal(null);
    await deployment.sql(CLUSTER, 'insert into ballast select generate_series(100001, 120000)');
    const changes = await backup('--incremental');
    expect(changes).to.deep.include({ method: 'base', parent: full.id, problem: null });
    expect(changes.bytes).to.be.lessThan(full.bytes);
    const dump = await backup('--method', 'dump', '--server', 'pg1');
    expect(dump).to.deep.include({ method: 'dump', wal: null, server: 'pg1', problem: null });
    const snapshot = await backup('--method', 'snapshot');
    expect(snapshot).to.deep.include({ method: 'snapshot', parent: null, server: 'pg2' });
    expect(snapshot.problem).to.equal(null);
    const text = await deployment.mustPgswarm('backups', CLUSTER);
    for (const { id } of [full, changes, dump, snapshot]) expect(text).to.include(id);
    await deployment.until(CLUSTER, 'a copy of each on both', ({ backups }) =>
      backups.every(({ on }) => on.join() === 'pg1,pg2'),
    );
  });

  /** From a backup that is long over: WAL makes up for what was written since. */
  const restorable: readonly {
    readonly name: string;
    readonly server: string;
    readonly isIt: (backup: BackupStatus) => boolean;
  }[] = [
    {
      name: 'changes and what they build on, put together where they were copied to',
      server: 'pg1',
      isIt: ({ parent }) => parent !== null,
    },
    {
      name: 'a snapshot, where it was taken',
      server: 'pg2',
      isIt: ({ method }) => method === 'snapshot',
    },
  ];
  for (const { name, server, isIt } of restorable) {
    it(`bring every row back from ${name}`, async () => {
      const { primary, backups } = (await deployment.status(CLUSTER))!;
      const { id } = backups.find(isIt)!;
      await deployment.sql(CLUSTER, 'delete from ballast where i % 7 = 0');
      await deployment.sql(CLUSTER, 'insert into ballast select generate_series(200001, 210000)');
      const last = await sql(primary!, 'select pg_walfile_name(pg_switch_wal())');
      await eventually(async () =>
        expect((await archived(server)).some((each) => each.startsWith(last))).to.equal(true),
      );
      const wanted = ['--backup', id, '--server', server, '--wait', '120'];
      await deployment.mustPgswarm('restore', CLUSTER, '--preview', '--latest', ...wanted);
      const query = "select count(*), md5(string_agg(i::text, ',' order by i)) from ballast";
      const restored = await deployment.mustPgswarm(
        ...['psql', CLUSTER, '--preview', '--', '-qAt', '-c', query],
      );
      expect(restored.trim()).to.equal(await deployment.sql(CLUSTER, query));
      await deployment.mustPgswarm('restore', CLUSTER, '--end-preview');
    });
  }

  it('keep nothing from going on when one fails: a switchover is as fast, the condition says why', async () => {
    const mode = async (bits: string): Promise<string> =>
      deployment.inside(service('pg1'), ['sh', '-c', `chmod ${bits} ${ARCHIVE}/*/incoming`]);
    await mode('500');
    await write(2);
    const failing = await deployment.until(CLUSTER, 'a condition', ({ conditions }) =>
      conditions.some(({ type, status }) => type === 'WalArchived' && status === 'False'),
    );
    const condition = failing.conditions.find(({ type }) => type === 'WalArchived')!;
    expect(condition.reason).to.equal('ArchiveVolumeDenied');
    expect(condition.message).to.match(/pg1 has archived nothing for .*permission is denied/);
    await deployment.mustPgswarm('promote', CLUSTER, 'pg2');
    const { lastChange } = (await deployment.status(CLUSTER))!;
    expect(lastChange).to.include({ kind: 'switchover', to: 'pg2', lostBytes: 0 });
    expect(lastChange!.writeGapMs).to.be.lessThan(3000);
    await mode('700');
    await deployment.until(CLUSTER, 'archiving again', ({ conditions }) =>
      conditions.every(({ type, status }) => type !== 'WalArchived' || status === 'True'),
    );
    await areEqual();
  });
});
