/** The base backups of an archive, and how far the WAL leads that replay needs after each of them. */
import { isOfDataDirectory } from '../backup/backup';
import { type BackupSummary } from '../backup/task';
import { compareLsn, type Lsn } from '../lsn';
import { wayOf, type Lineage } from '../timelines';
import {
  describeRange,
  fromNumber,
  intersect,
  subtract,
  type Inventory,
  type SegmentRange,
} from './inventory';
import { segmentAt, segmentBefore, segmentEnd, segmentStart } from './wal-files';
import { segmentsOnWay } from './way';

/** What the catalogue says of a base backup. */
export interface BaseBackup {
  readonly id: string;
  /** The backup that this one is an increment of; null for a full one. */
  readonly parent: string | null;
  /** Replay begins here: the checkpoint's REDO position. */
  readonly startLsn: Lsn;
  /** Replay must have come so far before the data is consistent. */
  readonly stopLsn: Lsn;
  /** The one on which it stopped: a standby may have followed a new primary while it ran. */
  readonly timeline: number;
  /** Milliseconds since 1970, as all moments here. */
  readonly startedAtMs: number;
  readonly stoppedAtMs: number;
  /** The WAL from `startLsn` up to `stopLsn` is stored with it: it can be restored without an archive. */
  readonly hasOwnWal: boolean;
}

/** Those of a catalogue that can be replayed upon and in which nothing wrong was found. */
export const baseBackupsOf = (
  backups: readonly Omit<BackupSummary, 'retention'>[],
): readonly BaseBackup[] =>
  backups.flatMap(({ id, parent, method, wal, startedAt, stoppedAt, verification }) => {
    if (!isOfDataDirectory(method) || wal === null || verification?.problem != null) return [];
    const [startedAtMs, stoppedAtMs] = [Date.parse(startedAt), Date.parse(stoppedAt)];
    return [{ id, parent, ...wal, startedAtMs, stoppedAtMs, hasOwnWal: true }];
  });

/** All that one archive has, or all archives together. */
export interface ArchiveContents {
  readonly segmentBytes: number;
  readonly inventory: Inventory;
  readonly backups: readonly BaseBackup[];
}

/** How far a backup can be replayed on the way to a timeline. */
export type BackupReach =
  | {
      readonly kind: 'usable';
      readonly backup: BaseBackup;
      /** End of the last segment up to which there is no hole, or of the backup itself. */
      readonly untilLsn: Lsn;
      /** The first hole; null when there is nothing behind `untilLsn` either. */
      readonly hole: SegmentRange | null;
    }
  | { readonly kind: 'unusable'; readonly backup: BaseBackup; readonly because: string };

export type UsableBackup = Extract<BackupReach, { kind: 'usable' }>;

/**
 * What every backup is good for on the way to a lineage's end, in the order of their ends. All of
 * a backup's own WAL must be there, in the archive or with the backup, and all backups that it is an
 * increment of.
 */
export function reachOf(contents: ArchiveContents, lineage: Lineage): readonly BackupReach[] {
  const onWay = segmentsOnWay(lineage, contents.segmentBytes);
  return inOrder(contents.backups).map((backup): BackupReach => {
    const because = whyBrokenChain(backup, contents.backups) ?? whyElsewhere(backup, lineage);
    if (because !== null) return { kind: 'unusable', backup, because };
    return walReach(backup, onWay, contents);
  });
}

/** A backup and all those that it is an increment of; `isWhole` is false when one is missing. */
export function chainOf(
  backup: BaseBackup,
  backups: readonly BaseBackup[],
): { readonly chain: readonly BaseBackup[]; readonly isWhole: boolean } {
  const chain = [backup];
  for (let parent = backup.parent; parent !== null;) {
    const next = backups.find(({ id }) => id === parent);
    // Nobody is its own ancestor; a catalogue that says so must not hold up everything else.
    if (next === undefined || chain.includes(next)) return { chain, isWhole: false };
    chain.push(next);
    parent = next.parent;
  }
  return { chain, isWhole: true };
}

/** By the position at which they end, the oldest first: on one way that is their order in time. */
export const inOrder = (backups: readonly BaseBackup[]): readonly BaseBackup[] =>
  backups.toSorted(
    (a, b) =>
      compareLsn(a.stopLsn, b.stopLsn) ||
      a.stoppedAtMs - b.stoppedAtMs ||
      a.id.localeCompare(b.id, 'en'),
  );

export const isUsable = (reach: BackupReach): reach is UsableBackup => reach.kind === 'usable';

function whyBrokenChain(backup: BaseBackup, backups: readonly BaseBackup[]): string | null {
  const { chain, isWhole } = chainOf(backup, backups);
  if (isWhole) return null;
  const last = chain.at(-1) ?? backup;
  const builds = last === backup ? '' : `${backup.id} builds on ${last.id}, and `;
  return `${builds}${last.id} is an increment of ${last.parent ?? ''}, which is not there`;
}

/**
 * Why a backup cannot be replayed to a lineage's end, whatever WAL there is; null when it can.
 * PostgreSQL refuses to begin with "requested timeline … is not a child of this server's history"
 * or "does not contain minimum recovery point" (xlogrecovery.c, `InitWalRecovery`).
 */
export function whyElsewhere(
  { id, timeline, stopLsn }: BaseBackup,
  lineage: Lineage,
): string | null {
  const stretch = wayOf(lineage).find((each) => each.timeline === timeline);
  if (stretch === undefined) {
    return `${id} was taken on timeline ${timeline}, which does not lead to timeline ${lineage.timeline}`;
  }
  if (stretch.endLsn === null || compareLsn(stopLsn, stretch.endLsn) <= 0) return null;
  return (
    `${id} ends at ${stopLsn} on timeline ${timeline}, but timeline ${lineage.timeline} left that ` +
    `one at ${stretch.endLsn} already`
  );
}

function walReach(
  backup: BaseBackup,
  onWay: Inventory,
  { segmentBytes, inventory }: ArchiveContents,
): BackupReach {
  const stop = segmentBefore(backup.stopLsn, segmentBytes);
  const first = backup.hasOwnWal ? stop : segmentAt(backup.startLsn, segmentBytes);
  const needed = fromNumber(onWay, first);
  // Along a way both timelines and numbers rise.
  const highest = intersect(needed, inventory).at(-1)?.to;
  const last = Math.max(stop, highest ?? stop);
  const [hole = null] = subtract(upTo(needed, last), inventory);
  if (hole !== null && hole.from <= stop) {
    // Its last segment is filled so far only.
    const isEnd = highest === undefined;
    if (backup.hasOwnWal) return usable(backup, backup.stopLsn, isEnd ? null : hole);
    const own = describeRange({ ...hole, to: Math.min(hole.to, stop) }, segmentBytes);
    const because = `${backup.id} itself needs WAL that is missing in the archive: ${own}`;
    return { kind: 'unusable', backup, because };
  }
  const untilLsn =
    hole === null ? segmentEnd(last, segmentBytes) : segmentStart(hole.from, segmentBytes);
  return usable(backup, untilLsn, hole);
}

const usable = (backup: BaseBackup, untilLsn: Lsn, hole: SegmentRange | null): BackupReach => ({
  kind: 'usable',
  backup,
  untilLsn,
  hole,
});

const upTo = (inventory: Inventory, highest: number): Inventory =>
  inventory.flatMap((range) =>
    range.from > highest ? [] : [{ ...range, to: Math.min(range.to, highest) }],
  );
