/** What became of a writer's attempts, and what follows from it: the write gap, and lost writes. */

/**
 * `acknowledged`: the server said that it is committed. `refused`: the server said that it is not.
 * `unknown`: the connection was lost before an answer, and only the table can tell.
 */
export type Outcome = 'acknowledged' | 'refused' | 'unknown';

/** One write, under an id that is never used again. Times are of one monotonic clock. */
export interface Attempt {
  readonly id: number;
  /** Whom it was sent to, as `host:port`. */
  readonly server: string;
  readonly sentAtMs: number;
  /** When the answer came, or when no answer was expected any longer. */
  readonly endedAtMs: number;
  readonly outcome: Outcome;
  /** PostgreSQL's timeline on which it was acknowledged; null for any other outcome. */
  readonly timeline: number | null;
  /** Null for an acknowledged write. */
  readonly problem: string | null;
}

/** Time without an acknowledged write. */
export interface Gap {
  readonly durationMs: number;
  readonly fromMs: number;
  readonly toMs: number;
  /** Who acknowledged the last write before, and the first one after; null for nobody. */
  readonly fromServer: string | null;
  readonly toServer: string | null;
}

export interface TimeWindow {
  readonly sinceMs: number;
  readonly untilMs: number;
}

interface Point {
  readonly atMs: number;
  readonly server: string | null;
}

/**
 * The longest time between two successive acknowledged writes, of which the later one is in the
 * window. A window that ends without writes has a gap up to its end: silence is not health.
 */
export function longestGap(attempts: readonly Attempt[], window: TimeWindow): Gap {
  const points = attempts
    .filter(({ outcome, endedAtMs }) => outcome === 'acknowledged' && endedAtMs <= window.untilMs)
    .map(({ endedAtMs, server }): Point => ({ atMs: endedAtMs, server }));
  const first = points.findIndex(({ atMs }) => atMs >= window.sinceMs);
  const inside = first === -1 ? [] : points.slice(first);
  const before = first === -1 ? points.at(-1) : points[first - 1];
  const end: Point = { atMs: window.untilMs, server: null };
  return longest([before ?? { atMs: window.sinceMs, server: null }, ...inside, end]);
}

function longest(points: readonly Point[]): Gap {
  const gaps = points.slice(1).map((to, index) => gapBetween(points[index] ?? to, to));
  return gaps.reduce((most, gap) => (gap.durationMs > most.durationMs ? gap : most));
}

const gapBetween = (from: Point, to: Point): Gap => ({
  durationMs: to.atMs - from.atMs,
  fromMs: from.atMs,
  toMs: to.atMs,
  fromServer: from.server,
  toServer: to.server,
});

/** Ids of acknowledged writes that are not in the table: each one is a lost commit. */
export function missingIds(attempts: readonly Attempt[], present: Iterable<number>): number[] {
  const found = new Set(present);
  return attempts
    .filter(({ id, outcome }) => outcome === 'acknowledged' && !found.has(id))
    .map(({ id }) => id);
}

/** How many attempts ended so. */
export const countOf = (attempts: readonly Attempt[], outcome: Outcome): number =>
  attempts.filter((attempt) => attempt.outcome === outcome).length;
