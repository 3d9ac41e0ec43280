/** Positions, timelines and archives for the tests of the archive, counted in segments. */
import { merge, type Inventory } from '../../src/core/archive/inventory';
import { SEGMENT_BYTES_DEFAULT } from '../../src/core/archive/wal-files';
import { formatLsn, type Lsn } from '../../src/core/lsn';
import { type TimelineLeft } from '../../src/core/timelines';

/** `10.5` is the middle of segment 10. */
export const position = (segments: number): Lsn =>
  formatLsn(BigInt(Math.round(segments * SEGMENT_BYTES_DEFAULT)));

export const left = (timeline: number, segments: number): TimelineLeft => ({
  timeline,
  endLsn: position(segments),
});

/** `[1, 0, 9], [2, 10, 20]`: timeline, first and last segment. */
export const archive = (
  ...ranges: readonly (readonly [timeline: number, from: number, to: number])[]
): Inventory => merge(ranges.map(([timeline, from, to]) => ({ timeline, from, to })));
