/**
 * WAL that only this server has, put aside before a rewind or a re-clone would lose it, with a note
 * of what it holds. Folders in the data volume:
 *
 *     diverged/<time>-tl<timeline>-<position>/
 *         <segments from the fork on>   readable by pg_waldump; the unused rest is not stored
 *         <timeline>.history
 *         loss.json
 */
import { createReadStream, createWriteStream } from 'node:fs';
import { copyFile, mkdir, open, readdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import {
  readWalBeyond,
  type WalBeyond,
  type WalSource,
} from '../../adapters/postgres/diverged-wal';
import { readText, syncDirectory, writeDurably } from '../../adapters/postgres/durable-files';
import { segmentsOf, type SegmentPart } from '../../core/archive/wal-files';
import { beyondFork, historyFile, type Fork } from '../../core/timelines';
import { furthestLsn, lagBytes } from '../../core/lsn';
import { type Divergence } from '../../core/protocol';
import { divergedFolder } from '../volume';
import { type OwnWal } from './compare';
import { requireRoom } from './room';

const LOSS = 'loss.json';
const UNFINISHED = 'unfinished';

export interface KeepOptions {
  readonly volume: string;
  readonly own: OwnWal;
  readonly fork: Fork;
  readonly source: WalSource;
  /** In which the server was primary, as far as it knows. */
  readonly term: number;
  readonly now: Date;
}

/**
 * Puts aside what the server has beyond the fork and measures it; null when no transaction is lost
 * with it. What was put aside before is not put aside again. Durable when this returns.
 */
export async function keepDivergedWal(options: KeepOptions): Promise<Divergence | null> {
  const { volume, own, fork, source, term, now } = options;
  const beyond = await readWalBeyond(beyondFork(own, fork), source);
  if (beyond.isWhole && beyond.commits + beyond.prepared === 0) return null;
  const known = await newestDivergence(volume);
  if (known !== null && isSame(known, fork, beyond)) return known;
  const toLsn =
    furthestLsn([own.control.endLsn, ...beyond.ends.map(({ endLsn }) => endLsn)]) ?? fork.endLsn;
  const name = `${stamp(now)}-tl${fork.timeline}-${fork.endLsn.replace('/', '-')}`;
  const divergence: Divergence = {
    term,
    timeline: fork.timeline,
    fromLsn: fork.endLsn,
    toLsn,
    bytes: lagBytes(toLsn, fork.endLsn),
    transactions: beyond.commits,
    firstCommitAt: beyond.firstCommitAt,
    lastCommitAt: beyond.lastCommitAt,
    keptIn: join('diverged', name),
  };
  await writeFolder(options, beyond, { name, divergence });
  return divergence;
}

/** The note in the newest folder; null when nothing was ever put aside. */
export async function newestDivergence(volume: string): Promise<Divergence | null> {
  const folder = divergedFolder(volume);
  const names = await readdir(folder).catch(() => []);
  const newest = names
    .filter((name) => name !== UNFINISHED)
    .toSorted()
    .at(-1);
  const text = newest === undefined ? null : await readText(join(folder, newest, LOSS));
  return text === null ? null : (JSON.parse(text) as Divergence);
}

async function writeFolder(
  { volume, own, source }: KeepOptions,
  { ends }: WalBeyond,
  { name, divergence }: { readonly name: string; readonly divergence: Divergence },
): Promise<void> {
  const parts = ends.flatMap((end) => segmentsOf(end, source.segmentBytes));
  await requireRoom(volume, {
    reason: 'NoRoomToKeepWal',
    what: `putting aside WAL that only this server has (${divergence.transactions} transactions)`,
    bytes: parts.reduce((sum, { usedBytes }) => sum + usedBytes, 0),
    advice: 'Make room on it',
  });
  const folder = divergedFolder(volume);
  const unfinished = join(folder, UNFINISHED);
  await rm(unfinished, { recursive: true, force: true });
  await mkdir(unfinished, { recursive: true, mode: 0o700 });
  await syncDirectory(volume);
  for (const part of parts) {
    source.signal.throwIfAborted();
    await copySegment(part, own.walDirectory, unfinished, source.segmentBytes);
  }
  if (own.history.length > 0) {
    const history = historyFile(own.timeline);
    await copyFile(join(own.walDirectory, history), join(unfinished, history));
    await syncFile(join(unfinished, history));
  }
  await writeDurably(join(unfinished, LOSS), `${JSON.stringify(divergence, null, 2)}\n`);
  await rename(unfinished, join(folder, name));
  await syncDirectory(folder);
}

/** Of the last segment only what is in use is stored; the rest reads as zeros. */
async function copySegment(
  { name, usedBytes }: SegmentPart,
  from: string,
  to: string,
  segmentBytes: number,
): Promise<void> {
  const target = join(to, name);
  await pipeline(
    createReadStream(join(from, name), { end: usedBytes - 1 }),
    createWriteStream(target, { mode: 0o600 }),
  );
  await syncFile(target, segmentBytes);
}

async function syncFile(path: string, size?: number): Promise<void> {
  const file = await open(path, 'r+');
  try {
    if (size !== undefined) await file.truncate(size);
    await file.sync();
  } finally {
    await file.close();
  }
}

const isSame = (known: Divergence, { timeline, endLsn }: Fork, { commits }: WalBeyond): boolean =>
  known.timeline === timeline && known.fromLsn === endLsn && known.transactions === commits;

/** `20261121T143000.123Z`: sorts by time, and is a good name for a folder. */
const stamp = (now: Date): string => now.toISOString().replaceAll(/[-:]/g, '');
