/** Judges what several clients wrote around one fault: pure, from their attempts alone. */
import { longestGap, type Attempt, type Gap, type TimeWindow } from './writes';

/** Two servers that acknowledged writes in the same time. */
export interface TwoWriters {
  /** Writes that an old primary acknowledged after a later one had acknowledged its first. */
  readonly lateWrites: number;
  /** Those of them that were not even sent before that: new work for the old primary. */
  readonly newLateWrites: number;
  /** From the first of them to the last, at least a millisecond for one; 0 without any. */
  readonly durationMs: number;
  /** Timelines on which more than one server acknowledged: never, whatever the times are. */
  readonly sharedTimelines: readonly number[];
}

interface Acknowledged extends Attempt {
  readonly timeline: number;
}

/** The attempts of several clients as one history, in the order in which they ended. */
export const merged = (histories: readonly (readonly Attempt[])[]): Attempt[] =>
  histories.flat().sort((a, b) => a.endedAtMs - b.endedAtMs);

/** The longest time in which none of the clients got a write through. */
export const gapOfAll = (histories: readonly (readonly Attempt[])[], window: TimeWindow): Gap =>
  longestGap(merged(histories), window);

/**
 * Every change of primary begins a new timeline, so an acknowledged write on an older one is late:
 * nobody may acknowledge there any more. A restart in place goes on with its timeline.
 */
export function twoWriters(attempts: readonly Attempt[]): TwoWriters {
  const acknowledged = attempts.filter(isAcknowledged);
  const first = firstEnds(acknowledged);
  const late = acknowledged.filter((attempt) => isLate(attempt, first));
  const ends = late.map(({ endedAtMs }) => endedAtMs);
  const durationMs = late.length === 0 ? 0 : Math.max(1, Math.max(...ends) - Math.min(...ends));
  const begun = late.filter((each) => isLate({ ...each, endedAtMs: each.sentAtMs }, first));
  return {
    lateWrites: late.length,
    newLateWrites: begun.length,
    durationMs,
    sharedTimelines: shared(acknowledged),
  };
}

const isAcknowledged = (attempt: Attempt): attempt is Acknowledged =>
  attempt.outcome === 'acknowledged' && attempt.timeline !== null;

/** When the first write on each timeline was acknowledged. */
function firstEnds(attempts: readonly Acknowledged[]): ReadonlyMap<number, number> {
  const ends = new Map<number, number>();
  for (const { timeline, endedAtMs } of attempts) {
    ends.set(timeline, Math.min(endedAtMs, ends.get(timeline) ?? Infinity));
  }
  return ends;
}

const isLate = (
  { timeline, endedAtMs }: Acknowledged,
  first: ReadonlyMap<number, number>,
): boolean => [...first].some(([later, atMs]) => later > timeline && atMs < endedAtMs);

function shared(attempts: readonly Acknowledged[]): number[] {
  const writers = new Map<number, Set<string>>();
  for (const { timeline, server } of attempts) {
    writers.set(timeline, (writers.get(timeline) ?? new Set()).add(server));
  }
  return [...writers].filter(([, servers]) => servers.size > 1).map(([timeline]) => timeline);
}
