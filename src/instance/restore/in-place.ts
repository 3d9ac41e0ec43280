/**
 * A restore in place on one server's data volume: see `core/restore/in-place.ts` for what is in it
 * when. PostgreSQL must not run. Each function may be called again after it was cut short anywhere.
 */
import { readdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { readText, syncDirectory, writeDurably } from '../../adapters/postgres/durable-files';
import { parseWalFile } from '../../core/archive/wal-files';
import { OperatingError } from '../../core/errors';
import {
  nextRestoreStep,
  RESTORE_NAMES,
  type RestoreNote,
  type RestorePhase,
  type RestoreStep,
} from '../../core/restore/in-place';
import { RESTORE_FILE } from '../../core/settings';

const RECOVERY_SIGNAL = 'recovery.signal';
/** The longest way has eight. */
const STEPS_MAX = 20;

/** null: the volume is not being restored, and nothing is set aside. */
export async function readRestoreNote(volume: string): Promise<RestoreNote | null> {
  const text = await readText(join(volume, RESTORE_NAMES.note));
  return text === null ? null : (JSON.parse(text) as RestoreNote);
}

/** Goes on with what was cut short; to be called before anything else is done with the volume. */
export async function settleRestore(volume: string): Promise<RestoreNote | null> {
  for (let steps = 0; steps < STEPS_MAX; steps += 1) {
    const note = await readRestoreNote(volume);
    const step = nextRestoreStep(await readdir(volume), note?.phase ?? null);
    if (step === null) return note;
    await take(volume, step, note);
  }
  throw new Error(`a restore in place does not come to rest after ${STEPS_MAX} steps`);
}

/**
 * Puts the filled directory `pgdata.new`, which is prepared for recovery, in the place of the present
 * one. The first time the present one is set aside; from then on that one
 * stays the way back, however many points are tried.
 */
export async function restoreInPlace(
  volume: string,
  note: Omit<RestoreNote, 'phase'>,
): Promise<RestoreNote | null> {
  const filled = join(volume, RESTORE_NAMES.rubbish);
  await syncDirectory(filled);
  await rm(join(volume, RESTORE_NAMES.restored), { recursive: true, force: true });
  await take(volume, { kind: 'rename', from: 'rubbish', to: 'restored' }, null);
  await writeNote(volume, { ...note, phase: 'swapping' });
  return await settleRestore(volume);
}

/** Everything is as it was before the restore. */
export async function goBack(volume: string): Promise<void> {
  await enter(volume, 'going back');
}

/** The way back is given up: what was set aside is removed. */
export async function acceptRestore(volume: string): Promise<void> {
  await enter(volume, 'accepting');
}

/** Has the server in this directory recover at its next start (manual: "Recovery Target"). */
export async function prepareRecovery(dataDirectory: string, settings: string): Promise<void> {
  await rm(join(dataDirectory, 'standby.signal'), { force: true });
  await writeDurably(join(dataDirectory, RESTORE_FILE), settings);
  await writeDurably(join(dataDirectory, RECOVERY_SIGNAL), '');
}

/** From its next start on it is a server like any other. */
export async function forgetTarget(dataDirectory: string): Promise<void> {
  await rm(join(dataDirectory, RESTORE_FILE), { force: true });
  await syncDirectory(dataDirectory);
}

/** A file in `pg_wal` that no archive has yet. */
export interface UnarchivedWal {
  /** The name for the archive: a segment that was never full is `….partial`. */
  readonly name: string;
  readonly path: string;
}

/**
 * What only this data directory has, oldest first: to be archived before the directory is set aside,
 * or no later restore could come past it.
 */
export async function unarchivedWal(dataDirectory: string): Promise<readonly UnarchivedWal[]> {
  const wal = join(dataDirectory, 'pg_wal');
  const [statuses, files] = [await readdir(join(wal, 'archive_status')), await readdir(wal)];
  const isSegment = (name: string): boolean => parseWalFile(name)?.kind === 'segment';
  const ready = statuses
    .filter((name) => name.endsWith('.ready'))
    .map((name) => name.slice(0, -'.ready'.length))
    .filter((name) => files.includes(name));
  const known = statuses.map((name) => name.replace(/\.(ready|done)$/, '')).filter(isSegment);
  const newest = known.toSorted().at(-1) ?? '';
  // Behind the one in use are old ones under new names: their content says nothing.
  const last = files.filter((name) => isSegment(name) && name > newest).toSorted()[0];
  return [
    ...ready.toSorted().map((name) => ({ name, path: join(wal, name) })),
    ...(last === undefined ? [] : [{ name: `${last}.partial`, path: join(wal, last) }]),
  ];
}

async function enter(volume: string, phase: RestorePhase): Promise<void> {
  const note = await settleRestore(volume);
  if (note === null) {
    const message = 'the data volume is not being restored: there is nothing to decide';
    throw new OperatingError('refused', 'NotRestoring', message);
  }
  await writeNote(volume, { ...note, phase });
  await settleRestore(volume);
}

async function take(volume: string, step: RestoreStep, note: RestoreNote | null): Promise<void> {
  switch (step.kind) {
    case 'rename':
      await rename(join(volume, RESTORE_NAMES[step.from]), join(volume, RESTORE_NAMES[step.to]));
      break;
    case 'remove':
      await rm(join(volume, RESTORE_NAMES[step.name]), { recursive: true, force: true });
      break;
    case 'note restored':
      if (note !== null) await writeNote(volume, { ...note, phase: 'restored' });
      return;
    case 'forget note':
      await rm(join(volume, RESTORE_NAMES.note), { force: true });
  }
  await syncDirectory(volume);
}

async function writeNote(volume: string, note: RestoreNote): Promise<void> {
  await writeDurably(join(volume, RESTORE_NAMES.note), `${JSON.stringify(note, null, 2)}\n`);
}
