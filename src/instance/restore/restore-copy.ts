/** The actions of a restore in place. Each may have been cut short anywhere before. */
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { readControlData } from '../../adapters/postgres/control-data';
import { writeDurably } from '../../adapters/postgres/durable-files';
import { nameOfSegment, parseWalFile, segmentAt } from '../../core/archive/wal-files';
import { messageOf, OperatingError } from '../../core/errors';
import { renderRestore } from '../../core/restore/in-place-settings';
import { UPSTREAM_FILE } from '../../core/settings';
import { writeSync } from '../data-directory';
import { type Action } from '../next-action';
import { type Performer } from '../perform';
import { fillFromBackup } from '../backup/unpack';
import { abandonFilling, beginFilling, dataDirectory, readMarks } from '../volume';
import {
  acceptRestore,
  forgetTarget,
  goBack,
  prepareRecovery,
  restoreInPlace,
  unarchivedWal,
} from './in-place';

const RECOVERY_POLL_MS = 100;
const MISSED = /recovery ended before configured recovery target was reached/;

/** Writes the settings of the present assignment into a directory that is not in use yet. */
export type Configure = (directory: string) => Promise<void>;

/** Brings a copy of a backup into the place of the data, ready to be replayed up to the point. */
export async function restoreCopy(
  performer: Performer,
  { order }: Extract<Action, { kind: 'restore' }>,
  signal: AbortSignal,
  configure: Configure,
): Promise<void> {
  const { environment, machine, state, postgres, restoring, backups } = performer;
  const { dataVolume, binDirectory } = environment;
  const onProgress = (words: string): void => state.set({ busy: `restoring: ${words}` });
  try {
    if (state.values.marks.restored === null) {
      onProgress('archiving what only this server has');
      await archiveTheRest(performer);
    }
    const plan = await restoring.plan(order);
    const backup = plan.backups[0] ?? '';
    // It is looked at as a primary: paused before its end, it would hold the locks of whatever was
    // under way at the point, on a table that is about to be dropped above all.
    const target = { ...plan.target, action: 'promote' } as const;
    const catalogue = await backups.catalogue();
    const { chain, release } = await catalogue.leaseChain(backup);
    try {
      const directory = await beginFilling(dataVolume);
      await catalogue.within('restore', backup, async (scratch) => {
        await fillFromBackup(chain, directory, { binDirectory, scratch, signal, onProgress });
      });
      await configure(directory);
      await writeSync(directory, null);
      // Whatever the copy has followed: it follows nobody.
      await writeDurably(join(directory, UPSTREAM_FILE), '');
      await prepareRecovery(directory, renderRestore(target, machine));
      signal.throwIfAborted();
    } catch (error) {
      await abandonFilling(dataVolume);
      throw error;
    } finally {
      release();
    }
    const { id, at: startedAt } = order;
    const { walEndsAtLsn } = plan;
    await restoreInPlace(dataVolume, { id, backup, target, walEndsAtLsn, startedAt });
    state.set({ marks: await readMarks(dataVolume), upstream: null, rejoin: null });
    await postgres.inspect();
  } finally {
    state.set({ busy: null });
  }
}

/** The data from before takes its place again. */
export async function leaveRestored(performer: Performer): Promise<void> {
  const { environment, state, postgres } = performer;
  await goBack(environment.dataVolume);
  state.set({ marks: await readMarks(environment.dataVolume), upstream: null, rejoin: null });
  await postgres.inspect();
}

/** Out of everybody's reach: it needs no lease. Returns when it is a primary, or has ended. */
export async function startRestored(
  { postgres, state }: Performer,
  { id }: Extract<Action, { kind: 'start-restored' }>,
  signal: AbortSignal,
  start: () => Promise<void>,
): Promise<void> {
  try {
    await start();
    for (;;) {
      signal.throwIfAborted();
      await postgres.observe();
      if (postgres.report.state === 'primary') return;
      if (postgres.report.state === 'stopped') break;
      await sleep(RECOVERY_POLL_MS);
    }
  } catch (error) {
    if (!MISSED.test(messageOf(error))) throw error;
  }
  if (MISSED.test(postgres.lastWords)) state.set({ missed: id });
  const message = `recovery of the copy has ended: ${postgres.lastWords}`;
  throw new OperatingError('transient', 'RecoveryEnded', message);
}

/** From its next start on the copy is a server like any other; its timeline exists from now on. */
export async function openRestored({ archive, environment }: Performer): Promise<void> {
  const directory = dataDirectory(environment.dataVolume);
  const { checkpointLsn, timeline } = await readControlData(directory, environment.binDirectory);
  const segmentBytes = archive.database?.segmentBytes ?? 0;
  // Behind the segment in use are old ones under new names.
  const inUse = nameOfSegment(
    { timeline, number: segmentAt(checkpointLsn, segmentBytes) },
    segmentBytes,
  );
  for (const name of (await readdir(join(directory, 'pg_wal'))).toSorted()) {
    const file = parseWalFile(name);
    const isNew = file?.kind === 'segment' && file.timeline === timeline && name < inUse;
    if (file?.kind === 'history' || isNew) await archive.put(file, join(directory, 'pg_wal', name));
  }
  await forgetTarget(directory);
}

/** The copy is the data now, and what was set aside is removed. */
export async function keepRestored({ archive, environment, state }: Performer): Promise<void> {
  archive.replayTo(null);
  await acceptRestore(environment.dataVolume);
  state.set({ marks: await readMarks(environment.dataVolume) });
}

/** Without it no later restore could come past the end of what is set aside now. */
async function archiveTheRest({ environment, archive }: Performer): Promise<void> {
  for (const { name, path } of await unarchivedWal(dataDirectory(environment.dataVolume))) {
    const file = parseWalFile(name);
    if (file === null) continue;
    await archive.put(file, path).catch((error: unknown) => {
      const message =
        `archiving ${name} before the data of ${environment.server} is set aside: ${messageOf(error)}. ` +
        'Mend the archive volume, or take the restore back';
      throw new OperatingError('transient', 'ArchiveFailed', message);
    });
  }
}
