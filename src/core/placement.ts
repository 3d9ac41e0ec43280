/**
 * Where the leader among the operators should be: on a node without a primary. A node that dies
 * with both takes the one with it that would have noticed, and the failover waits for the end of
 * its leadership before it begins.
 */
import { type NodeSeen } from './observation';

/** How things stand, and since when they have not changed. */
export interface Stillness {
  readonly formation: string;
  readonly sinceMs: number;
}

/** `formation`: who follows whom, which nodes are there; null while something is being changed. */
export function stillness(
  before: Stillness | null,
  formation: string | null,
  nowMs: number,
): Stillness | null {
  if (formation === null) return null;
  return before?.formation === formation ? before : { formation, sinceMs: nowMs };
}

/**
 * Host name of the node that the leader on `own` should hand over to; null: it is well placed, or
 * no manager is better. `primaryNodes`: ids of the nodes that carry a primary of any cluster.
 */
export function betterPlace(
  own: string,
  nodes: readonly NodeSeen[],
  primaryNodes: ReadonlySet<string>,
): string | null {
  const [here, twin] = nodes.filter(({ hostname }) => hostname === own);
  // Which of two nodes of one name it is on cannot be told.
  if (here === undefined || twin !== undefined || !primaryNodes.has(here.id)) return null;
  const free = nodes.filter(
    ({ id, isManager, state, availability }) =>
      isManager && state === 'ready' && availability === 'active' && !primaryNodes.has(id),
  );
  return free.map(({ hostname }) => hostname).toSorted()[0] ?? null;
}
