/**
 * The first data of a cluster from another one's archive: a backup is unpacked, replayed up to the
 * target off to the side, and promoted there, so that a timeline of its own begins. Only what has
 * been stopped in order after that is anything but rubbish.
 */
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { readControlFields } from '../../adapters/postgres/control-data';
import { type FillOptions } from '../../adapters/postgres/new-data-directory';
import { runProgram } from '../../adapters/postgres/programs';
import { type Log } from '../../adapters/log';
import { SEGMENT_BYTES_DEFAULT } from '../../core/archive/wal-files';
import { type RestoreOrder } from '../../core/restore/bootstrap';
import { type Recovery } from '../../core/restore/recovery';
import { SUMMARIES_FILE, SYNC_FILE, UPSTREAM_FILE, RESTORE_FILE } from '../../core/settings';
import { MANIFEST } from '../backup/catalogue';
import { fillFromBackup } from '../backup/unpack';
import { compareWithManifest } from '../backup/verify';
import { type Performer } from '../perform';
import { spoolFolder } from '../volume';
import { planRestore, type RestorePlan } from './plan';
import { refused, SourceArchive } from './source-archive';
import { Throwaway, type RecoveryOrder, type RecoveryProgress } from './throwaway';

interface NewClusterOptions extends FillOptions {
  /** Where the other cluster's archive is mounted. */
  readonly source: string;
  /** A directory on the data volume, of no value at any time. */
  readonly spoolDirectory: string;
  /** What the data needs to be read. */
  readonly parameters: Readonly<Record<string, string>>;
  readonly log: Log;
}

/** What the other cluster's instance manager has written, and what is over. */
const STALE_FILES: readonly string[] = [
  ...[UPSTREAM_FILE, SYNC_FILE, SUMMARIES_FILE, RESTORE_FILE],
  ...[MANIFEST, 'backup_label.old', 'tablespace_map.old'],
];

/** How a directory is filled; libraries that the data needs are named in the new cluster's spec. */
export function restoring(
  { environment, state, log }: Pick<Performer, 'environment' | 'state' | 'log'>,
  order: RestoreOrder,
): (options: FillOptions) => Promise<void> {
  const { parameters = {} } = state.values.assignment?.settings ?? {};
  const libraries = parameters['shared_preload_libraries'];
  return async (options) => {
    await restoreDirectory(order, {
      ...options,
      source: environment.sourceVolume,
      spoolDirectory: join(spoolFolder(environment.dataVolume), 'restore'),
      parameters: libraries === undefined ? {} : { shared_preload_libraries: libraries },
      log,
    });
  };
}

/** Fills an empty directory; its content is durable when this returns. */
async function restoreDirectory(order: RestoreOrder, options: NewClusterOptions): Promise<void> {
  const { directory, spoolDirectory, binDirectory, signal, log } = options;
  options.onProgress(`looking into the volume ${order.volume}`);
  const archive = await SourceArchive.find(order, {
    directory: options.source,
    spoolDirectory: join(spoolDirectory, 'wal'),
    log,
  });
  const plan = await planRestore(order, { archive, catalogue: archive.catalogue });
  log.info('Restoring from another cluster’s archive', { volume: order.volume, ...plan });
  try {
    const recovery = await tryEach(plan, { archive, order, options });
    log.info('Restored', { ...recovery.restoredTo, words: recovery.message });
    for (const name of STALE_FILES) await rm(join(directory, name), { force: true });
    await runProgram('initdb', ['--sync-only', '-D', directory], { binDirectory, signal });
  } finally {
    await rm(spoolDirectory, { recursive: true, force: true });
  }
}

interface Attempt {
  readonly archive: SourceArchive;
  readonly order: RestoreOrder;
  readonly options: NewClusterOptions;
}

