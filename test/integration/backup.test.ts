/**
 * Base backups of a real PostgreSQL that is written to: taken, checked, made into a data directory
 * that starts with what was in the first one. And what is left when that is cut short.
 */
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  chmodSync,
  writeFileSync,
  openSync,
  writeSync,
  readSync,
  renameSync,
  closeSync,
} from 'node:fs';
import { execFileSync } from 'node:child_process';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { expect } from 'chai';
import {
  type BackupOrder,
  type CataloguedBackup,
  type Verification,
} from '../../src/core/backup/backup';
import { type Listing } from '../../src/instance/backup/catalogue';
import { BackupProcess, type Failure } from './support/backup-process';
import { BackupServer } from './support/backup-server';
import { until } from './support/bare-server';
import { findBinDirectory, runAs } from './support/instance-process';
import { setTimeout as sleep } from 'node:timers/promises';

const SLOW = 256 * 1024;
const CHECKSUM = "select md5(string_agg(t::text, ',' order by id)) from fixed t";
const KILLED_AFTER_MS = {
  base: [0, 40, 120, 250, 400, 700, 1100],
  snapshot: [40, 250, 700, 1500, 2500],
};

describe('base backups', function () {
  this.timeout(300_000);

  const binDirectory = findBinDirectory();
  let root = '';
  let primary: BackupServer;
  let standby: BackupServer;
  let stopWriting: () => Promise<void>;
  let checksum: string;
  let ids = 0;
  const running: BackupProcess[] = [];

  before(async function () {
    if (binDirectory === null || runAs() === null) {
      console.log('    skipped: PostgreSQL or the user postgres is missing on this machine');
      this.skip();
    }
    root = mkdtempSync(join(tmpdir(), 'pgswarm-backup-'));
    chmodSync(root, 0o755);
    primary = await BackupServer.create(root, 'pg1', binDirectory);
    primary.initialise();
    primary.sql(
      'create table fixed as select g as id, md5(g::text) as text from generate_series(1, 200000) g; create table written (id bigint generated always as identity primary key, at timestamptz default now())',
    );
    checksum = primary.sql(CHECKSUM);
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
    rmSync(root, { recursive: true, force: true });
  });

  async function manager(
    server: BackupServer,
    environment: Readonly<Record<string, string>> = {},
    archive: string = server.archive,
  ): Promise<BackupProcess> {
    const begun = await BackupProcess.begin(
      {
        archive,
        systemIdentifier: primary.systemIdentifier,
        machine: server.machine,
        dataDirectory: server.data,
        binDirectory: binDirectory ?? '',
      },
      environment,
    );
    running.push(begun);
    return begun;
  }

  const order = (changes: Partial<BackupOrder>): BackupOrder => {
    ids += 1;
    return {
      id: `20261121T18${String(ids).padStart(4, '0')}Z`,
      method: 'base',
      parent: null,
      format: 'plain',
      compression: 'none',
      bytesPerSecondMax: null,
      because: 'a test',
      ...changes,
    };
  };

  const folder = (server: BackupServer, ...names: readonly string[]): string =>
    join(server.archive, primary.systemIdentifier, ...names);

  const flip = (path: string, at: number): void => {
    const file = openSync(path, 'r+');
    const byte = Buffer.alloc(1);
    readSync(file, byte, 0, 1, at);
    byte[0] = byte[0]! ^ 0x01;
    writeSync(file, byte, 0, 1, at);
    closeSync(file);
  };

  const failure = async (effect: Promise<unknown>): Promise<Failure> =>
    await effect.then(
      () => {
        throw new Error('it should not have worked');
      },
      (error: unknown) => error as Failure,
    );

  const written = (server: BackupServer): number =>
    Number(server.sql('select coalesce(max(id), 0) from written'));

  const nothingIsLeft = (server: BackupServer): void => {
    expect(readdirSync(folder(server, 'incoming'))).to.deep.equal([]);
  };

  /** At once, as a reader sees it. */
  const leaveRoom = (room: string, megabytes: number): void => {
    writeFileSync(`${room}.new`, String(megabytes * 1024 ** 2));
    renameSync(`${room}.new`, room);
  };

  const littleRoom = (room: string): Readonly<Record<string, string>> => ({
    NODE_OPTIONS: `--require ${resolve(__dirname, 'support/little-room.cjs')}`,
    PGSWARM_TEST_FREE_BYTES: room,
  });

  const kinds = [
    { method: 'base', format: 'plain', compression: 'none' },
    { method: 'base', format: 'tar', compression: 'none' },
    { method: 'base', format: 'tar', compression: 'gzip' },
    { method: 'base', format: 'tar', compression: 'lz4' },
    { method: 'base', format: 'tar', compression: 'zstd' },
    { method: 'snapshot', format: 'plain', compression: 'none' },
  ] as const;
  const copying = ['base', 'snapshot'] as const;

  for (const kind of kinds) {
    for (const role of ['primary', 'standby'] as const) {
      it(`${kind.method}, ${kind.format}, ${kind.compression}, of a ${role}: starts with what was in it`, async () => {
        const server = role === 'primary' ? primary : standby;
        const backups = await manager(server);
        const before = written(server);
        const ordered = order(kind);
        const taken = await backups.run<CataloguedBackup>({ kind: 'take', order: ordered });
        const after = written(primary);
        expect(taken).to.deep.include({
          ...kind,
          id: ordered.id,
          server: server.name,
          parent: null,
        });
        expect(taken.bytes).to.be.above(1_000_000);
        expect(taken.wal?.timeline).to.equal(1);

        const { problem } = await backups.run<Verification>({ kind: 'verify', id: taken.id });
        expect(problem).to.equal(null);
        const { backups: listed } = await backups.run<Listing>({ kind: 'list' });
        expect(listed.find(({ id }) => id === taken.id)?.verification?.problem).to.equal(null);

        const copy = await BackupServer.create(root, `copy-${taken.id}`, binDirectory ?? '');
        await backups.run({ kind: 'materialise', id: taken.id, destination: copy.data });
        expect(readdirSync(copy.data)).not.to.include.oneOf(['standby.signal', 'postmaster.pid']);
        // Without it replay could begin too late, and nobody would notice.
        expect(readdirSync(copy.data)).to.include('backup_label');
        expect(existsSync(`${copy.data}.part`)).to.equal(false);
        copy.adopt();
        copy.start();
        expect(copy.sql(CHECKSUM)).to.equal(checksum);
        const [count, last] = copy
          .sql('select count(*), max(id) from written')
          .split('|')
          .map(Number);
        expect(count).to.equal(last);
        expect(last).to.be.within(before, after);
        copy.stop('immediate');
        rmSync(copy.home, { recursive: true });
        nothingIsLeft(server);
        await backups.run({ kind: 'remove', id: taken.id });
        expect(readdirSync(folder(server, 'backups'))).not.to.include(taken.id);
        nothingIsLeft(server);
      });
    }
  }

  it('finds a flipped byte, in the data and in the WAL', async () => {
    const backups = await manager(primary);
    const plain = await backups.run<CataloguedBackup>({ kind: 'take', order: order({}) });
    const snapshot = await backups.run<CataloguedBackup>({
      kind: 'take',
      order: order({ method: 'snapshot' }),
    });
    const tar = await backups.run<CataloguedBackup>({
      kind: 'take',
      order: order({ format: 'tar', compression: 'zstd' }),
    });
    const data = folder(primary, 'backups', plain.id, 'data');
    const relation = primary.sql("select pg_relation_filepath('fixed')");
    const wal = join(data, 'pg_wal', readdirSync(join(data, 'pg_wal'))[0] ?? '');
    const start = Number(`0x${plain.wal?.startLsn.split('/')[1] ?? ''}`) % (16 * 1024 * 1024);
    const packed = folder(primary, 'backups', tar.id, 'data', 'base.tar.zst');
    const copied = folder(primary, 'backups', snapshot.id, 'data', relation);
    const damages: readonly (readonly [CataloguedBackup, string, number, string])[] = [
      [plain, join(data, relation), 12_345, relation],
      [plain, wal, start + 30, 'WAL'],
      [tar, packed, 500_000, 'base.tar.zst'],
      [snapshot, copied, 12_345, relation],
    ];
    for (const [{ id }, path, at, words] of damages) {
      flip(path, at);
      const found = await backups.run<Verification>({ kind: 'verify', id });
      expect(found.problem, path).to.contain(words);
      flip(path, at);
      expect((await backups.run<Verification>({ kind: 'verify', id })).problem).to.equal(null);
    }
    for (const { id } of [plain, tar, snapshot]) await backups.run({ kind: 'remove', id });
  });

  it('dumps every database, and puts one back as it was', async () => {
    const name = 'it\'s a "shop" \\ café';
    const quoted = `"${name.replaceAll('"', '""')}"`;
    primary.sql('create role keeper');
    primary.sql(`create database ${quoted} owner keeper`);
    primary.sql('create table goods as select generate_series(1, 5000) as id', name);
    const goods = 'select count(*), sum(id) from goods';
    const before = primary.sql(goods, name);
    const backups = await manager(primary);
    const { id, ...taken } = await backups.run<CataloguedBackup>({
      kind: 'take',
      order: order({ method: 'dump', compression: 'zstd' }),
    });
    expect(taken).to.deep.include({ method: 'dump', wal: null, compression: 'gzip' });
    expect((await backups.run<Verification>({ kind: 'verify', id })).problem).to.equal(null);
    const globals = readFileSync(folder(primary, 'backups', id, 'data/globals.sql'), 'utf8');
    expect(globals).to.contain('CREATE ROLE keeper');

    primary.sql('delete from goods where id > 10; create table later (id int)', name);
    const exists = await failure(backups.run({ kind: 'load', id, database: name }));
    expect(exists.code).to.equal('DatabaseExists');
    await backups.run({ kind: 'load', id, database: name, replace: true });
    expect(primary.sql(goods, name)).to.equal(before);
    expect(primary.sql("select to_regclass('later') is null", name)).to.equal('t');
    const restoring = (database: string): Promise<Failure> =>
      failure(backups.run({ kind: 'load', id, database, replace: true }));
    const unknown = await restoring('shop');
    expect(unknown.code).to.equal('DatabaseUnknown');
    expect(unknown.message).to.contain(`It holds: postgres, ${name}`);
    // What cannot be loaded leaves the database as it was, and others may connect again.
    primary.sql('create role other');
    primary.sql(`alter database ${quoted} owner to other`);
    primary.sql('reassign owned by keeper to other; delete from goods where id > 20', name);
    primary.sql('drop role keeper');
    expect((await restoring(name)).code).to.equal('RoleMissing');
    expect(primary.sql('select count(*) from goods', name)).to.equal('20');
    expect(primary.sql("select count(*) from pg_database where datname ~ '^pgswarm_'")).to.equal(
      '0',
    );
    primary.sql(`drop database ${quoted}`);
    expect((await restoring(name)).message).to.include('Load it again with --replace');

    const dump = folder(primary, 'backups', id, 'data/globals.sql');
    flip(dump, 100);
    const { problem } = await backups.run<Verification>({ kind: 'verify', id });
    expect(problem).to.equal('data/globals.sql is not what was written');
    await backups.run({ kind: 'remove', id });
    primary.sql(`drop database if exists ${quoted}`);
    primary.sql('drop role other');
  });

  for (const method of copying) {
    it(`leaves nothing when it is called off: ${method}`, async () => {
      const backups = await manager(primary);
      const taking = backups.begin({
        kind: 'take',
        order: order({ method, bytesPerSecondMax: SLOW }),
      });
      await backups.progress();
      taking.cancel();
      expect((await failure(taking.done)).name).to.equal('AbortError');
      nothingIsLeft(primary);
      expect(await backups.run<Listing>({ kind: 'list' })).to.deep.equal({
        backups: [],
        broken: [],
      });
    });

    it(`leaves a whole backup or none when its manager is killed: ${method}`, async () => {
      const outcomes: string[] = [];
      for (const afterMs of KILLED_AFTER_MS[method]) {
        const backups = await manager(primary);
        const ordered = order({ method, format: 'tar', compression: 'lz4' });
        const taking = backups.begin({ kind: 'take', order: ordered });
        await Promise.race([sleep(afterMs), taking.done]);
        await backups.end();
        await taking.done.catch(() => undefined);
        const next = await manager(primary);
        nothingIsLeft(primary);
        // A slot that stayed would keep WAL for ever.
        await until(() => primary.sql('select count(*) from pg_replication_slots') === '0');
        const { backups: listed, broken } = await next.run<Listing>({ kind: 'list' });
        expect(broken).to.deep.equal([]);
        for (const { id } of listed) {
          expect((await next.run<Verification>({ kind: 'verify', id })).problem).to.equal(null);
          await next.run({ kind: 'remove', id });
        }
        outcomes.push(listed.length === 0 ? 'none' : 'whole');
        await next.end();
      }
      const moments = KILLED_AFTER_MS[method].join(', ');
      console.log(`      killed after ${moments} ms: ${outcomes.join(', ')}`);
      expect(outcomes).to.include('none');
    });

    it(`refuses to begin without room, and gives up when there is none left: ${method}`, async () => {
      const room = join(root, 'room');
      leaveRoom(room, 90);
      const backups = await manager(primary, littleRoom(room));
      const refused = await failure(backups.run({ kind: 'take', order: order({ method }) }));
      expect(refused.code).to.equal('NoRoom');
      expect(refused.message).to.match(
        /needs about \d+ MB on the archive volume of pg1, 90 MB are free/,
      );
      leaveRoom(room, 900);
      const taking = backups.begin({
        kind: 'take',
        order: order({ method, bytesPerSecondMax: SLOW }),
      });
      await backups.progress();
      leaveRoom(room, 10);
      const given = await failure(taking.done);
      expect(given.code).to.equal('NoRoom');
      expect(given.message).to.contain('only 10 MB were left');
      nothingIsLeft(primary);
    });
  }

  it('leaves nothing on a volume that is really full', async function () {
    const volume = join(root, 'small');
    mkdirSync(volume);
    const { uid = 0, gid = 0 } = runAs() ?? {};
    const small = `size=30m,uid=${uid},gid=${gid},mode=0700`;
    try {
      execFileSync('mount', ['-t', 'tmpfs', '-o', small, 'tmpfs', volume], { stdio: 'pipe' });
    } catch {
      console.log('      skipped: nothing may be mounted here');
      this.skip();
    }
    try {
      // Believed to have room, as if somebody else had filled it meanwhile.
      const room = join(root, 'room');
      leaveRoom(room, 900);
      const backups = await manager(primary, littleRoom(room), volume);
      const { code, message } = await failure(backups.run({ kind: 'take', order: order({}) }));
      expect(code, message).to.equal('ArchiveVolumeFull');
      expect(message).to.contain('make it larger');
      expect(readdirSync(join(volume, primary.systemIdentifier, 'incoming'))).to.deep.equal([]);
      await backups.end();
    } finally {
      execFileSync('umount', [volume]);
    }
  });

  it('says so when PostgreSQL goes away, and when a standby becomes primary', async () => {
    const backups = await manager(standby);
    for (const method of copying) {
      const lost = backups.begin({
        kind: 'take',
        order: order({ method, bytesPerSecondMax: SLOW }),
      });
      await backups.progress();
      standby.stop('immediate');
      expect((await failure(lost.done)).code).to.equal('ConnectionLost');
      nothingIsLeft(standby);
      standby.start();
    }
    // Fast enough to reach its end, where PostgreSQL notices.
    const promoted = backups.begin({
      kind: 'take',
      order: order({ bytesPerSecondMax: 40 * SLOW }),
    });
    await backups.progress();
    standby.run('pg_ctl', ['-D', standby.data, '-w', '-s', 'promote']);
    const { code, message } = await failure(promoted.done);
    expect(code, message).to.equal('PromotedMeanwhile');
    expect(message).to.contain('take the backup again');
    nothingIsLeft(standby);
  });

  it('keeps the configuration beside what is packed', async () => {
    const backups = await manager(primary);
    const taken = await backups.run<CataloguedBackup>({
      kind: 'take',
      order: order({ format: 'tar', compression: 'zstd' }),
    });
    const kept = folder(primary, 'backups', taken.id, 'configuration');
    expect(readFileSync(join(kept, 'pg_hba.conf'), 'utf8')).to.contain('pgswarm_replication');
    await backups.run({ kind: 'remove', id: taken.id });
  });
});
