/** When the WAL had come how far, as the files of an archive tell. */
import { type Milestone } from '../../core/archive/choose-backup';
import { type Inventory } from '../../core/archive/inventory';
import { nameOfSegment, segmentEnd } from '../../core/archive/wal-files';
import { type ArchiveStore } from './archive-store';

/**
 * Of every range the first and the last segment: between them times rise, and what a target's time is
 * compared with are the ends of ranges.
 */
export async function milestonesIn(
  store: Pick<ArchiveStore, 'storedAtMs'>,
  inventory: Inventory,
  segmentBytes: number,
): Promise<readonly Milestone[]> {
  const milestones: Milestone[] = [];
  for (const { timeline, from, to } of inventory) {
    for (const number of new Set([from, to])) {
      const segment = nameOfSegment({ timeline, number }, segmentBytes);
      const atMs = await store.storedAtMs({ kind: 'segment', timeline, segment });
      if (atMs !== null) milestones.push({ timeline, lsn: segmentEnd(number, segmentBytes), atMs });
    }
  }
  return milestones;
}
