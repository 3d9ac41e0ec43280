/**
 * A new cluster from the archive of another one, with real PostgreSQL: as it was just before a table
 * was dropped. The other cluster goes on meanwhile, and nothing of its archive is changed.
 */
import { randomBytes } from 'node:crypto';
import {
  chmodSync,
  chownSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  statSync,
  truncateSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { type BackupOrder } from '../../src/core/backup/backup';
import { type InstanceSettings, type Report, type Task } from '../../src/core/protocol';
import { restoreOrder } from '../../src/core/restore/bootstrap';
import { type TargetDocument } from '../../src/core/restore/target';
import { eventually } from '../support/eventually';
import { FakeLeader } from './support/fake-leader';
import { findBinDirectory, InstanceProcess, runAs } from './support/instance-process';

const VOLUME = 'pgswarm.orders.pg1.archive';
const FIRST = '20261121T010000Z';
const SECOND = '20261121T020000Z';
const settingsOf = (database: string): InstanceSettings => ({
  parameters: { shared_buffers: '32MB' },
  hba: ['host all all 127.0.0.1/32 scram-sha-256'],
  subnet: '10.0.200.0/24',
  database,
  owner: 'app',
  archive: { compression: 'gzip', timeoutMs: 300_000 },
  retention: { keep: null, maxAgeMs: null },
});
const PRIMARY: Task = {
  kind: 'primary',
  slots: [],
  checkpointFor: null,
  contract: null,
  sync: null,
  restartFor: null,
};
const ORDER: Omit<BackupOrder, 'id'> = {
  method: 'base',
  parent: null,
  format: 'tar',
  compression: 'gzip',
  bytesPerSecondMax: null,
  because: 'test',
};
const NUMBERS = 'select array_agg(n order by n) from numbers';
const TIMES = `'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'`;

const isFilled = ({ volume }: Report): boolean => volume.kind === 'tagged';
const isPrimary = ({ postgres }: Report): boolean => postgres.state === 'primary';

describe('a new cluster from the archive of another one', function () {
  this.timeout(180_000);

  const binDirectory = findBinDirectory();
  let root = '';
  let orders: FakeLeader;
  let copies: FakeLeader;
  let ordersPort = 0;
  let copiesPort = 0;
  let source: InstanceProcess;
  const instances: InstanceProcess[] = [];
  /** Of the last commit before the table is dropped. */
  let last: { readonly at: string; readonly xid: string; readonly lsn: string };
  let systemIdentifier = '';

  const archive = (): string => join(source.home, 'archive');
  const instance = (cluster: 'orders' | 'copies', server: string): InstanceProcess => {
    const [leader, leaderPort] = cluster === 'orders' ? [orders, ordersPort] : [copies, copiesPort];
    const options = { root: join(root, cluster), cluster, server, leaderPort, key: leader.key };
    instances.push(new InstanceProcess({ ...options, binDirectory: binDirectory ?? '' }));
    return instances.at(-1)!;
  };
  /** A server of a new cluster, with an archive of `orders` beside its own. */
  const copy = async (server: string, directory = archive()): Promise<InstanceProcess> => {
    const made = instance('copies', server);
    made.variables = { PGSWARM_SOURCE_DIR: directory };
    await made.start();
    return made;
  };
  /** Another volume with the same archive, to be spoilt. */
  const spoilt = (name: string, spoil: (folder: string) => void): string => {
    const directory = join(root, name);
    cpSync(archive(), directory, { recursive: true });
    spoil(join(directory, systemIdentifier));
    own(directory);
    return directory;
  };
  const restoring = (target: TargetDocument, backup?: string): Task => {
    const named = backup === undefined ? {} : { backup };
    const source = { volume: VOLUME, target: target as object, ...named };
    return { kind: 'initialise', volumeId: 'v1', restore: restoreOrder(source) };
  };
  const restored = async (server: string, target: TargetDocument): Promise<Report> => {
    copies.assign(server, restoring(target));
    return (await copies.until(server, isFilled, 60_000)).report;
  };
  const refusal = async (server: string, task: Task): Promise<string> => {
    copies.assign(server, { kind: 'wait', because: 'test' });
    await copies.until(server, ({ obeys, problem }) => obeys?.task === 'wait' && problem === null);
    copies.assign(server, task);
    const { report } = await copies.until(server, ({ problem }) => problem !== null, 60_000);
    expect(report.volume.kind).to.equal('empty');
    return report.problem!.message;
  };
  const takeBackup = async (id: string, changes: Partial<BackupOrder> = {}): Promise<void> => {
    orders.assign('pg1', PRIMARY, { backup: { ...ORDER, id, ...changes } });
    const { report } = await orders.until(
      'pg1',
      ({ backup }) => backup?.state !== 'running' && backup?.id === id,
    );
    expect(report.backup?.words).to.equal('complete and verified');
  };
  const archived = async (): Promise<void> => {
    const segment = await source.sql('select pg_walfile_name(pg_switch_wal())');
    const archivedLast = 'select last_archived_wal from pg_stat_archiver';
    await eventually(async () => expect(await source.sql(archivedLast)).to.equal(segment));
  };

  before(async function () {
    if (binDirectory === null || runAs() === null) {
      console.log('    skipped: needs PostgreSQL under /usr/lib/postgresql and the user postgres');
      this.skip();
    }
    root = mkdtempSync(join(tmpdir(), 'pgswarm-new-'));
    chmodSync(root, 0o755);
    for (const name of ['orders', 'copies']) mkdirSync(join(root, name));
    orders = new FakeLeader('orders', randomBytes(32), settingsOf('app'));
    copies = new FakeLeader('copies', randomBytes(32), settingsOf('fresh'));
    ordersPort = await orders.listen();
    copiesPort = await copies.listen();
    source = instance('orders', 'pg1');
    await source.start();
    orders.assign('pg1', { kind: 'initialise', volumeId: 'v1' });
    await orders.until('pg1', isFilled);
    orders.assign('pg1', PRIMARY);
    await orders.until('pg1', isPrimary);
    await eventually(async () => await source.sql('create role marker'));
    await source.sql('create table numbers (n int)');
    await source.sql('insert into numbers values (1)');
    // It is the one to begin with for a point before the second.
    await takeBackup(FIRST, { method: 'snapshot', format: 'plain' });
    await source.sql('insert into numbers values (2)');
    await source.sql("select pg_create_restore_point('between')");
    await takeBackup(SECOND);
    const xid = await source.sql('insert into numbers values (3) returning pg_current_xact_id()');
    const lsn = await source.sql('select pg_current_wal_lsn()');
    const at = await source.sql(`select to_char(now() at time zone 'UTC', ${TIMES})`);
    last = { at, xid, lsn };
    await source.sql('drop table numbers');
    await source.sql('create table later ()');
    systemIdentifier = await source.sql('select system_identifier from pg_control_system()');
    await archived();
  });

  after(async () => {
    if (root === '') return;
    for (const each of instances) await each.die();
    orders.close();
    copies.close();
    if (process.env['KEEP'] === undefined) rmSync(root, { recursive: true, force: true });
  });

  it('is as the other one was just before a table was dropped, on a timeline of its own', async () => {
    const seen = filesIn(archive());
    const pg1 = await copy('pg1');
    const { volume, postgres } = await restored('pg1', { time: last.at });
    expect(volume).to.deep.include({
      tag: { cluster: 'copies', server: 'pg1', systemIdentifier, volumeId: 'v1' },
    });
    expect(postgres).to.deep.include({ state: 'stopped', standbySignal: false });
    if (postgres.state !== 'stopped') throw new Error('it runs');
    expect(postgres.control).to.deep.include({ timeline: 2, clusterState: 'shut down' });
    expect(filesIn(archive())).to.deep.equal(seen);

    copies.assign('pg1', PRIMARY);
    await copies.until('pg1', isPrimary);
    expect(await pg1.sql(NUMBERS)).to.equal('{1,2,3}');
    expect(await pg1.sql('show fsync')).to.equal('on');
    expect(await pg1.sql('show archive_mode')).to.equal('always');
    // The database of its own spec was not in what is restored.
    const databases = `select datname from pg_database where datname in ('app', 'fresh') order by 1`;
    await eventually(async () => expect(await pg1.sql(databases)).to.equal('app\nfresh'));
  });

  it('archives its own timeline from the fork on, in its own volume', async () => {
    const pg1 = instances.at(-1)!;
    const segment = await pg1.sql('select pg_walfile_name(pg_switch_wal())');
    const own = join(pg1.home, 'archive', systemIdentifier, 'wal');
    await eventually(async () => {
      const names = filesIn(own).map(({ path }) => path.replace(/^.*\//, ''));
      expect(names.join('\n')).to.include('00000002.history').and.to.include(segment);
      const segments = names.filter((name) => /^[0-9A-F]{24}-/.test(name));
      expect(segments.filter((name) => !name.startsWith('00000002'))).to.deep.equal([]);
      const first = segments.toSorted()[0]?.slice(8, 24);
      expect(first).to.equal(segmentOf(last.lsn));
      await Promise.resolve();
    });
    await pg1.die();
  });

  const points: readonly {
    readonly name: string;
    readonly target: () => TargetDocument;
    readonly numbers: string;
  }[] = [
    {
      name: 'just before a transaction',
      target: () => ({ xid: last.xid, exclusive: true }),
      numbers: '{1,2}',
    },
    {
      name: 'a restore point from before the newest backup',
      target: () => ({ name: 'between' }),
      numbers: '{1,2}',
    },
  ];
  for (const [index, { name, target, numbers }] of points.entries()) {
    it(`is as the other one was at ${name}`, async () => {
      const server = `pg${index + 3}`;
      const made = await copy(server);
      await restored(server, target());
      copies.assign(server, PRIMARY);
      await copies.until(server, isPrimary);
      expect(await made.sql(NUMBERS)).to.equal(numbers);
      await made.die();
    });
  }

  it('refuses what cannot be reached, and tries again with what can', async () => {
    const made = await copy('pg5');
    const early = await refusal('pg5', restoring({ time: '2020-01-01T00:00:00Z' }));
    expect(early).to.match(
      /2020-01-01T00:00:00Z is before the first usable backup.*earliest point/,
    );
    expect(await refusal('pg5', restoring({ lsn: '9/0' }))).to.match(
      /9\/0 is not in reach: the archive's WAL ends at/,
    );
    expect(await refusal('pg5', restoring({ name: 'nowhere' }))).to.match(
      /restore point "nowhere" on timeline 1 was not met.*check the name/,
    );
    expect(await refusal('pg5', restoring({ latest: true }, '20200101T000000Z'))).to.include(
      'it holds no base backup 20200101T000000Z',
    );
    expect(readdirSync(made.volume)).to.not.include('pgdata');
    await restored('pg5', { latest: true });
    await made.die();
  });

  it('names what is wrong with the volume', async () => {
    const empty = join(root, 'empty');
    mkdirSync(empty);
    const broken = spoilt('broken', (folder) => {
      rmSync(join(folder, 'backups', FIRST), { recursive: true });
      rmSync(join(folder, 'backups', SECOND, 'backup.json'));
    });
    const truncated = spoilt('truncated', (folder) => {
      truncateSync(join(folder, 'backups', SECOND, 'data/base.tar.gz'), 100_000);
    });
    const sentences = [
      [empty, /there is no archive in it\. Where a node has no volume of that name/],
      [
        broken,
        /no base backup that can be used; 20261121T020000Z cannot be used: backup.json is missing/,
      ],
      [truncated, /unpacking backup 20261121T020000Z/],
    ] as const;
    for (const [index, [directory, words]] of sentences.entries()) {
      const made = await copy(`pg${index + 6}`, directory);
      expect(await refusal(`pg${index + 6}`, restoring({ latest: true }))).to.match(words);
      await made.die();
    }
  });

  it('begins anew whenever it was killed', async () => {
    const made = await copy('pg9');
    for (const words of ['unpacking', 'comparing', 'replaying']) {
      copies.forget('pg9');
      copies.assign('pg9', restoring({ time: last.at }));
      await copies.until('pg9', ({ busy }) => busy?.startsWith(words) === true);
      await made.die();
      expect(readdirSync(made.volume)).to.not.include('pgdata');
      await made.start();
    }
    await restored('pg9', { time: last.at });
    copies.assign('pg9', PRIMARY);
    await copies.until('pg9', isPrimary);
    expect(await made.sql(NUMBERS)).to.equal('{1,2,3}');
    expect(readdirSync(made.volume)).to.not.include('pgdata.new');
  });

  function own(path: string): void {
    const { uid = -1, gid = -1 } = runAs() ?? {};
    const all = readdirSync(path, { recursive: true, encoding: 'utf8' });
    for (const each of ['', ...all]) chownSync(join(path, each), uid, gid);
  }
});

interface SeenFile {
  readonly path: string;
  readonly size: number;
  readonly mtimeMs: number;
}

function filesIn(directory: string): readonly SeenFile[] {
  return readdirSync(directory, { recursive: true, encoding: 'utf8' })
    .toSorted()
    .map((path) => {
      const { size, mtimeMs } = statSync(join(directory, path));
      return { path, size, mtimeMs };
    });
}

/** The part of a segment's name that says where it is, for segments of 16 MB. */
function segmentOf(lsn: string): string {
  const [high = '', low = ''] = lsn.split('/');
  const segment = Math.floor(parseInt(low, 16) / 16 ** 6).toString(16);
  return `${high.padStart(8, '0')}${segment.padStart(8, '0')}`.toUpperCase();
}