/** An older backup is tried when recovery with a newer one did not meet the target. */
async function tryEach(plan: RestorePlan, attempt: Attempt): Promise<Recovery> {
  for (const [index, backup] of plan.backups.entries()) {
    const recovery = await restoreWith(backup, plan, attempt);
    const { problem } = recovery;
    if (problem === null) return recovery;
    const isLast = index === plan.backups.length - 1;
    if (isLast || problem.reason !== 'TargetNotReached') {
      throw refused(attempt.order, problem.reason, problem.message);
    }
    attempt.options.log.info('An older backup is tried', { backup, because: problem.message });
  }
  throw new Error('a plan without a backup');
}

async function restoreWith(backup: string, plan: RestorePlan, attempt: Attempt): Promise<Recovery> {
  const { archive, options } = attempt;
  const { directory, machine, signal, log } = options;
  await rm(directory, { recursive: true, force: true });
  await mkdir(directory, { mode: 0o700 });
  await unpack(backup, attempt);
  const server = new Throwaway({
    scratch: { folder: directory, dataDirectory: directory },
    socketDirectory: join(machine.socketDirectory, 'restore'),
    binDirectory: options.binDirectory,
    log,
  });
  const socket = join(machine.socketDirectory, 'source.sock');
  try {
    const recovery = await archive.serving(socket, plan.target.timeline, async () => {
      return await server.recover(recoveryOrder(plan, socket, options), signal);
    });
    if (recovery.problem === null) await server.keep();
    else await server.remove();
    return recovery;
  } catch (error) {
    await server.remove();
    throw error;
  }
}

async function unpack(id: string, { archive, order, options }: Attempt): Promise<void> {
  const { directory, spoolDirectory, binDirectory, signal, onProgress, machine } = options;
  const scratch = join(spoolDirectory, 'increments');
  await rm(scratch, { recursive: true, force: true });
  await mkdir(scratch, { recursive: true, mode: 0o700 });
  const { chain, release } = await archive.catalogue.leaseChain(id);
  try {
    const version = chain.at(-1)?.backup.postgresVersion ?? '';
    if (parseInt(version, 10) !== machine.majorVersion) {
      const because = `backup ${id} is of PostgreSQL ${version}, and this is ${machine.majorVersion}: a copy of a data directory fits its own major version only. Use an image of that version, or a dump`;
      throw refused(order, 'VersionDiffers', because);
    }
    await fillFromBackup(chain, directory, { binDirectory, signal, scratch, onProgress });
    onProgress(`comparing backup ${id} with its manifest`);
    const damage = await compareWithManifest(directory, { binDirectory, signal });
    if (damage !== null) {
      const because = `backup ${id} is not what was written: ${damage}. Name another one under spec.bootstrap.restore.backup`;
      throw refused(order, 'BackupDamaged', because);
    }
    const { segmentBytes } = await readControlFields(directory, binDirectory);
    if (Number(segmentBytes) === SEGMENT_BYTES_DEFAULT) return;
    const because = `its WAL segments have ${segmentBytes} bytes; only those of 16 MB can be restored`;
    throw refused(order, 'SegmentSizeUnknown', because);
  } finally {
    release();
    await rm(scratch, { recursive: true, force: true });
  }
}

function recoveryOrder(
  { target, walEndsAtLsn }: RestorePlan,
  socket: string,
  { machine, parameters, onProgress }: NewClusterOptions,
): RecoveryOrder {
  return {
    target: { ...target, action: 'promote' },
    walEndsAtLsn,
    parameters,
    isKept: true,
    restoreCommand: `exec ${machine.wal.command} ${socket} recover "%f" "%p"`,
    onProgress: (progress) => onProgress(words(progress)),
  };
}

const MEGABYTE = 1024 ** 2;
const words = ({ lsn, at, bytesPerSecond }: RecoveryProgress): string =>
  `replaying WAL, at ${lsn}${at === null ? '' : ` of ${at}`}, ${Math.round(bytesPerSecond / MEGABYTE)} MB/s`;
