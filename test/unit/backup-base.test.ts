import { expect } from 'chai';
import { type Backup, type BackupOrder } from '../../src/core/backup/backup';
import { parseBackup, parseVerification } from '../../src/core/backup/backup-json';
import {
  baseBackupArguments,
  expectedBytes,
  parseBaseBackupProgress,
} from '../../src/core/backup/base-backup';
import { dumpArguments, dumpCompression } from '../../src/core/backup/dump';
import { parseManifest } from '../../src/core/backup/manifest';
import { isBackupId, isInnerPath, nextBackupId } from '../../src/core/backup/names';
import { parseStoredList } from '../../src/core/backup/stored-list';
import { OperatingError } from '../../src/core/errors';
import { explainBackupFailure } from '../../src/instance/backup/failures';
import { combineArguments } from '../../src/instance/backup/unpack';

const MEGABYTE = 1024 ** 2;
const SHA256 = 'ab'.repeat(32);

const ORDER: BackupOrder = {
  id: '20261121T180000Z',
  method: 'base',
  parent: null,
  format: 'tar',
  compression: 'zstd',
  bytesPerSecondMax: null,
  because: 'a test',
};

const BACKUP: Backup = {
  id: ORDER.id,
  method: 'base',
  parent: null,
  format: 'tar',
  compression: 'zstd',
  cluster: 'orders',
  server: 'pg1',
  systemIdentifier: '7575',
  postgresVersion: '17.6',
  wal: { timeline: 1, startLsn: '0/2000028', stopLsn: '0/2000100' },
  startedAt: '2026-11-21T18:00:00.000Z',
  stoppedAt: '2026-11-21T18:01:00.000Z',
  bytes: 100 * MEGABYTE,
  because: 'a test',
  spec: null,
};

describe('how a base backup is asked for', () => {
  const ask = (
    changes: Partial<BackupOrder>,
    parentManifest: string | null = null,
  ): readonly string[] =>
    baseBackupArguments({
      order: { ...ORDER, ...changes },
      directory: '/in/data',
      connection: 'host=127.0.0.1',
      parentManifest,
    });

  it('asks for everything that makes a backup whole', () => {
    expect(ask({})).to.deep.equal([
      '--pgdata=/in/data',
      '--dbname=host=127.0.0.1',
      '--no-password',
      '--label=pgswarm 20261121T180000Z',
      '--wal-method=stream',
      '--checkpoint=fast',
      '--manifest-checksums=SHA256',
      '--progress',
      '--format=tar',
      '--compress=server-zstd:level=1,workers=2',
    ]);
  });

  it('compresses by the server, and only what is packed', () => {
    expect(ask({ compression: 'lz4' })).to.include('--compress=server-lz4');
    expect(ask({ compression: 'gzip' })).to.include('--compress=server-gzip:level=1');
    expect(ask({ compression: 'none' })).to.include('--compress=none');
    expect(ask({ format: 'plain' }).join(' ')).not.to.contain('--compress');
  });

  it('stores the changes to a parent', () => {
    expect(ask({}, '/b/1/data/backup_manifest')).to.include(
      '--incremental=/b/1/data/backup_manifest',
    );
  });

  it('keeps the rate within what pg_basebackup takes', () => {
    expect(ask({ bytesPerSecondMax: 10 * MEGABYTE })).to.include('--max-rate=10240');
    expect(ask({ bytesPerSecondMax: 1 })).to.include('--max-rate=32');
    expect(ask({ bytesPerSecondMax: 1e13 })).to.include('--max-rate=1048576');
  });

  it('puts increments together from the oldest to the newest', () => {
    expect(combineArguments(['/full', '/first', '/second'], '/out')).to.deep.equal([
      '--output=/out',
      '--manifest-checksums=SHA256',
      '/full',
      '/first',
      '/second',
    ]);
  });

  it('reads the progress', () => {
    const line = '123456/307200 kB (40%), 0/1 tablespace (…/base/5/1259 )';
    expect(parseBaseBackupProgress(line)).to.deep.equal({ percent: 40, bytes: 126_418_944 });
    expect(parseBaseBackupProgress('waiting for checkpoint')).to.equal(null);
  });
});

describe('how a dump is asked for', () => {
  const plan = { directory: '/in/16384', database: "it's", jobs: 2 };

  it('has a folder for each database, and any name', () => {
    expect(dumpArguments({ ...plan, compression: 'zstd', majorVersion: 17 })).to.deep.equal([
      '--format=directory',
      '--file=/in/16384',
      '--jobs=2',
      '--compress=zstd:1',
      "--dbname=dbname='it\\'s'",
    ]);
  });

  it('is compressed as this version of pg_dump can', () => {
    const old = { ...plan, majorVersion: 15 } as const;
    expect(dumpArguments({ ...old, compression: 'gzip' })).to.include('--compress=1');
    expect(dumpArguments({ ...old, compression: 'none' })).to.include('--compress=0');
    expect(dumpCompression('zstd', 15)).to.equal('gzip');
    expect(dumpCompression('none', 15)).to.equal('none');
    expect(dumpCompression('zstd', 17)).to.equal('zstd');
  });
});

