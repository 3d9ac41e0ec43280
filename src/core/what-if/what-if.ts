/**
 * What would become of a cluster that lost nodes or servers now: by the operator's own rules, from what
 * was seen last. A forecast of decisions, not of hardware: what is left is taken to stay as it is.
 */
import { judgeCandidates, type Judgement } from '../candidates';
import { outageOf, type Fault, type Outage } from '../expectations';
import { leaseTimes } from '../lease';
import { formatDuration, formatSize } from '../quantities';
import { viewOf, type Situation, type View } from '../situation';
import { type ClusterState } from '../state';
import { describeSet } from '../sync';
import { type Lost } from './lost';
import { describeManagers, managersWithout, type Managers } from './managers';
import { pauseWithout } from './pause';
import { walk, type Episode, type Walk } from './walk';

/** What is known of the operators beside the cluster's own situation. */
export interface Surroundings {
  /** Host name of the node whose operator leads; null: nobody does, or it is not known. */
  readonly leadingNode: string | null;
}

export type Outcome =
  /** The primary goes on, and commits do. */
  | 'goes-on'
  /** The primary goes on, and commits wait for a standby. */
  | 'commits-wait'
  /** The primary is there, and stops itself: for a while, until another operator leads, */
  | 'pauses'
  /** or until there are managers again. */
  | 'stops'
  | 'promoted'
  /** The primary is gone, and nobody takes over. */
  | 'waits';

export interface WhatIf {
  readonly lost: Lost;
  readonly primary: string | null;
  readonly outcome: Outcome;
  /** The new primary. */
  readonly successor: string | null;
  readonly because: string;
  /** What the operator would decide, in order. */
  readonly story: readonly Episode[];
  /** Of those who are left, the best first. */
  readonly candidates: readonly CandidateJudged[];
  /** Without writes; null when they are not interrupted, or do not come back by themselves. */
  readonly outage: Outage | null;
  /** null when no primary changes. */
  readonly loss: LossForetold | null;
  readonly managers: Managers;
  readonly isSwarmLeaderLost: boolean;
  readonly isLeadingOperatorLost: boolean;
}

export interface CandidateJudged {
  readonly server: string;
  readonly isFit: boolean;
  readonly because: string;
}

export interface LossForetold {
  /** Of what is known now. */
  readonly knownBytes: number;
  readonly because: string;
}

/** The cluster's record exists; what it had lost before is lost already. */
export function whatIf(
  situation: Situation,
  state: ClusterState,
  lost: Lost,
  surroundings: Surroundings,
): WhatIf {
  const nodes = situation.observation.swarm?.nodes ?? [];
  const gone = nodes.filter(({ id }) => lost.nodes.includes(id));
  const managers = managersWithout(nodes, lost.nodes);
  const course = managers.haveQuorum ? walk(situation, lost) : null;
  const place = {
    lost,
    primary: state.primary,
    managers,
    isSwarmLeaderLost: gone.some(({ isSwarmLeader }) => isSwarmLeader === true),
    isLeadingOperatorLost: gone.some(({ hostname }) => hostname === surroundings.leadingNode),
  };
  const isPrimaryLost = state.primary !== null && lost.servers.includes(state.primary);
  const end = course === null ? null : viewOf(course.end, course.end.state ?? state);
  return {
    ...place,
    ...(isPrimaryLost || state.primary === null
      ? succession(course, end, { state, managers, fault: faultOf(place) })
      : survival(end, { state, managers, lost, fault: faultOf(place) })),
    story: course?.story ?? [],
    candidates: isPrimaryLost ? judgedIn(situation, state, lost) : [],
  };
}

function faultOf(
  place: Pick<WhatIf, 'lost' | 'isSwarmLeaderLost' | 'isLeadingOperatorLost'>,
): Fault {
  if (place.isSwarmLeaderLost) return 'swarmLeader';
  if (place.isLeadingOperatorLost) return 'operatorLeader';
  return place.lost.nodes.length > 0 ? 'node' : 'container';
}

type Verdict = Pick<WhatIf, 'outcome' | 'successor' | 'because' | 'outage' | 'loss'>;
const NO_CHANGE = { successor: null, outage: null, loss: null };

// ── the primary is gone ──────────────────────────────────────────────────────────────────────

