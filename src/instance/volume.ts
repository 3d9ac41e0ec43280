/**
 * The data volume: what is in it, and how it is changed so that a crash at any instant leaves it in
 * a state from which the next start goes on.
 *
 *     pgswarm.json   whose volume it is
 *     pgdata         the data directory: complete
 *     pgdata.new     being filled, or being thrown away: of no value at any time
 *     pgdata.next    a complete copy that is about to take the place of pgdata
 *     pgdata.old     what pgdata was before; kept until the new one has been seen streaming
 *     rewinding      pg_rewind is at work in pgdata, or was when it was killed
 *     primary-term   the last term in which this server was primary
 *     diverged       WAL that was put aside before it would have been lost
 *     restore.json   a restore in place, with its directories: see core/restore/in-place.ts
 *     reserve        takes room, to be given up when there is none left
 *     spool          WAL from the archive on its way to PostgreSQL: of no value at any time
 *
 * Filling an empty volume writes, each step durable before the next: the content of `pgdata.new`,
 * then the tag, then the name `pgdata`. The rename commits: a tag beside `pgdata.new` but without
 * `pgdata` is the trace of a filling that a crash cut short. Clearing it away removes the tag first,
 * so that a second crash leaves `pgdata.new` alone, which is cleared away just the same. A tag alone
 * can only mean that a data directory was there and is not any more: nothing is done with such a
 * volume.
 *
 * Cloning again fills `pgdata.new` beside `pgdata`. Its new name `pgdata.next` commits; the rest
 * (pgdata → pgdata.old, mark removed, pgdata.next → pgdata) is done by whoever finds it.
 */
import { mkdir, readdir, rename, rm, rmdir } from 'node:fs/promises';
import { join } from 'node:path';
import { readText, syncDirectory, writeDurably } from '../adapters/postgres/durable-files';
import { messageOf } from '../core/errors';
import { type VolumeReport, type VolumeTag } from '../core/protocol';
import { isSwapping, RESTORE_NAMES } from '../core/restore/in-place';
import { readRestoreNote, settleRestore } from './restore/in-place';

const DATA = 'pgdata';
const UNFINISHED = 'pgdata.new';
const NEXT = 'pgdata.next';
const OLD = 'pgdata.old';
const TAG = 'pgswarm.json';
const REWINDING = 'rewinding';
const TERM = 'primary-term';
const DIVERGED = 'diverged';
const SPOOL = 'spool';
const RESERVE = 'reserve';
/** Of no meaning without a data directory. */
const NOTES: readonly string[] = [REWINDING, TERM, DIVERGED];
/** Our lock, what mkfs leaves behind, WAL on its way, and files whose writing was cut short. */
const IGNORED: readonly string[] = [
  ...['.lock', 'lost+found', SPOOL, RESERVE],
  ...[TAG, REWINDING, TERM, RESERVE, RESTORE_NAMES.note].map((name) => `${name}.new`),
];
const KNOWN: readonly string[] = [
  ...[DATA, UNFINISHED, NEXT, OLD, TAG, ...NOTES, ...IGNORED],
  ...Object.values(RESTORE_NAMES),
];

export interface VolumeOwner {
  readonly cluster: string;
  readonly server: string;
}

/** What the volume says beside whose it is. */
export interface VolumeMarks {
  /** The copy from before the last re-clone is still there. */
  readonly hasOldCopy: boolean;
  /** A rewind was cut short: the data directory can neither be started nor rewound again. */
  readonly isHalfRewound: boolean;
  /** The last term in which this server was primary; null when it never was. */
  readonly primaryTerm: number | null;
  /** Id of the restore whose copy is in the place of the data; the data is set aside. */
  readonly restored: string | null;
}

export const NO_MARKS: VolumeMarks = {
  hasOldCopy: false,
  isHalfRewound: false,
  primaryTerm: null,
  restored: null,
};

export const reserveFile = (volume: string): string => join(volume, RESERVE);
export const spoolFolder = (volume: string): string => join(volume, SPOOL);
export const divergedFolder = (volume: string): string => join(volume, DIVERGED);
export const dataDirectory = (volume: string): string => join(volume, DATA);

/** Finishes or clears away what was cut short, then says what is there. Needs the volume's lock. */
export async function openVolume(volume: string, owner: VolumeOwner): Promise<VolumeReport> {
  const report = await readVolume(volume, owner);
  try {
    const names = await readdir(volume);
    if (report.kind === 'empty' && names.includes(UNFINISHED)) await clearUnfinished(volume);
    if (report.kind === 'tagged' && names.includes(NEXT)) await swapIn(volume);
    if (report.kind === 'tagged') await settleRestore(volume);
    if (report.kind === 'tagged') await remove(volume, UNFINISHED);
    return report;
  } catch (error) {
    return { kind: 'unusable', detail: messageOf(error) };
  }
}

/** What the volume holds, an unfinished filling counting as nothing. Changes nothing. */
export async function readVolume(volume: string, owner: VolumeOwner): Promise<VolumeReport> {
  try {
    const names = await readdir(volume);
    const foreign = names.filter((name) => !KNOWN.includes(name));
    if (foreign.length > 0) return { kind: 'foreign', detail: `unknown in it: ${list(foreign)}` };
    const note = await readRestoreNote(volume);
    const isBetween = note !== null && isSwapping(note.phase);
    if (names.includes(DATA) || names.includes(NEXT) || isBetween) {
      return tagged(await readText(join(volume, TAG)), owner);
    }
    const rest = [TAG, OLD].filter((name) => names.includes(name));
    const isUnfinished = names.includes(UNFINISHED) && !names.includes(OLD);
    if (rest.length === 0 || isUnfinished) return { kind: 'empty' };
    const detail = `${rest.join(' and ')} is in it but the data directory ${DATA} is gone`;
    return { kind: 'foreign', detail };
  } catch (error) {
    return { kind: 'unusable', detail: messageOf(error) };
  }
}

