/**
 * Synchronous replication follows the spec and the standbys that stream. What may be done when is
 * in `sync.ts`; here are the reasons to do it, and what people are told meanwhile.
 */
import { priorityOf } from '../candidates';
import { isLate } from '../late';
import { lagBytes } from '../lsn';
import { type PrimaryReport } from '../protocol';
import { type ServerView, type View } from '../situation';
import { type SyncState } from '../state';
import {
  describeSet,
  firstSet,
  isSameSet,
  nextSyncStep,
  syncOfTerm,
  targetSet,
  type SyncCandidate,
  type SyncStep,
} from '../sync';
import { syncChanged } from '../transitions';
import { recorded, rule, type ConditionRaised, type Rule } from './rule';

/** A standby joins when it is behind by less than this: what is left takes well under a second. */
export const JOIN_LAG_BYTES_MAX = 16 * 1024 * 1024;
/** After a change of primary the standbys are given this long to connect to the new one. */
export const RECONNECT_MS = 3_000;

const notSynchronous = (reason: string): ConditionRaised => ({ type: 'Synchronous', reason });

/** What the term of `primary` begins with; the old primary of a switchover comes right back. */
export function syncOfNewPrimary(view: View, primary: string): SyncState {
  const { change } = view.state;
  const returning = change?.kind === 'switchover' ? change.from : null;
  const standbys = view.servers
    .filter(({ name, spec }) => name !== primary && !isLate(spec))
    .map((server) => ({
      ...candidateOf(server, view, null),
      isRunning: server.asStandby !== null || server.name === returning,
    }));
  return syncOfTerm(firstSet(view.spec.replication.synchronous, standbys));
}

function candidateOf(server: ServerView, view: View, primary: PrimaryReport | null): SyncCandidate {
  const { name } = server;
  const row = primary?.standbys.find((standby) => standby.server === name) ?? null;
  const isStreaming = row?.state === 'streaming';
  return {
    name,
    priority: priorityOf(name, view),
    isStreaming: isStreaming || (isInWanted(name, view) && isReconnecting(view)),
    isClose:
      primary !== null &&
      row?.flushedLsn != null &&
      lagBytes(primary.lsn, row.flushedLsn) < JOIN_LAG_BYTES_MAX,
    isRunning: server.asStandby !== null,
  };
}

const isInWanted = (name: string, { state }: View): boolean =>
  state.sync.wanted?.names.includes(name) ?? false;

/** By the wall clock, which may jump: this bounds how long commits wait, and proves nothing. */
function isReconnecting({ state, situation }: View): boolean {
  if (state.lastChange === null) return false;
  const sinceMs = Date.parse(situation.now) - Date.parse(state.lastChange.at);
  return sinceMs >= 0 && sinceMs < RECONNECT_MS;
}

/** The primary's fresh word, when it is primary of this term and nobody else is to be. */
function reportOf({ state, primary }: View): PrimaryReport | null {
  const obeys = primary?.report?.obeys;
  const isObeying = obeys?.term === state.term && obeys.task === 'primary';
  return state.change === null && isObeying ? (primary?.asPrimary ?? null) : null;
}

/** null while nothing is known that a step could be decided on. */
function stepOf(view: View): SyncStep | null {
  const report = reportOf(view);
  if (report === null) return null;
  const candidates = view.servers
    .filter((server) => server !== view.primary && !isLate(server.spec))
    .map((server) => candidateOf(server, view, report));
  const { sync } = view.state;
  return nextSyncStep(
    sync,
    targetSet(view.spec.replication.synchronous, candidates, sync.wanted),
    report,
  );
}

function nextOf(view: View, kind: 'change' | 'barrier' | 'guarantee'): SyncState | null {
  const step = stepOf(view);
  return step?.kind === kind && 'next' in step ? step.next : null;
}

/** The members of the set that a commit waits for which the primary does not see streaming. */
function absentees(view: View, report: PrimaryReport): readonly string[] {
  const streaming = report.standbys.filter(({ state }) => state === 'streaming');
  return (view.state.sync.wanted?.names ?? []).filter(
    (name) => !streaming.some(({ server }) => server === name),
  );
}

