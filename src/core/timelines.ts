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

/**
 * The position up to which both have the same WAL. `endless`: neither has left the timeline that
 * they are both on. `unrelated`: they share nothing.
 */
export function forkOf(one: Lineage, other: Lineage): Fork | 'endless' | 'unrelated' {
  const [a, b] = [stretches(one), stretches(other)];
  const shared = a.filter((stretch, index) => isSameStart(stretch, b[index])).length;
  const last = a[shared - 1];
  if (last === undefined) return 'unrelated';
  const endLsn = earlier(last.endLsn, b[shared - 1]?.endLsn ?? null);
  return endLsn === null ? 'endless' : { timeline: last.timeline, endLsn };
}

/** What a server has beyond a fork, timeline by timeline. */
export function beyondFork(own: Lineage, fork: Fork): readonly Stretch[] {
  const all = stretches(own);
  const at = all.findIndex(({ timeline }) => timeline === fork.timeline);
  return all
    .slice(at)
    .map((each, index) => (index === 0 ? { ...each, fromLsn: fork.endLsn } : each))
    .filter(({ fromLsn, endLsn }) => endLsn === null || compareLsn(fromLsn, endLsn) < 0);
}

/** The whole way of a server, as far as it is known. */
function stretches({ timeline, history }: Lineage): readonly Stretch[] {
  return [...history, { timeline, endLsn: null }].map((each, index) => ({
    timeline: each.timeline,
    fromLsn: history[index - 1]?.endLsn ?? BEGINNING,
    endLsn: each.endLsn,
  }));
}

/** Once they have parted, a later timeline of the same number is another one: it began elsewhere. */
function isSameStart(a: Stretch, b: Stretch | undefined): boolean {
  return b?.timeline === a.timeline && compareLsn(a.fromLsn, b.fromLsn) === 0;
}

function earlier(a: Lsn | null, b: Lsn | null): Lsn | null {
  if (a === null || b === null) return a ?? b;
  return compareLsn(a, b) <= 0 ? a : b;
}
