/**
 * A copy of the whole server by the file system, while PostgreSQL runs and is written to: cloned in no
 * time where data and archive volume share a file system that can, otherwise read and written.
 */
import { createHash } from 'node:crypto';
import { mkdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { isControlWhole, readControlFields } from '../../adapters/postgres/control-data';
import { readText, writeDurably } from '../../adapters/postgres/durable-files';
import { runProgram } from '../../adapters/postgres/programs';
import { segmentsOf } from '../../core/archive/wal-files';
import { type BackupWal } from '../../core/backup/backup';
import { parseManifest, renderManifest, sealOf } from '../../core/backup/manifest';
import { walOfCopy } from '../../core/backup/snapshot';
import { historyFile, parseTimelineHistory } from '../../core/timelines';
import { BackupSession, type EndedBackup } from './backup-session';
import { keepConfiguration } from './base-backup';
import { DATA, MANIFEST } from './catalogue';
import { copyDataDirectory, FileCopier, type CopyOptions } from './copy-files';
import { listFiles } from './list-files';
import { findRoomTrouble } from './room';
import { type Content, type Taking } from './take';

const WAL = 'pg_wal';
/** What has a name in it ending in `.done` is not archived again: the last segment may be half full. */
const STATUS = 'archive_status';
const LABEL = 'backup_label';

/** Data and the WAL that makes it whole, so that it can be restored without an archive. */
export async function writeSnapshot(directory: string, taking: Taking): Promise<Content> {
  const { source, signal } = taking;
  const { binDirectory } = source;
  const data = join(directory, DATA);
  await mkdir(data, { mode: 0o700 });
  const ranges = await copyRunningServer(data, taking);
  await keepConfiguration(source.dataDirectory, directory);
  const known = await writeManifest(data, ranges, taking);
  await runProgram('initdb', ['--sync-only', '-D', data], { binDirectory, signal });
  const { wal } = parseManifest(await readFile(join(data, MANIFEST), 'utf8'));
  return { wal, format: 'plain', compression: 'none', known };
}

async function copyRunningServer(data: string, taking: Taking): Promise<readonly BackupWal[]> {
  const { order, source, catalogue, signal, attempted, onProgress } = taking;
  const { binDirectory, dataDirectory, machine } = source;
  const session = new BackupSession(machine, attempted);
  const end = (): void => session.close();
  signal.addEventListener('abort', end, { once: true });
  const demandRoom = async (): Promise<void> => {
    const trouble = await findRoomTrouble(catalogue.directory, attempted);
    if (trouble !== null) throw trouble;
  };
  const { bytesPerSecondMax } = order;
  const places = { from: dataDirectory, to: data, bytesPerSecondMax, signal };
  try {
    await session.begin(`pgswarm ${order.id}`);
    await copyDataDirectory({
      ...places,
      isControlWhole: async (directory) => await isControlWhole(directory, binDirectory),
      onProgress: async (progress) => {
        onProgress(progress);
        await session.demandGoingOn();
        await demandRoom();
      },
    });
    const ended = await session.end();
    await writeDurably(join(data, LABEL), ended.label);
    return await copyWal(ended, { ...places, onProgress: demandRoom }, binDirectory);
  } finally {
    signal.removeEventListener('abort', end);
    session.close();
  }
}

/** As much of it as the label asks for, of every timeline that a standby came through meanwhile. */
async function copyWal(
  { start, stopLsn, timeline }: EndedBackup,
  copying: CopyOptions,
  binDirectory: string,
): Promise<readonly BackupWal[]> {
  const [from, to] = [join(copying.from, WAL), join(copying.to, WAL)];
  await mkdir(join(to, STATUS), { mode: 0o700 });
  const history = historyFile(timeline);
  const told = await readText(join(from, history));
  const lineage = { timeline, history: parseTimelineHistory(told ?? '') };
  const ranges = walOfCopy(start, stopLsn, lineage);
  if (ranges === null) {
    throw new Error(`${history} does not say how timeline ${timeline} came from ${start.timeline}`);
  }
  const { segmentBytes } = await readControlFields(copying.to, binDirectory);
  const segments = ranges.flatMap((range) =>
    segmentsOf(
      { timeline: range.timeline, fromLsn: range.startLsn, endLsn: range.stopLsn },
      Number(segmentBytes),
    ).map(({ name }) => name),
  );
  const copier = new FileCopier(copying, segments.length * Number(segmentBytes));
  for (const name of [...segments, ...(told === null ? [] : [history])]) {
    if (!(await copier.copy(join(from, name), join(to, name)))) {
      throw new Error(`WAL of the copy is gone: ${name}`);
    }
    await writeDurably(join(to, STATUS, `${name}.done`), '');
  }
  return ranges;
}

/** As PostgreSQL would have made it, so that pg_verifybackup can compare. */
async function writeManifest(
  data: string,
  wal: readonly BackupWal[],
  { source, catalogue, signal }: Taking,
): Promise<Content['known']> {
  const { files } = await listFiles(data, new Map(), signal);
  const dated = await Promise.all(
    files
      .filter(({ path }) => !path.startsWith(`${WAL}/`))
      .map(async (file) => ({ ...file, modifiedAt: (await stat(join(data, file.path))).mtime })),
  );
  const { systemIdentifier } = catalogue;
  const { majorVersion } = source.machine;
  const text = renderManifest({ majorVersion, systemIdentifier, files: dated, wal });
  const seal = sealOf(createHash('sha256').update(text).digest('hex'));
  await writeDurably(join(data, MANIFEST), `${text}${seal}`);
  return new Map(
    files.map((file) => {
      const path = join(DATA, file.path);
      return [path, { ...file, path }];
    }),
  );
}