describe('the room that a backup will take', () => {
  const bytes = (changes: Partial<BackupOrder>, known: readonly Backup[] = []): number =>
    Math.round(expectedBytes({ ...ORDER, ...changes }, 1000 * MEGABYTE, known) / MEGABYTE) - 64;

  it('is guessed from the data the first time', () => {
    expect(bytes({ format: 'plain' })).to.equal(1000);
    expect(bytes({ compression: 'none' })).to.equal(1000);
    expect(bytes({ method: 'snapshot', format: 'plain' })).to.equal(1000);
    expect(bytes({})).to.equal(500);
    expect(bytes({ parent: 'x' })).to.equal(100);
  });

  it('is what the last one of its kind took, and some more', () => {
    const older = { ...BACKUP, bytes: 1, stoppedAt: '2026-11-20T18:01:00.000Z' };
    expect(bytes({}, [BACKUP, older])).to.equal(120);
    expect(bytes({ format: 'plain' }, [BACKUP])).to.equal(1000);
    expect(bytes({ compression: 'lz4' }, [BACKUP])).to.equal(500);
    expect(bytes({ parent: 'x' }, [BACKUP])).to.equal(100);
    expect(bytes({}, [{ ...BACKUP, method: 'dump' }])).to.equal(500);
  });
});

describe('what is stored of a backup', () => {
  const range = (timeline: number, start: string, end: string): object => ({
    Timeline: timeline,
    'Start-LSN': start,
    'End-LSN': end,
  });
  const manifest = (files: readonly object[], ranges: readonly object[]): string =>
    JSON.stringify({ Files: files, 'WAL-Ranges': ranges });

  it('is read from the manifest', () => {
    const file = { Size: 3, 'Checksum-Algorithm': 'SHA256', Checksum: SHA256 };
    const text = manifest(
      [
        { Path: 'base/1/1', ...file },
        { 'Encoded-Path': 'ff', ...file },
      ],
      [range(1, '0/2000028', '0/2000100')],
    );
    expect(parseManifest(text)).to.deep.equal({
      wal: { timeline: 1, startLsn: '0/2000028', stopLsn: '0/2000100' },
      files: [{ path: 'base/1/1', bytes: 3, sha256: SHA256 }],
    });
  });

  it('spans the timelines that a standby followed meanwhile', () => {
    const ranges = [range(2, '0/3000000', '0/3000100'), range(1, '0/9000', '0/3000000')];
    expect(parseManifest(manifest([], ranges)).wal).to.deep.equal({
      timeline: 2,
      startLsn: '0/9000',
      stopLsn: '0/3000100',
    });
    expect(() => parseManifest('{}')).to.throw('names no WAL');
  });

  it('is described by its backup.json', () => {
    expect(parseBackup(JSON.stringify(BACKUP))).to.deep.equal(BACKUP);
    const without = { ...BACKUP, wal: null };
    expect(parseBackup(JSON.stringify(without))).to.deep.equal(without);
  });

  const useless: readonly (readonly [string, string, string])[] = [
    ['cut short', JSON.stringify(BACKUP).slice(0, 50), 'not JSON'],
    ['empty', '', 'not JSON'],
    ['null', 'null', 'not JSON'],
    ['no position', JSON.stringify({ ...BACKUP, wal: { timeline: 1, startLsn: 'x' } }), 'wal'],
    ['no wal', JSON.stringify({ ...BACKUP, wal: undefined }), 'wal'],
    ['another method', JSON.stringify({ ...BACKUP, method: 'magic' }), 'method'],
    ['no moment', JSON.stringify({ ...BACKUP, stoppedAt: 'yesterday' }), 'stoppedAt'],
    ['negative', JSON.stringify({ ...BACKUP, bytes: -1 }), 'bytes'],
  ];
  for (const [name, text, words] of useless) {
    it(`is not believed: ${name}`, () => expect(parseBackup(text)).to.contain(words));
  }

  it('is verified when verified.json says so', () => {
    const found = { at: '2026-11-21T18:00:00.000Z', problem: null };
    expect(parseVerification(JSON.stringify(found))).to.deep.equal(found);
    expect(parseVerification('{"at":"once"}')).to.equal(null);
    expect(parseVerification('nonsense')).to.equal(null);
  });
});

