/**
 * Where two servers of one cluster went different ways. A promotion begins a new timeline and notes
 * in a history file which timelines it came through, and at which position it left each (manual:
 * "Timelines"). Pure.
 */
import { compareLsn, type Lsn } from './lsn';

/** A timeline that was left for the next one. */
export interface TimelineLeft {
  readonly timeline: number;
  readonly endLsn: Lsn;
}

/** The timeline that a server is on, and those it came through, oldest first. */
export interface Lineage {
  readonly timeline: number;
  readonly history: readonly TimelineLeft[];
}

/** A stretch of WAL on one timeline; without an end it goes on as far as there is WAL. */
export interface Stretch {
  readonly timeline: number;
  readonly fromLsn: Lsn;
  readonly endLsn: Lsn | null;
}

/** What the history files say that are known, by their timelines; the first timeline has none. */
export type Histories = Readonly<Record<number, readonly TimelineLeft[]>>;

/** The last position that two servers have in common. */
export type Fork = TimelineLeft;

const BEGINNING: Lsn = '0/0';

/** The lines of a history file: `<timeline> <position at which it was left> <reason>`. */
export function parseTimelineHistory(text: string): readonly TimelineLeft[] {
  return text.split('\n').flatMap((line) => {
    const match = /^\s*(\d+)\s+([0-9A-Fa-f]+\/[0-9A-Fa-f]+)/.exec(line);
    return match?.[2] === undefined ? [] : [{ timeline: Number(match[1]), endLsn: match[2] }];
  });
}

/** Name of the history file of a timeline; the first one has none. */
export const historyFile = (timeline: number): string =>
  `${timeline.toString(16).toUpperCase().padStart(8, '0')}.history`;

/** Everything that a lineage came through, oldest first; the last stretch has no end. */
export function wayOf({ timeline, history }: Lineage): readonly Stretch[] {
  return [...history, { timeline, endLsn: null }].map((each, index) => ({
    timeline: each.timeline,
    fromLsn: history[index - 1]?.endLsn ?? BEGINNING,
    endLsn: each.endLsn,
  }));
}

/** Whether a position of a timeline is one that a lineage came through. */
export const isOnWay = (
  { timeline, lsn }: { readonly timeline: number; readonly lsn: Lsn },
  lineage: Lineage,
): boolean =>
  wayOf(lineage).some(
    (stretch) =>
      stretch.timeline === timeline &&
      compareLsn(stretch.fromLsn, lsn) <= 0 &&
      (stretch.endLsn === null || compareLsn(lsn, stretch.endLsn) <= 0),
  );

/**
 * Lineage of a timeline; null when no history file tells it. That of a descendant does, too: it
 * begins with its ancestors'. PostgreSQL takes a missing file for "no parents" (timeline.c,
 * `readTimeLineHistory`) and would look for the whole WAL on that one timeline.
 */
export function lineageOf(timeline: number, histories: Histories): Lineage | null {
  if (timeline === 1) return { timeline, history: [] };
  const own = histories[timeline];
  if (own !== undefined) return { timeline, history: own };
  for (const descendant of Object.values(histories)) {
    const at = descendant.findIndex((left) => left.timeline === timeline);
    if (at >= 0) return { timeline, history: descendant.slice(0, at) };
  }
  return null;
}

/**
 * The lineage of the largest number whose history can be true: its numbers and positions rise, and
 * the known histories of its ancestors say the same.
 *
 * It need not be what PostgreSQL calls `latest`. That probes `<current + 1>.history` and upwards
 * until one is missing, takes the last one that exists, and only then looks whether it comes from
 * the current one (timeline.c, `findNewestTimeLine`): a recovery that begins on timeline 2 ends with
 * a FATAL error when 3 exists and branched off from 1. So a recovery is given a number.
 */
export function newestLineage(histories: Histories): Lineage {
  const newest = Object.keys(histories)
    .map(Number)
    .toSorted((a, b) => b - a)
    .find((timeline) => connects(timeline, histories));
  return { timeline: newest ?? 1, history: histories[newest ?? 1] ?? [] };
}

/**
 * The position up to which both have the same WAL. `endless`: neither has left the timeline that
 * they are both on. `unrelated`: they share nothing.
 */
export function forkOf(one: Lineage, other: Lineage): Fork | 'endless' | 'unrelated' {
  const [a, b] = [wayOf(one), wayOf(other)];
  const shared = a.filter((stretch, index) => isSameStart(stretch, b[index])).length;
  const last = a[shared - 1];
  if (last === undefined) return 'unrelated';
  const endLsn = earlier(last.endLsn, b[shared - 1]?.endLsn ?? null);
  return endLsn === null ? 'endless' : { timeline: last.timeline, endLsn };
}

/** What a server has beyond a fork, timeline by timeline. */
export function beyondFork(own: Lineage, fork: Fork): readonly Stretch[] {
  const all = wayOf(own);
  const at = all.findIndex(({ timeline }) => timeline === fork.timeline);
  return all
    .slice(at)
    .map((each, index) => (index === 0 ? { ...each, fromLsn: fork.endLsn } : each))
    .filter(({ fromLsn, endLsn }) => endLsn === null || compareLsn(fromLsn, endLsn) < 0);
}

/** Once they have parted, a later timeline of the same number is another one: it began elsewhere. */
function isSameStart(a: Stretch, b: Stretch | undefined): boolean {
  return b?.timeline === a.timeline && compareLsn(a.fromLsn, b.fromLsn) === 0;
}

function earlier(a: Lsn | null, b: Lsn | null): Lsn | null {
  if (a === null || b === null) return a ?? b;
  return compareLsn(a, b) <= 0 ? a : b;
}

function connects(timeline: number, histories: Histories): boolean {
  const history = histories[timeline] ?? [];
  return history.every((left, index) => {
    const next = history[index + 1];
    const known = histories[left.timeline];
    return (
      left.timeline < (next?.timeline ?? timeline) &&
      (next === undefined || compareLsn(left.endLsn, next.endLsn) <= 0) &&
      (known === undefined || isSameHistory(known, history.slice(0, index)))
    );
  });
}

const isSameHistory = (one: readonly TimelineLeft[], other: readonly TimelineLeft[]): boolean =>
  one.length === other.length &&
  one.every(({ timeline, endLsn }, index) => {
    const same = other[index];
    return same?.timeline === timeline && compareLsn(same.endLsn, endLsn) === 0;
  });
