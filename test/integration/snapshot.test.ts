/**
 * Snapshots of a real PostgreSQL, where `backup.test.ts` does not say enough: on a file system that can
 * clone files, and when the session or the role of the server is lost in the midst.
 */
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  statfsSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import {
  type BackupOrder,
  type CataloguedBackup,
  type Verification,
} from '../../src/core/backup/backup';
import { BackupProcess, type Failure } from './support/backup-process';
import { BackupServer } from './support/backup-server';
import { findBinDirectory, runAs } from './support/instance-process';

const MEGABYTE = 1024 ** 2;
const SLOW = 256 * 1024;
const TABLES = "select md5(string_agg(t::text, ',' order by id)) from fixed t";

function mountCloning(root: string): string | null {
  const [image, path] = [join(root, 'image'), join(root, 'cloning')];
  mkdirSync(path);
  try {
    execFileSync('truncate', ['--size=600M', image], { stdio: 'pipe' });
    execFileSync('mkfs.xfs', ['-q', '-m', 'reflink=1', image], { stdio: 'pipe' });
    execFileSync('mount', ['-o', 'loop', image, path], { stdio: 'pipe' });
    return path;
  } catch {
    return null;
  }
}

describe('snapshots', function () {
  this.timeout(300_000);

  const binDirectory = findBinDirectory() ?? '';
  let root = '';
  /** A file system that clones; null where there can be none. */
  let cloning: string | null = null;
  /** On another one. */
  let elsewhere = '';
  let primary: BackupServer;
  let standby: BackupServer;
  let stopWriting: () => Promise<void>;
  let ids = 0;
  const running: BackupProcess[] = [];

  before(async function () {
    if (binDirectory === '' || runAs() === null) {
      console.log('    skipped: PostgreSQL or the user postgres is missing on this machine');
      this.skip();
    }
    root = mkdtempSync(join(tmpdir(), 'pgswarm-snapshot-'));
    chmodSync(root, 0o755);
    cloning = mountCloning(root);
    elsewhere = join(root, 'elsewhere');
    mkdirSync(elsewhere, { mode: 0o700 });
    const { uid = 0, gid = 0 } = runAs() ?? {};
    chownSync(elsewhere, uid, gid);
    primary = await BackupServer.create(cloning ?? root, 'pg1', binDirectory);
    primary.initialise();
    primary.sql(
      'create table fixed as select g as id, md5(g::text) as text from generate_series(1, 500000) g; create table written (id bigint generated always as identity primary key, at timestamptz default now())',
    );
    standby = await BackupServer.create(root, 'pg2', binDirectory);
    standby.cloneFrom(primary);
    stopWriting = primary.writes();
  });

  afterEach(async () => {
    for (const each of running.splice(0)) await each.end();
  });

  after(async () => {
    if (root === '') return;
    await stopWriting();
    standby.stop('immediate');
    primary.stop('immediate');
    if (cloning !== null) execFileSync('umount', [cloning]);
    rmSync(root, { recursive: true, force: true });
  });

  async function manager(server: BackupServer, archive: string): Promise<BackupProcess> {
    const begun = await BackupProcess.begin({
      archive,
      systemIdentifier: primary.systemIdentifier,
      machine: server.machine,
      dataDirectory: server.data,
      binDirectory,
    });
    running.push(begun);
    return begun;
  }

  const order = (changes: Partial<BackupOrder> = {}): BackupOrder => {
    ids += 1;
    return {
      id: `20261121T18${String(ids).padStart(4, '0')}Z`,
      method: 'snapshot',
      parent: null,
      format: 'plain',
      compression: 'none',
      bytesPerSecondMax: null,
      because: 'a test',
      ...changes,
    };
  };

  const failure = async (effect: Promise<unknown>): Promise<Failure> =>
    await effect.then(
      () => {
        throw new Error('it should not have worked');
      },
      (error: unknown) => error as Failure,
    );

  const nothingIsLeft = (server: BackupServer, archive: string): void => {
    const folder = join(archive, primary.systemIdentifier);
    for (const name of ['incoming', 'backups']) {
      expect(readdirSync(join(folder, name)), name).to.deep.equal([]);
    }
    expect(server.sql('select count(*) from pg_replication_slots')).to.equal('0');
  };

  it('share their blocks with the data: no room is taken, and every table is as it was', async function () {
    if (cloning === null) {
      console.log('      skipped: mkfs.xfs is missing, or nothing may be mounted here');
      this.skip();
    }
    const free = (): number => {
      execFileSync('sync', ['-f', primary.archive]);
      const { bavail, bsize } = statfsSync(primary.archive);
      return bavail * bsize;
    };
    const backups = await manager(primary, primary.archive);
    const [before, from] = [free(), Number(primary.sql('select max(id) from written'))];
    // So slow that reading it would take minutes: what is cloned is not throttled.
    const taken = await backups.run<CataloguedBackup>({
      kind: 'take',
      order: order({ bytesPerSecondMax: SLOW }),
    });
    const took = before - free();
    const until = Number(primary.sql('select max(id) from written'));
    expect(taken.bytes).to.be.above(60 * MEGABYTE);
    // Its WAL is cloned, too; what is written meanwhile is not.
    expect(took).to.be.below(taken.bytes / 2);
    const { problem } = await backups.run<Verification>({ kind: 'verify', id: taken.id });
    expect(problem).to.equal(null);

    const copy = await BackupServer.create(cloning, 'copy', binDirectory);
    await backups.run({ kind: 'materialise', id: taken.id, destination: copy.data });
    const wal = readdirSync(join(copy.data, 'pg_wal'));
    // What is in the archive already is not archived again: the last segment may be half full.
    expect(readdirSync(join(copy.data, 'pg_wal/archive_status'))).to.deep.equal(
      wal.filter((name) => /^\w{24}$/.test(name)).map((name) => `${name}.done`),
    );
    copy.adopt();
    copy.start();
    try {
      expect(copy.sql(TABLES)).to.equal(primary.sql(TABLES));
      const rows = copy.sql('select count(*), max(id) from written');
      const [count, last] = rows.split('|').map(Number);
      expect(count).to.equal(last);
      expect(last).to.be.within(from, until);
    } finally {
      copy.stop('immediate');
    }
    await backups.run({ kind: 'remove', id: taken.id });
    nothingIsLeft(primary, primary.archive);
  });

  it('are given up at once when their session is ended, though PostgreSQL goes on', async () => {
    const backups = await manager(primary, elsewhere);
    const taking = backups.begin({ kind: 'take', order: order({ bytesPerSecondMax: SLOW }) });
    await backups.progress();
    primary.sql(
      "select pg_terminate_backend(active_pid) from pg_replication_slots where slot_name like 'pgswarm_backup_%'",
    );
    const { code, message } = await failure(taking.done);
    expect(code, message).to.equal('ConnectionLost');
    expect(message).to.contain('Nothing was kept');
    nothingIsLeft(primary, elsewhere);
  });

  it('are given up at once when their standby becomes primary', async () => {
    const backups = await manager(standby, elsewhere);
    const taking = backups.begin({ kind: 'take', order: order({ bytesPerSecondMax: SLOW }) });
    await backups.progress();
    standby.run('pg_ctl', ['-D', standby.data, '-w', '-s', 'promote']);
    const { code, message } = await failure(taking.done);
    expect(code, message).to.equal('PromotedMeanwhile');
    nothingIsLeft(standby, elsewhere);
  });
});
