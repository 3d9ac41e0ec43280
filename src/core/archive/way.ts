/**
 * Which segments lead to a timeline. Replay goes along a lineage and changes from one timeline to
 * the next at the position at which it was left, mostly in the midst of a segment. The new
 * timeline's first segment begins with a copy of the old one's WAL up to there (xlog.c,
 * `XLogInitNewTimeline`), so the segment with the fork is the new timeline's; the old one's file of
 * the same number is no part of the way.
 */
import { wayOf, type Lineage } from '../timelines';
import { contains, merge, type Inventory } from './inventory';
import { lastSegment, segmentAt, type Segment } from './wal-files';

/** Every segment of the way to a lineage's end: each number on one timeline only, without a hole. */
export function segmentsOnWay(lineage: Lineage, segmentBytes: number): Inventory {
  const stretches = wayOf(lineage).map(({ timeline, fromLsn, endLsn }) => ({
    timeline,
    from: segmentAt(fromLsn, segmentBytes),
    to: endLsn === null ? lastSegment(segmentBytes) : segmentAt(endLsn, segmentBytes) - 1,
  }));
  // A timeline that was left in the segment in which it began has no whole segment of its own.
  return merge(stretches.filter(({ from, to }) => from <= to));
}

/**
 * Whether replay on the way to a lineage's end may read this segment. What does not belong must not
 * be handed to PostgreSQL, for it would take it. It asks for a segment by every timeline of its
 * lineage that has begun by then, the newest first (xlogrecovery.c, `XLogFileReadAnyTLI`), but does
 * not look where a timeline ended. So while the new timeline's segment with the fork is not archived
 * yet, it asks for the old one's; an old primary that wrote on may have archived that, and replay
 * would go past the fork into WAL that never became part of this lineage.
 */
export const belongs = (segment: Segment, lineage: Lineage, segmentBytes: number): boolean =>
  contains(segmentsOnWay(lineage, segmentBytes), segment);
