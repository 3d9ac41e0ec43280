/** Deletes WAL that no backup needs any more. */
import { parseSegment, type WalFile } from '../../core/archive/wal-files';
import { type WalVerdict } from '../../core/archive/wal-retention';
import { type ArchiveStore } from './archive-store';

export interface Discarding {
  readonly segmentBytes: number;
  readonly verdicts: readonly WalVerdict[];
  readonly signal: AbortSignal;
}

/**
 * The oldest first, with the labels and partial segments among them: cut short at any point it leaves
 * no hole. How many files are gone; no history ever is.
 */
export async function discardWal(
  store: Pick<ArchiveStore, 'files' | 'remove'>,
  { segmentBytes, verdicts, signal }: Discarding,
): Promise<number> {
  const floors = new Map(verdicts.map(({ timeline, below }) => [timeline, below]));
  const isBelow = (file: WalFile): boolean => {
    if (file.kind === 'history') return false;
    const segment = parseSegment(file.segment, segmentBytes);
    return segment !== null && segment.number < (floors.get(segment.timeline) ?? 0);
  };
  let count = 0;
  for (const { file } of store.files()) {
    if (signal.aborted) break;
    if (!isBelow(file)) continue;
    await store.remove(file);
    count += 1;
  }
  return count;
}
