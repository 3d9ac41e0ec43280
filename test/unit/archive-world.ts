/** Positions, timelines and archives for the tests of the archive, counted in segments. */
import { type BaseBackup } from '../../src/core/archive/backups';
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

/** Seven in the morning of some day. */
export const MORNING_MS = Date.UTC(2026, 10, 21, 7);
export const HOUR_MS = 3_600_000;

/** A full backup on timeline 1, from the middle of a segment to that of the next; by the hour. */
export function backup(id: string, at: number, change: Partial<BaseBackup> = {}): BaseBackup {
  return {
    id,
    parent: null,
    startLsn: position(at + 0.5),
    stopLsn: position(at + 1.5),
    timeline: 1,
    startedAtMs: MORNING_MS + at * HOUR_MS,
    stoppedAtMs: MORNING_MS + (at + 0.5) * HOUR_MS,
    hasOwnWal: false,
    ...change,
  };
}