describe('names that come from other machines', () => {
  it('are those of backups', () => {
    for (const id of ['20261121T180000Z', '20261121T180000Z-2']) {
      expect(isBackupId(id), id).to.equal(true);
    }
    for (const id of ['', '.', '..', 'a/b', '-rf', 'a.b', 'a\n', 'x'.repeat(64)]) {
      expect(isBackupId(id), id).to.equal(false);
    }
  });

  it('lead nowhere else', () => {
    for (const path of ['data/base/1/1259', 'backup.json', 'data/..a']) {
      expect(isInnerPath(path), path).to.equal(true);
    }
    for (const path of ['', '/etc/passwd', '../x', 'a/../b', 'a//b', 'a/', './a', 'a\0b', '..']) {
      expect(isInnerPath(path), path).to.equal(false);
    }
  });

  it('are refused in a list', () => {
    const file = { path: 'data/a', bytes: 1, sha256: SHA256 };
    const list = { directories: ['data'], files: [file] };
    expect(parseStoredList(list)).to.deep.equal(list);
    expect(parseStoredList({ ...list, files: [{ ...file, path: '../a' }] })).to.contain('outside');
    expect(parseStoredList({ ...list, directories: ['/tmp'] })).to.contain('outside');
    expect(parseStoredList({ ...list, directories: [1] })).to.contain('outside');
    expect(parseStoredList({ ...list, files: [{ ...file, sha256: 'x' }] })).to.contain('SHA-256');
    expect(parseStoredList({ ...list, files: [{ ...file, bytes: -1 }] })).to.contain('size');
    expect(parseStoredList(null)).to.contain('not a list');
  });

  it('are given so that two are never alike', () => {
    const now = new Date('2026-11-21T18:00:00.123Z');
    expect(nextBackupId(now, [])).to.equal('20261121T180000Z');
    expect(nextBackupId(now, ['20261121T180000Z', '20261121T180000Z-2'])).to.equal(
      '20261121T180000Z-3',
    );
  });
});

describe('what keeps a backup from being taken', () => {
  const explain = (words: string): OperatingError =>
    explainBackupFailure(
      new OperatingError('transient', 'ProgramFailed', words),
      'taking backup 1 of pg2',
    ) as OperatingError;

  const rows: readonly (readonly [string, string])[] = [
    [
      'pg_basebackup: error: could not get COPY data stream: ERROR:  the standby was promoted during online backup',
      'PromotedMeanwhile',
    ],
    [
      'pg_basebackup: error: connection to server at "127.0.0.1", port 5432 failed: FATAL:  number of requested standby connections exceeds max_wal_senders (currently 2)',
      'WalSendersExhausted',
    ],
    [
      'pg_basebackup: error: could not send replication command "CREATE_REPLICATION_SLOT": ERROR:  all replication slots are in use',
      'WalSendersExhausted',
    ],
    [
      'pg_basebackup: error: could not write to file "/a/base.tar.zst": No space left on device',
      'ArchiveVolumeFull',
    ],
    ['ENOSPC: no space left on device, write', 'ArchiveVolumeFull'],
    [
      'pg_basebackup: error: could not read COPY data: server closed the connection unexpectedly',
      'ConnectionLost',
    ],
    ['pg_basebackup: error: checksum error occurred', 'DataDamaged'],
    [
      'pg_basebackup: error: could not initiate base backup: ERROR:  zstd compression not supported by this build',
      'CompressionUnavailable',
    ],
    [
      'ERROR:  incremental backups cannot be taken unless WAL summarization is enabled; set summarize_wal',
      'SummariesMissing',
    ],
    [
      'ERROR:  manifest requires WAL from final timeline 1 ending at 0/5 but this backup starts at 0/4',
      'ParentUnusable',
    ],
    ['WAL of the copy is gone: 000000010000000000000005', 'WalGone'],
    ['Connection terminated unexpectedly', 'ConnectionLost'],
    ['connect ENOENT /run/.s.PGSQL.5432', 'ConnectionLost'],
    ['backup is not in progress', 'ConnectionLost'],
    ['something else', 'BackupFailed'],
  ];
  for (const [words, reason] of rows) {
    it(`is called ${reason}: ${words.slice(-50)}`, () => {
      expect(explain(words).code).to.equal(reason);
      expect(explain(words).message).to.match(/^taking backup 1 of pg2: /);
    });
  }

  it('is told without the progress and the name of the program on every line', () => {
    const words =
      '  1/20 kB (5%), 0/1 tablespace\npg_basebackup: error: could not read COPY data: oh\n' +
      'pg_basebackup: removing data directory "/x"';
    expect(explain(words).message).to.equal(
      'taking backup 1 of pg2: could not read COPY data: oh; removing data directory "/x" ' +
        '(PostgreSQL was stopped or failed meanwhile: nothing was kept; it is tried again)',
    );
  });
});