export const synchronousRules: readonly Rule[] = [
  rule<SyncState>({
    id: 'sync-change',
    section: 'synchronous',
    about:
      'Commits are to wait for other standbys than before. The record has it first, with a guarantee that holds on the way.',
    when: (view) => nextOf(view, 'change'),
    because: ({ wanted }, { state }) =>
      `a commit waits for ${describeSet(state.sync.wanted)}, and is to wait for ${describeSet(wanted)}`,
    steps: (next, view) =>
      recorded(view, syncChanged(view.state, next), {
        rule: 'sync-change',
        summary: `let commits wait for ${describeSet(next.wanted)}`,
        message: `commits are to wait for ${describeSet(next.wanted)}, before for ${describeSet(view.state.sync.wanted)}`,
      }),
  }),
  rule<SyncState>({
    id: 'sync-barrier',
    section: 'synchronous',
    about:
      'The new set is in force: it is guaranteed as soon as it has everything that was written until now.',
    when: (view) => nextOf(view, 'barrier'),
    because: ({ wanted, barrier }) =>
      `a commit waits for ${describeSet(wanted)} now; what came before ends at ${barrier ?? ''}`,
    // No event: it is over within a moment, and the next one tells the outcome.
    steps: (next, view) => [
      {
        kind: 'record',
        next: syncChanged(view.state, next),
        summary: `note that commits wait for ${describeSet(next.wanted)} from ${next.barrier ?? ''} on`,
      },
    ],
  }),
  rule<SyncState>({
    id: 'sync-guarantee',
    section: 'synchronous',
    about: 'The new set has everything: from now on a failover may rely on it.',
    when: (view) => nextOf(view, 'guarantee'),
    because: ({ wanted }) => `every acknowledged commit is on ${describeSet(wanted)}`,
    steps: (next, view) =>
      recorded(view, syncChanged(view.state, next), {
        rule: 'sync-guarantee',
        summary: `guarantee that every commit is on ${describeSet(next.wanted)}`,
        message: `every acknowledged commit is on ${describeSet(next.wanted)}`,
      }),
  }),
  rule<readonly string[]>({
    id: 'sync-standby-missing',
    section: 'synchronous',
    about: 'Fewer standbys stream than a commit waits for: writes wait until one is back.',
    when: (view) => {
      const { wanted } = view.state.sync;
      const report = reportOf(view);
      if (report === null || wanted === null) return null;
      const absent = absentees(view, report);
      return wanted.names.length - absent.length < wanted.number ? absent : null;
    },
    because: (absent, { state }) =>
      `writes wait: ${describeSet(state.sync.wanted)} must have each commit, and ${absent.join(' and ')} ${absent.length === 1 ? 'does' : 'do'} not stream`,
    condition: notSynchronous('SyncStandbyMissing'),
  }),
  rule<string>({
    id: 'sync-changing',
    section: 'synchronous',
    about: 'The set is being changed: PostgreSQL is reloading, or standbys are catching up.',
    when: (view) => {
      const { wanted, guaranteed } = view.state.sync;
      if (isSameSet(wanted, guaranteed)) return null;
      const step = stepOf(view);
      const until =
        step?.kind === 'await-flush'
          ? `as soon as ${step.behind.join(' or ')} has caught up`
          : `when ${view.state.primary ?? 'the primary'} has confirmed that they wait for it`;
      const meanwhile = guaranteed === null ? '; until then a failover needs a person' : '';
      return `every commit will be on ${describeSet(wanted)} ${until}${meanwhile}`;
    },
    because: (sentence) => sentence,
    condition: notSynchronous('SyncChanging'),
  }),
  rule<number>({
    id: 'sync-reduced',
    section: 'synchronous',
    about:
      'Fewer standbys stream than declared, and durability is only preferred: commits wait for those, or for none.',
    when: ({ state, spec }) => {
      const number = spec.replication.synchronous?.number ?? 0;
      return state.primary !== null && (state.sync.wanted?.number ?? 0) < number ? number : null;
    },
    because: (number, { state }) =>
      `a commit waits for ${describeSet(state.sync.wanted)}, ${number} ${number === 1 ? 'is' : 'are'} declared: a failover may lose what is acknowledged until so many stream`,
    condition: notSynchronous('SyncReduced'),
  }),
];
