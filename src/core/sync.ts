/**
 * Synchronous replication: what a commit waits for, and what is true of every commit that was ever
 * acknowledged. A failover relies on the second, so whatever PostgreSQL may acknowledge must imply
 * it, at every moment and whatever dies then.
 *
 * From `a` of A to `b` of B it takes three writes of the record, each after what it needs was seen:
 *
 *   1. wanted := b of B, guaranteed := min(a, b) of A ∪ B; only then is PostgreSQL told
 *   2. b of B is in force in all of PostgreSQL: barrier := the end of the primary's WAL
 *   3. b of B have flushed the barrier: guaranteed := b of B
 *
 * What was acknowledged before 2 ends before the barrier, so 3 puts it on b of B; what comes after
 * waits for b of B anyway. To asynchronous it takes one write, from it all three, with no guarantee
 * before the last. One change at a time: a set is changed only when PostgreSQL has it, since otherwise
 * nobody could tell a PostgreSQL that has come back to a set from one that is about to leave it.
 *
 * The union is exact, not careful. PostgreSQL's processes reload one by one, and a walsender with
 * the new number counts every standby whose own walsender takes it for synchronous, by the old set
 * or the new one (syncrep.c, `SyncRepGetCandidateStandbys`). Thus min(a, b) of A ∪ B, whichever,
 * may for a moment be all that have a commit, even when one set implies the other: from `pg2 and pg3`
 * to `pg2`, PostgreSQL 15 has acknowledged a commit that only pg3 had.
 */
import { compareLsn } from './lsn';
import { type PrimaryReport, type SyncSet } from './protocol';
import { type SynchronousSpec } from './spec';
import { type ClusterState, type SyncState } from './state';

export const ASYNCHRONOUS: SyncState = { wanted: null, guaranteed: null, barrier: null };

/** `synchronous_standby_names`. Quoted, since a server may be called `any` or have a `-`. */
export function renderSyncNames(set: SyncSet | null): string {
  if (set === null) return '';
  return `ANY ${set.number} (${set.names.map((name) => `"${name}"`).join(', ')})`;
}

export const isSameSet = (a: SyncSet | null, b: SyncSet | null): boolean =>
  renderSyncNames(a) === renderSyncNames(b);

/** For people: `pg2 and pg3` when all must have a commit, else `1 of pg2, pg3`. */
export function describeSet(set: SyncSet | null): string {
  if (set === null) return 'no standby';
  const { number, names } = set;
  return number >= names.length ? names.join(' and ') : `${number} of ${names.join(', ')}`;
}

/** The present and the past of a server count: its service stays until it is in neither set. */
export const isInSyncSet = (state: ClusterState, server: string): boolean =>
  namesInSyncSets(state).includes(server);

/** Whoever a commit may wait for, or be relied upon to have it. */
export const namesInSyncSets = ({ sync }: ClusterState): readonly string[] =>
  [sync.wanted, sync.guaranteed].flatMap((set) => set?.names ?? []);

// ── failover ─────────────────────────────────────────────────────────────────────────────────

export interface FailoverQuorum {
  readonly isEnough: boolean;
  /** Who must be heard of, and why; empty when it is enough. */
  readonly missing: string;
}

/**
 * Whether the furthest of those who have answered has every acknowledged commit: any `number` of
 * the names may be all that have one, so no more than `number − 1` may be missing.
 */
export function failoverQuorum(
  guaranteed: SyncSet | null,
  answered: readonly string[],
): FailoverQuorum {
  if (guaranteed === null) {
    return { isEnough: false, missing: 'no standby is known to have every commit yet' };
  }
  const { number, names } = guaranteed;
  const silent = names.filter((name) => !answered.includes(name));
  const needed = Math.max(names.length - number + 1, 1);
  if (names.length - silent.length >= needed) return { isEnough: true, missing: '' };
  const who =
    needed === names.length ? names.join(' and ') : describeSet({ number: needed, names });
  const where =
    number >= names.length
      ? `every commit is on ${names.join(' and ')}`
      : `a commit may be on no more than ${describeSet(guaranteed)}`;
  return {
    isEnough: false,
    missing: `${where}, so ${who} must answer first; missing: ${silent.join(', ')}`,
  };
}

// ── which set ────────────────────────────────────────────────────────────────────────────────

/** A declared server that is not the primary. */
export interface SyncCandidate {
  readonly name: string;
  readonly priority: number;
  readonly isStreaming: boolean;
  /** Little enough behind to join: commits do not wait long for it. */
  readonly isClose: boolean;
  /** It reports that it runs as a standby, so it would answer a roll call. */
  readonly isRunning: boolean;
}

/**
 * The set that the spec calls for. Who streams and is close joins. Who does not stream leaves at
 * once when commits wait for it, and else as soon as it would not answer a roll call either: until
 * then it costs nothing, and a connection that blinks is worth no change.
 */
