/** The recovery window as a server reports it: small, and its gaps in words. */
import { compareLsn, type Lsn } from '../lsn';
import { type Histories } from '../timelines';
import { type ArchiveContents } from './backups';
import { describeRange, type SegmentRange } from './inventory';
import { windowOf, type RecoveryWindow } from './window';

/** To which points in time an archive leads. */
export interface WindowReport {
  readonly timeline: number;
  /** End of the oldest backup that can be used, and of the WAL behind it; null: there is none. */
  readonly points: { readonly earliest: WindowPoint; readonly latest: WindowPoint } | null;
  /** Why there is none; what is missing in it; null: it is whole. */
  readonly because: string | null;
  /** There is a backup, and not everything behind it can be come to: somebody has to do something. */
  readonly isDisturbed: boolean;
}

export interface WindowPoint {
  readonly lsn: Lsn;
  /** ISO 8601; null when nobody knows. */
  readonly at: string | null;
}

/** Of more gaps only the number is told. */
const GAPS_TOLD_MAX = 3;

/** The window on the way to a timeline. */
export function windowReport(
  contents: ArchiveContents,
  histories: Histories,
  timeline: number,
): WindowReport {
  const window = windowOf(contents, histories, timeline);
  const { earliest, latestLsn, backups } = window;
  if (earliest === null || latestLsn === null) {
    const newest = backups.at(-1);
    const because = newest?.kind === 'unusable' ? newest.because : 'there is no base backup';
    return { timeline, points: null, because, isDisturbed: newest !== undefined };
  }
  const because = gapsInWords(window, contents.segmentBytes);
  // Only the file of the last segment can tell when that was archived.
  const last = backups.find(({ backup }) => backup.stopLsn === latestLsn)?.backup;
  return {
    timeline,
    points: {
      earliest: { lsn: earliest.lsn, at: timeText(earliest.atMs) },
      latest: { lsn: latestLsn, at: last === undefined ? null : timeText(last.stoppedAtMs) },
    },
    because,
    isDisturbed: because !== null,
  };
}

const timeText = (ms: number): string => new Date(ms).toISOString();

function gapsInWords({ gaps, hole }: RecoveryWindow, segmentBytes: number): string | null {
  const missing = (range: SegmentRange): string => `missing: ${describeRange(range, segmentBytes)}`;
  const words = gaps.map(
    ({ fromLsn, toLsn, hole: range }) =>
      `nothing leads to what is between ${fromLsn} and ${toLsn} (${missing(range)})`,
  );
  if (hole !== null) words.push(`nothing leads further (${missing(hole)})`);
  if (words.length === 0) return null;
  const told = words.slice(-GAPS_TOLD_MAX).join('; ');
  return words.length > GAPS_TOLD_MAX ? `${words.length} gaps; the last ones: ${told}` : told;
}

/** The one that leads furthest; whole ones go before those with gaps. */
export function bestWindow(windows: readonly WindowReport[]): WindowReport | null {
  const [best] = windows.toSorted(
    (a, b) =>
      b.timeline - a.timeline ||
      Number(a.points === null) - Number(b.points === null) ||
      Number(a.isDisturbed) - Number(b.isDisturbed) ||
      compareLsn(b.points?.latest.lsn ?? '0/0', a.points?.latest.lsn ?? '0/0'),
  );
  return best ?? null;
}
