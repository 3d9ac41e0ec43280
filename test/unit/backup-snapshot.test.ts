import { mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { baseBackupsOf } from '../../src/core/archive/backups';
import { type BackupMethod, type BackupWal } from '../../src/core/backup/backup';
import { parseManifest, renderManifest, sealOf } from '../../src/core/backup/manifest';
import { isLeftOut, parseBackupLabel, walOfCopy } from '../../src/core/backup/snapshot';
import { type BackupRequest } from '../../src/core/backup/task';
import { decide } from '../../src/core/decide';
import {
  canClone,
  cloneFile,
  copyDataDirectory,
  type Clone,
  type CopyDataOptions,
} from '../../src/instance/backup/copy-files';
import { switchover, withState } from '../support/world';

const SHA256 = 'ab'.repeat(32);

describe('what a snapshot consists of', () => {
  const rows: readonly (readonly [path: string, isLeftOut: boolean])[] = [
    ['PG_VERSION', false],
    ['global/pg_control', false],
    ['base/5/16384', false],
    ['base/5/16384_init', false],
    ['pg_xact/0000', false],
    ['postgresql.auto.conf', false],
    ['pg_wal', false],
    ['pg_wal/000000010000000000000001', true],
    ['pg_wal/archive_status', true],
    ['pg_replslot', false],
    ['pg_replslot/pgswarm_pg2/state', true],
    ['pg_stat_tmp/global.stat', true],
    ['pg_stat/pgstat.stat', false],
    ['pg_subtrans/0000', true],
    ['postmaster.pid', true],
    ['postmaster.opts', true],
    ['backup_label', true],
    ['backup_label.old', false],
    ['backup_manifest', true],
    ['base/5/pg_internal.init', true],
    ['global/pg_internal.init.4711', true],
    ['base/pgsql_tmp', true],
    ['base/5/t3_16400', true],
  ];
  for (const [path, expected] of rows) {
    it(`is ${expected ? 'not ' : ''}${path}`, () => expect(isLeftOut(path)).to.equal(expected));
  }
});

it('a snapshot is ordered plain, though packed is what the request says', () => {
  const { pair } = switchover();
  const request: BackupRequest = {
    method: 'snapshot',
    incremental: false,
    format: 'tar',
    bytesPerSecondMax: 1024,
    server: null,
    by: 'ann',
    at: '2026-01-01T00:00:00.000Z',
  };
  const [step] = decide(withState(pair, { backup: { request, begun: null } })).steps;
  const begun = step?.kind === 'record' ? step.next.backup?.begun : null;
  expect(begun?.server).to.equal('pg2');
  expect(begun?.order).to.include({ method: 'snapshot', format: 'plain', bytesPerSecondMax: 1024 });
});

it('a snapshot leads to points in time as a base backup does, and a dump does not', () => {
  const wal = { timeline: 1, startLsn: '0/2000028', stopLsn: '0/2000100' };
  const time = '2026-01-01T00:00:00.000Z';
  const taken = (
    id: string,
    method: BackupMethod,
  ): Parameters<typeof baseBackupsOf>[0][number] => ({
    ...{ id, method, parent: null, format: 'plain', compression: 'none', server: 'pg1', wal },
    ...{ startedAt: time, stoppedAt: time, bytes: 1, because: '', verification: null },
  });
  const all = [taken('a', 'base'), taken('b', 'snapshot'), { ...taken('c', 'dump'), wal: null }];
  expect(baseBackupsOf(all).map(({ id }) => id)).to.deep.equal(['a', 'b']);
});

describe('the WAL of a snapshot', () => {
  const LABEL = [
    'START WAL LOCATION: 1/2000028 (file 000000030000000100000002)',
    'CHECKPOINT LOCATION: 1/2000060',
    'BACKUP METHOD: streamed',
    'BACKUP FROM: standby',
    'START TIME: 2026-11-21 18:00:00 UTC',
    'LABEL: pgswarm 20261121T180000Z',
    'START TIMELINE: 3',
    '',
  ].join('\n');

  it('begins where the label says', () => {
    expect(parseBackupLabel(LABEL)).to.deep.equal({ timeline: 3, startLsn: '1/2000028' });
    expect(parseBackupLabel(LABEL.replace('START TIMELINE: 3', ''))).to.equal(null);
    expect(parseBackupLabel('')).to.equal(null);
  });

  const range = (timeline: number, startLsn: string, stopLsn: string): BackupWal => ({
    timeline,
    startLsn,
    stopLsn,
  });
  const history = [
    { timeline: 1, endLsn: '0/3000000' },
    { timeline: 2, endLsn: '0/5000000' },
  ];
  const start = (timeline: number, startLsn: string): { timeline: number; startLsn: string } => ({
    timeline,
    startLsn,
  });

  it('is that of one timeline', () => {
    const lineage = { timeline: 1, history: [] };
    expect(walOfCopy(start(1, '0/20'), '0/90', lineage)).to.deep.equal([range(1, '0/20', '0/90')]);
  });

  it('is none before the start, whatever the server came through', () => {
    const found = walOfCopy(start(3, '0/6000000'), '0/7000000', { timeline: 3, history });
    expect(found).to.deep.equal([range(3, '0/6000000', '0/7000000')]);
  });

  it('is that of all timelines that a standby followed meanwhile', () => {
    const found = walOfCopy(start(1, '0/2000000'), '0/7000000', { timeline: 3, history });
    expect(found).to.deep.equal([
      range(1, '0/2000000', '0/3000000'),
      range(2, '0/3000000', '0/5000000'),
      range(3, '0/5000000', '0/7000000'),
    ]);
  });

  it('ends where the backup ended, though the server is on a later timeline by now', () => {
    const found = walOfCopy(start(1, '0/2000000'), '0/4000000', { timeline: 3, history });
    expect(found).to.deep.equal([
      range(1, '0/2000000', '0/3000000'),
      range(2, '0/3000000', '0/4000000'),
    ]);
  });

  it('is unknown when the history does not lead through the start', () => {
    expect(walOfCopy(start(4, '0/20'), '0/90', { timeline: 3, history })).to.equal(null);
    expect(walOfCopy(start(2, '0/20'), '0/90', { timeline: 3, history: [] })).to.equal(null);
  });
});

describe('the manifest of a snapshot', () => {
  const content = {
    systemIdentifier: '7575757575757575757',
    files: [
      { path: 'base/1/1', bytes: 3, sha256: SHA256, modifiedAt: new Date('2026-11-21T18:00:00Z') },
    ],
    wal: [{ timeline: 1, startLsn: '0/2000028', stopLsn: '0/2000100' }],
  };

  it('is written as PostgreSQL writes it', () => {
    expect(renderManifest({ ...content, majorVersion: 17 }) + sealOf(SHA256)).to.equal(
      `{ "PostgreSQL-Backup-Manifest-Version": 2,
"System-Identifier": 7575757575757575757,
"Files": [
{"Path":"base/1/1","Size":3,"Last-Modified":"2026-11-21 18:00:00 GMT","Checksum-Algorithm":"SHA256","Checksum":"${SHA256}"}
],
"WAL-Ranges": [
{"Timeline":1,"Start-LSN":"0/2000028","End-LSN":"0/2000100"}
],
"Manifest-Checksum": "${SHA256}"}
`,
    );
  });

  it('names no database before version 17, and is read again', () => {
    const text = renderManifest({ ...content, majorVersion: 15 }) + sealOf(SHA256);
    expect(text).to.match(/^\{ "PostgreSQL-Backup-Manifest-Version": 1,\n"Files"/);
    expect(parseManifest(text)).to.deep.equal({
      wal: content.wal[0],
      files: [{ path: 'base/1/1', bytes: 3, sha256: SHA256 }],
    });
  });
});

describe('copying a data directory', () => {
  let root = '';
  let from = '';
  let to = '';

  beforeEach(async () => {
    root = await mkdtemp(join(tmpdir(), 'pgswarm-copy-'));
    [from, to] = [join(root, 'from'), join(root, 'to')];
    for (const path of ['global', 'pg_wal/archive_status', 'base/1']) {
      await mkdir(join(from, path), { recursive: true });
    }
    await mkdir(to);
    for (const path of ['PG_VERSION', 'global/pg_control', 'pg_wal/1', 'base/1/1259']) {
      await writeFile(join(from, path), path);
    }
    await writeFile(join(from, 'base/1/large'), Buffer.alloc(1024 ** 2, 'x'));
  });

  afterEach(async () => await rm(root, { recursive: true, force: true }));

  const options = (changes: Partial<CopyDataOptions> = {}): CopyDataOptions => ({
    from,
    to,
    bytesPerSecondMax: null,
    signal: new AbortController().signal,
    onProgress: () => Promise.resolve(),
    isControlWhole: () => Promise.resolve(true),
    ...changes,
  });
  const COPIED = ['PG_VERSION', 'base/1/1259', 'base/1/large', 'global/pg_control'];
  const contents = async (): Promise<readonly string[]> => {
    const entries = await readdir(to, { recursive: true, withFileTypes: true });
    const files = entries.filter((entry) => entry.isFile());
    return files.map(({ parentPath, name }) => join(parentPath, name).slice(to.length + 1)).sort();
  };
  const failing = (code: string): Error => Object.assign(new Error(code), { code });
  /** As a file system would: at once, however large. */
  const cloning =
    (cloned: string[]): Clone =>
    async (source, copy) => {
      cloned.push(copy.slice(to.length + 1));
      await writeFile(copy, await readFile(source));
    };

  it('clones where that can be done: not throttled, and the control file last', async () => {
    const cloned: string[] = [];
    await copyDataDirectory(options({ bytesPerSecondMax: 1, clone: cloning(cloned) }));
    expect(cloned.toSorted()).to.deep.equal(COPIED);
    expect(cloned.at(-1)).to.equal('global/pg_control');
    expect(await contents()).to.deep.equal(COPIED);
    expect(await readdir(join(to, 'pg_wal'))).to.deep.equal([]);
  });

  for (const code of ['ENOTSUP', 'EXDEV', 'EINVAL']) {
    it(`reads and writes where it cannot, and does not try again: ${code}`, async () => {
      let tries = 0;
      const clone = (): Promise<void> => {
        tries += 1;
        return Promise.reject(failing(code));
      };
      await copyDataDirectory(options({ clone }));
      expect(tries).to.equal(1);
      expect(await contents()).to.deep.equal(COPIED);
      for (const path of COPIED) {
        expect((await readFile(join(to, path))).equals(await readFile(join(from, path)))).to.equal(
          true,
        );
      }
    });
  }

  const failure = async (effect: Promise<unknown>): Promise<Error> =>
    await effect.then(
      () => {
        throw new Error('it should not have worked');
      },
      (error: unknown) => error as Error,
    );

  it('hides no other trouble', async () => {
    const clone = (): Promise<void> => Promise.reject(failing('EIO'));
    expect((await failure(copyDataDirectory(options({ clone })))).message).to.equal('EIO');
  });

  it('goes on when a file is gone, but not when the place to copy to is', async () => {
    const clone: Clone = async (source, copy) => {
      if (source.endsWith('1259')) await rm(source);
      await cloneFile(source, copy).catch(async (error: unknown) => {
        if (source.endsWith('1259')) throw error;
        await writeFile(copy, await readFile(source));
      });
    };
    await copyDataDirectory(options({ clone }));
    expect(await contents()).to.deep.equal(COPIED.filter((path) => !path.endsWith('1259')));

    const vanishing: Clone = async () => {
      await rm(to, { recursive: true, force: true });
      throw failing('ENOTSUP');
    };
    await rm(to, { recursive: true });
    await mkdir(to);
    const { message } = await failure(copyDataDirectory(options({ clone: vanishing })));
    expect(message).to.match(/^ENOENT/);
  });

  it('reads a control file again that was being written', async () => {
    const answers = [false, false, true];
    const isControlWhole = (): Promise<boolean> => Promise.resolve(answers.shift() ?? false);
    await copyDataDirectory(options({ isControlWhole }));
    expect(answers).to.deep.equal([]);
    expect(await contents()).to.deep.equal(COPIED);

    await rm(to, { recursive: true });
    await mkdir(to);
    const { message } = await failure(copyDataDirectory(options({ isControlWhole })));
    expect(message).to.contain('changes whenever it is read');
  });

  it('refuses a link to data elsewhere, and leaves out one to a file', async () => {
    await writeFile(join(root, 'key'), 'key');
    await symlink(join(root, 'key'), join(from, 'server.key'));
    await copyDataDirectory(options());
    expect(await contents()).to.deep.equal(COPIED);

    await symlink(root, join(from, 'base/2'));
    const { message } = await failure(copyDataDirectory(options()));
    expect(message).to.match(/^base\/2 of the data directory is a link/);
  });

  it('refuses what is no data directory', async () => {
    await rm(join(from, 'global/pg_control'));
    const { message } = await failure(copyDataDirectory(options()));
    expect(message).to.contain('it is no data directory');
  });

  it('is no faster than its rate when it reads', async () => {
    const clone = (): Promise<void> => Promise.reject(failing('ENOTSUP'));
    const begunMs = performance.now();
    await copyDataDirectory(options({ bytesPerSecondMax: 8 * 1024 ** 2, clone }));
    expect(performance.now() - begunMs).to.be.above(100);
  });

  it('ends when it is called off, also while it waits for its rate', async () => {
    const calling = new AbortController();
    const onProgress = (): Promise<void> => {
      setImmediate(() => calling.abort());
      return Promise.resolve();
    };
    const clone = (): Promise<void> => Promise.reject(failing('ENOTSUP'));
    const { signal } = calling;
    const copying = copyDataDirectory(options({ bytesPerSecondMax: 1, signal, onProgress, clone }));
    expect((await failure(copying)).name).to.equal('AbortError');
  });

  it('ends with what its progress throws', async () => {
    const onProgress = (): Promise<void> => Promise.reject(new Error('no room'));
    expect((await failure(copyDataDirectory(options({ onProgress })))).message).to.equal('no room');
  });

  it('finds out whether it could clone, and leaves nothing', async () => {
    const answer = await canClone(join(from, 'PG_VERSION'), to);
    const really = await cloneFile(join(from, 'PG_VERSION'), join(root, 'tried')).then(
      () => true,
      () => false,
    );
    expect(answer).to.equal(really);
    expect(await contents()).to.deep.equal([]);
  });
});
