/**
 * Which WAL of an archive may go: what lies before the beginning of every backup that stays, on
 * every way that it can be replayed along. Nothing goes from the midst of a timeline's WAL, and no
 * history file at all: a few hundred bytes, without which nobody knows the way.
 */
import { formatDuration } from '../quantities';
import { lineageOf, newestLineage, type Histories } from '../timelines';
import { whyElsewhere, type ArchiveContents, type BaseBackup } from './backups';
import { fromNumber, type SegmentRange } from './inventory';
import { lastSegment, nameOfSegment, segmentAt, type Segment } from './wal-files';
import { segmentsOnWay } from './way';

export interface RetainedArchive extends ArchiveContents {
  readonly histories: Histories;
  /**
   * Of each timeline the lowest segment that was archived within the maximum age. It matters only
   * without any backup.
   */
  readonly young: readonly Segment[];
}

export interface StayingBackups {
  readonly kept: readonly BaseBackup[];
  readonly isAnyUsable: boolean;
  /** Without any backup, older WAL goes; null when it stays. */
  readonly maxAgeMs: number | null;
}

export interface WalVerdict {
  readonly timeline: number;
  /** The segments below this number may go. */
  readonly below: number;
  readonly because: string;
}

interface Need {
  readonly id: string;
  readonly range: SegmentRange;
}

/** For every timeline of which there is WAL, below which segment it may go. */
export function walMayGo(archive: RetainedArchive, staying: StayingBackups): readonly WalVerdict[] {
  const timelines = [...new Set(archive.inventory.map(({ timeline }) => timeline))];
  if (archive.backups.length === 0) {
    return timelines.map((timeline) => withoutBackup(timeline, archive, staying.maxAgeMs));
  }
  if (!staying.isAnyUsable) {
    return timelines.map((timeline) => allOf(timeline, 'no backup is usable'));
  }
  const needs = staying.kept.flatMap((backup) => neededBy(backup, archive));
  return timelines.map((timeline) => {
    const first = lowest(needs.filter(({ range }) => range.timeline === timeline));
    if (first === null) return unneeded(timeline, archive);
    const below = first.range.from;
    const name = nameOfSegment({ timeline, number: below }, archive.segmentBytes);
    return { timeline, below, because: `${first.id} needs it from ${name} on` };
  });
}

/** Along every way on which the backup lies, those to abandoned timelines too. */
function neededBy(backup: BaseBackup, archive: RetainedArchive): readonly Need[] {
  const { segmentBytes, histories, inventory } = archive;
  const first = segmentAt(backup.startLsn, segmentBytes);
  const ways = timelinesOf(backup, histories)
    .flatMap((timeline) => lineageOf(timeline, histories) ?? [])
    .filter((lineage) => whyElsewhere(backup, lineage) === null);
  const ranges = ways.flatMap((way) => fromNumber(segmentsOnWay(way, segmentBytes), first));
  // Where nobody knows the way it may lead anywhere.
  const anywhere = inventory.map(({ timeline }) => ({
    timeline,
    from: first,
    to: lastSegment(segmentBytes),
  }));
  return (ways.length === 0 ? anywhere : ranges).map((range) => ({ id: backup.id, range }));
}

const timelinesOf = (backup: BaseBackup, histories: Histories): readonly number[] => [
  ...new Set([
    backup.timeline,
    ...Object.keys(histories).map(Number),
    ...Object.values(histories).flatMap((history) => history.map(({ timeline }) => timeline)),
  ]),
];

/** A timeline to which no backup that stays leads was abandoned, or is not known well enough. */
function unneeded(timeline: number, { histories, inventory }: RetainedArchive): WalVerdict {
  const isNew = timeline > newestLineage(histories).timeline;
  if (isNew || lineageOf(timeline, histories) === null) {
    return allOf(timeline, `where timeline ${timeline} comes from is not known`);
  }
  const last = inventory.findLast((range) => range.timeline === timeline)?.to ?? -1;
  return {
    timeline,
    below: last + 1,
    because: `no backup that stays leads to timeline ${timeline}`,
  };
}

function withoutBackup(
  timeline: number,
  { young }: RetainedArchive,
  maxAgeMs: number | null,
): WalVerdict {
  const first = young.find((segment) => segment.timeline === timeline);
  if (maxAgeMs === null || first === undefined) return allOf(timeline, 'there is no backup');
  const because = `there is no backup, and it is older than ${formatDuration(maxAgeMs)}`;
  return { timeline, below: first.number, because };
}

const allOf = (timeline: number, because: string): WalVerdict => ({
  timeline,
  below: 0,
  because: `all of it stays: ${because}`,
});

const lowest = (needs: readonly Need[]): Need | null =>
  needs.reduce<Need | null>(
    (low, need) => (low === null || need.range.from < low.range.from ? need : low),
    null,
  );
