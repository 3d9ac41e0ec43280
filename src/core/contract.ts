/**
 * Under what the primary of a term accepts writes. The record and the primary may differ on the
 * way from one contract to another, and only so that the primary knows of at least as many peers,
 * and of no longer a lease, than the record: docs/decisions/007.
 */
import { isLate } from './late';
import { type Contract } from './protocol';
import { type ServerView, type View } from './situation';
import { type ServerSpec, type Spec } from './spec';

/** A peer that has not been heard for so long is not waited for when promises are asked. */
const PEER_SILENCE_MAX_MS = 60_000;

/** What the spec calls for now; null: no lease. */
export function wantedContract(view: View): Contract | null {
  const peers = view.servers.filter((server) => isPeer(server, view)).map(({ name }) => name);
  return contractOf(view.spec, peers);
}

/** The contract that a new primary gets together with its name. */
export function contractOfNewPrimary(view: View, primary: string): Contract | null {
  const peers = view.servers
    .filter(({ name, spec }) => name !== primary && isCandidate(name, spec, view))
    .map(({ name }) => name);
  return contractOf(view.spec, peers);
}

/** What the primary is told. */
export function assignedContract(view: View): Contract | null {
  const recorded = view.state.contract;
  const wanted = wantedContract(view);
  // A lease is taken away only after the record has ceased to rely on it.
  if (wanted === null || recorded === null) return wanted ?? recorded;
  return {
    ttlMs: Math.min(recorded.ttlMs, wanted.ttlMs),
    peers: union(recorded.peers, wanted.peers),
  };
}

/** What can be written before the primary is told: fewer peers, a longer lease, or none. */
export function narrowedContract(view: View): Contract | null {
  const recorded = view.state.contract;
  const wanted = wantedContract(view);
  if (wanted === null || recorded === null) return null;
  return {
    ttlMs: Math.max(recorded.ttlMs, wanted.ttlMs),
    peers: recorded.peers.filter((name) => wanted.peers.includes(name)),
  };
}

/** Whether the primary has said that it lives under what it is told now. */
export function isContractUnderstood({ state, primary }: View, assigned: Contract | null): boolean {
  const obeys = primary?.report?.obeys;
  return obeys?.term === state.term && isSameContract(obeys.contract, assigned);
}

export const isSameContract = (a: Contract | null, b: Contract | null): boolean =>
  JSON.stringify(a) === JSON.stringify(b);

function contractOf(spec: Spec, peers: readonly string[]): Contract | null {
  if (spec.failover.mode === 'manual') return null;
  return { ttlMs: spec.failover.ttlMs, peers: peers.toSorted() };
}

/**
 * Only a server that has data can be promoted; one that is long gone would only veto promises. It
 * is left out only while the primary is there to take it in again.
 */
function isPeer({ name, spec, lastSeenMs }: ServerView, view: View): boolean {
  const { state, nowMs, situation, primary } = view;
  if (name === state.primary || !isCandidate(name, spec, view)) return false;
  if (primary?.asPrimary == null) return true;
  const heardMs = lastSeenMs ?? situation.observation.leadingSinceMs;
  return nowMs - heardMs <= PEER_SILENCE_MAX_MS;
}

const isCandidate = (name: string, spec: ServerSpec, { state }: View): boolean =>
  state.volumes[name] !== undefined && !isLate(spec);

const union = (a: readonly string[], b: readonly string[]): readonly string[] =>
  [...new Set([...a, ...b])].sort();