export function targetSet(
  spec: SynchronousSpec | null,
  candidates: readonly SyncCandidate[],
  current: SyncSet | null,
): SyncSet | null {
  if (spec === null) return null;
  const isMember = ({ name }: SyncCandidate): boolean => current?.names.includes(name) ?? false;
  const streaming = candidates.filter((each) => isMember(each) && each.isStreaming);
  const doCommitsWait = current !== null && streaming.length < current.number;
  const usable = candidates.filter((each) =>
    isMember(each)
      ? each.isStreaming || (each.isRunning && !doCommitsWait)
      : each.isStreaming && each.isClose,
  );
  if (usable.length >= spec.number) return choose(spec, usable);
  if (spec.durability === 'preferred') {
    return usable.length === 0 ? null : choose({ ...spec, number: usable.length }, usable);
  }
  const isCurrentGood =
    current !== null && isOfShape(current, spec) && current.names.every(isDeclared(candidates));
  return isCurrentGood ? current : choose(spec, candidates);
}

/** What a new primary has in force from its first commit: who runs will stream in a moment. */
export function firstSet(
  spec: SynchronousSpec | null,
  candidates: readonly SyncCandidate[],
): SyncSet | null {
  const soon = candidates.map((each) => ({ ...each, isStreaming: each.isRunning, isClose: true }));
  return targetSet(spec, soon, null);
}

const isDeclared =
  (candidates: readonly SyncCandidate[]) =>
  (name: string): boolean =>
    candidates.some((each) => each.name === name);

const isOfShape = ({ number, names }: SyncSet, spec: SynchronousSpec): boolean =>
  number === spec.number &&
  (spec.mode === 'any' ? names.length >= number : names.length === number);

/** Who can never be promoted holds commits only when there are not enough others. */
function choose({ mode, number }: SynchronousSpec, from: readonly SyncCandidate[]): SyncSet {
  const promotable = from.filter(({ priority }) => priority > 0);
  const pool = promotable.length >= number ? promotable : from;
  const chosen = mode === 'any' ? pool : pool.toSorted(byPreference).slice(0, number);
  return { number, names: chosen.map(({ name }) => name).sort() };
}

const byPreference = (a: SyncCandidate, b: SyncCandidate): number =>
  Number(b.isStreaming) - Number(a.isStreaming) ||
  Number(b.isRunning) - Number(a.isRunning) ||
  b.priority - a.priority ||
  a.name.localeCompare(b.name);

// ── from one set to another ──────────────────────────────────────────────────────────────────

export type SyncStep =
  /** One of the three writes. */
  | { readonly kind: 'change' | 'barrier' | 'guarantee'; readonly next: SyncState }
  /** PostgreSQL has not all of `wanted` in force yet. */
  | { readonly kind: 'await-reload' }
  /** These have not flushed the barrier yet, and too few others have. */
  | { readonly kind: 'await-flush'; readonly behind: readonly string[] }
  | { readonly kind: 'steady' };

/** The part of the primary's report that counts, all of one moment. */
export type SyncSeen = Pick<PrimaryReport, 'syncNames' | 'isSyncInForce' | 'lsn' | 'standbys'>;

/** The next step towards `target`; whoever asks may be another leader than a moment ago. */
export function nextSyncStep(sync: SyncState, target: SyncSet | null, seen: SyncSeen): SyncStep {
  const { wanted, guaranteed, barrier } = sync;
  if (seen.syncNames !== renderSyncNames(wanted)) return { kind: 'await-reload' };
  if (!isSameSet(target, wanted)) return { kind: 'change', next: changedTo(target, guaranteed) };
  if (wanted === null || isSameSet(wanted, guaranteed)) return { kind: 'steady' };
  if (barrier === null) {
    return seen.isSyncInForce
      ? { kind: 'barrier', next: { ...sync, barrier: seen.lsn } }
      : { kind: 'await-reload' };
  }
  const behind = wanted.names.filter(
    (name) =>
      !seen.standbys.some(
        ({ server, state, flushedLsn }) =>
          server === name &&
          state === 'streaming' &&
          flushedLsn !== null &&
          compareLsn(flushedLsn, barrier) >= 0,
      ),
  );
  return wanted.names.length - behind.length >= wanted.number
    ? { kind: 'guarantee', next: { wanted, guaranteed: wanted, barrier: null } }
    : { kind: 'await-flush', behind };
}

/** What is wanted when a term begins, and nothing guaranteed: old commits may be on nobody else. */
export const syncOfTerm = (wanted: SyncSet | null): SyncState => ({ ...ASYNCHRONOUS, wanted });

function changedTo(target: SyncSet | null, guaranteed: SyncSet | null): SyncState {
  if (target === null || guaranteed === null) return syncOfTerm(target);
  const names = [...new Set([...guaranteed.names, ...target.names])].sort();
  const number = Math.min(guaranteed.number, target.number);
  return { wanted: target, guaranteed: { number, names }, barrier: null };
}