/** An empty directory to fill; what was there under this name was never complete. */
export async function beginFilling(volume: string): Promise<string> {
  const path = join(volume, UNFINISHED);
  await rm(path, { recursive: true, force: true });
  await mkdir(path, { mode: 0o700 });
  return path;
}

/** Gives the filled directory its tag and its final name; its content must be durable. */
export async function commitFilling(volume: string, tag: VolumeTag): Promise<void> {
  await syncDirectory(join(volume, UNFINISHED));
  await writeDurably(join(volume, TAG), `${JSON.stringify(tag, null, 2)}\n`);
  await unmarkRewinding(volume);
  await renameDurably(volume, UNFINISHED, DATA);
}

/** What is written in the volume beside the data. */
export async function readMarks(volume: string): Promise<VolumeMarks> {
  const names = await readdir(volume);
  const term = Number((await readText(join(volume, TERM))) ?? NaN);
  return {
    hasOldCopy: names.includes(OLD),
    isHalfRewound: names.includes(REWINDING),
    primaryTerm: Number.isSafeInteger(term) ? term : null,
    restored: (await readRestoreNote(volume))?.id ?? null,
  };
}

export async function notePrimaryTerm(volume: string, term: number): Promise<void> {
  await writeDurably(join(volume, TERM), `${term}\n`);
}

/** To be durable before pg_rewind begins: cut short, it leaves a directory that must not be started. */
export async function markRewinding(volume: string, because: string): Promise<void> {
  await writeDurably(join(volume, REWINDING), `${because}\n`);
}

export async function unmarkRewinding(volume: string): Promise<void> {
  await remove(volume, REWINDING);
}

/** Puts the filled directory, whose content must be durable, in the place of the present one. */
export async function commitRecloning(volume: string): Promise<void> {
  await syncDirectory(join(volume, UNFINISHED));
  await renameDurably(volume, UNFINISHED, NEXT);
  await swapIn(volume);
  await remove(volume, UNFINISHED);
}

/** Throws away what was filled so far. */
export async function abandonFilling(volume: string): Promise<void> {
  await remove(volume, UNFINISHED);
}

/** Removes the copy from before the last re-clone, file by file, as long as nobody calls it off. */
export async function removeOldCopy(volume: string, signal: AbortSignal): Promise<void> {
  await removeTree(join(volume, OLD), signal);
  await syncDirectory(volume);
}

/** Each step may have been done before a crash. */
async function swapIn(volume: string): Promise<void> {
  const names = await readdir(volume);
  if (names.includes(DATA)) {
    // With an old copy there the present one is itself a re-clone that never streamed.
    await renameDurably(volume, DATA, names.includes(OLD) ? UNFINISHED : OLD);
  }
  await unmarkRewinding(volume);
  await renameDurably(volume, NEXT, DATA);
}

async function renameDurably(volume: string, from: string, to: string): Promise<void> {
  await rename(join(volume, from), join(volume, to));
  await syncDirectory(volume);
}

async function remove(volume: string, name: string): Promise<void> {
  await rm(join(volume, name), { recursive: true, force: true });
  await syncDirectory(volume);
}

async function removeTree(path: string, signal: AbortSignal): Promise<void> {
  for (const entry of await readdir(path, { withFileTypes: true })) {
    signal.throwIfAborted();
    if (entry.isDirectory()) await removeTree(join(path, entry.name), signal);
    else await rm(join(path, entry.name));
  }
  await rmdir(path);
}

async function clearUnfinished(volume: string): Promise<void> {
  await rm(join(volume, TAG), { force: true });
  await syncDirectory(volume);
  await rm(join(volume, UNFINISHED), { recursive: true, force: true });
  await syncDirectory(volume);
}

function tagged(text: string | null, owner: VolumeOwner): VolumeReport {
  if (text === null) return { kind: 'foreign', detail: `${DATA} is in it, but no ${TAG}` };
  const tag = parseTag(text);
  if (tag === null) return { kind: 'foreign', detail: `${TAG} is not readable` };
  if (tag.cluster === owner.cluster && tag.server === owner.server) return { kind: 'tagged', tag };
  const detail =
    `it belongs to server ${tag.server} of cluster ${tag.cluster}, ` +
    `expected is the volume of ${owner.server} of ${owner.cluster}`;
  return { kind: 'foreign', detail };
}

function parseTag(text: string): VolumeTag | null {
  let value: Partial<Record<keyof VolumeTag, unknown>> | null;
  try {
    value = JSON.parse(text) as typeof value;
  } catch {
    return null;
  }
  const { cluster, server, systemIdentifier, volumeId } = value ?? {};
  if (typeof cluster !== 'string' || typeof server !== 'string') return null;
  if (typeof systemIdentifier !== 'string' || typeof volumeId !== 'string') return null;
  return { cluster, server, systemIdentifier, volumeId };
}

const NAMES_SHOWN_MAX = 5;
const list = (names: readonly string[]): string =>
  names.toSorted().slice(0, NAMES_SHOWN_MAX).join(', ') +
  (names.length > NAMES_SHOWN_MAX ? ` and ${String(names.length - NAMES_SHOWN_MAX)} more` : '');