function succession(
  course: Walk | null,
  end: View | null,
  { state, managers, fault }: { state: ClusterState; managers: Managers; fault: Fault },
): Verdict {
  if (course === null || end === null) {
    const because = `${describeManagers(managers)}: nobody can be named before one is back`;
    return { outcome: 'waits', because, ...NO_CHANGE };
  }
  const { primary, spec } = end;
  if (primary === null || primary.name === state.primary || primary.asPrimary === null) {
    return { outcome: 'waits', because: course.decision.because, ...NO_CHANGE };
  }
  const chosen = course.story.find(({ rule }) => rule === 'failover-promote');
  const awaited = awaitedByCommits(end);
  const waiting =
    awaited === null ? '' : `; then every commit waits for ${awaited} until one is back`;
  return {
    outcome: 'promoted',
    successor: primary.name,
    because: `${chosen?.because ?? course.decision.because}${waiting}`,
    outage: outageOf(spec, fault),
    loss: lossOf(state, end),
  };
}

function lossOf({ sync }: ClusterState, { state, spec }: View): LossForetold {
  const knownBytes = state.lastChange?.lostBytes ?? 0;
  if (sync.guaranteed !== null) {
    return {
      knownBytes,
      because: `nothing: every acknowledged commit is on ${describeSet(sync.guaranteed)}`,
    };
  }
  const unheard = formatDuration(leaseTimes(spec.failover.ttlMs).goneAtMs);
  const known = knownBytes === 0 ? 'nothing that is known of' : `${formatSize(knownBytes)} of WAL`;
  return {
    knownBytes,
    because: `${known}, and what is acknowledged by a primary that nobody hears, for ${unheard} at most`,
  };
}

/** Who is left is judged as a failover would, were the primary gone at this moment. */
function judgedIn(
  situation: Situation,
  state: ClusterState,
  lost: Lost,
): readonly CandidateJudged[] {
  const { fit, rejected }: Judgement = judgeCandidates(viewOf(situation, state));
  return [
    ...fit.map(({ server, receivedLsn, priority }) => ({
      server: server.name,
      isFit: true,
      because: `received up to ${receivedLsn}, priority ${priority}`,
    })),
    ...rejected.map(({ server, because }) => ({ server, isFit: false, because })),
  ]
    .map((each) =>
      lost.servers.includes(each.server) ? { ...each, isFit: false, because: 'it is lost' } : each,
    )
    .toSorted((a, b) => Number(b.isFit) - Number(a.isFit));
}

/** For whom commits wait in vain then; null when they do not. */
function awaitedByCommits({ state, servers }: View): string | null {
  const { wanted } = state.sync;
  const standbys = servers.filter(
    ({ name, asStandby }) => name !== state.primary && asStandby !== null,
  );
  const there = standbys.filter(({ name }) => wanted?.names.includes(name) === true);
  return wanted === null || there.length >= wanted.number ? null : describeSet(wanted);
}

// ── the primary is left ──────────────────────────────────────────────────────────────────────

interface Survivor {
  readonly state: ClusterState;
  readonly managers: Managers;
  readonly lost: Lost;
  readonly fault: Fault;
}

function survival(end: View | null, { state, managers, lost, fault }: Survivor): Verdict {
  const primary = state.primary ?? '';
  if (end === null) return withoutOperator(state, managers, lost);
  const awaited = awaitedByCommits(end);
  if (awaited !== null) {
    const because = `every commit waits for ${awaited} until one is back`;
    return { outcome: 'commits-wait', because, ...NO_CHANGE };
  }
  const missing = missingPeers(state, lost);
  if (missing !== '' && (fault === 'swarmLeader' || fault === 'operatorLeader')) {
    const because = `no operator renews the lease of ${primary} before another one leads, and ${missing} cannot promise to wait: it stops, and goes on then`;
    const outage = pauseWithout(fault, end.spec);
    return { ...NO_CHANGE, outcome: 'pauses', because, outage };
  }
  return { outcome: 'goes-on', because: `${primary} stays the primary`, ...NO_CHANGE };
}

/** Empty when all of them can still promise, or no promise is needed. */
const missingPeers = ({ contract }: Pick<ClusterState, 'contract'>, lost: Lost): string =>
  (contract?.peers ?? []).filter((peer) => lost.servers.includes(peer)).join(' and ');

/** By the promises of all its peers, or not at all. */
function withoutOperator(
  { primary, contract }: ClusterState,
  managers: Managers,
  lost: Lost,
): Verdict {
  const few = describeManagers(managers);
  const name = primary ?? '';
  if (contract === null) {
    return { outcome: 'goes-on', because: `${few}; ${name} works without a lease`, ...NO_CHANGE };
  }
  const missing = missingPeers({ contract }, lost);
  if (missing === '') {
    const who =
      contract.peers.length === 0
        ? 'nobody could replace it'
        : `${contract.peers.join(' and ')} can promise to wait`;
    return { outcome: 'goes-on', because: `${few}; ${name} goes on, since ${who}`, ...NO_CHANGE };
  }
  const because = `${few}, so that no operator renews the lease of ${name}, and ${missing} cannot promise to wait: it stops before the lease is over`;
  return { outcome: 'stops', because, ...NO_CHANGE };
}
