import { type ClusterState } from './state';

/** The server whose turn to be restarted it is, by the roles as they are now: they may have changed. */
export function turnOf({ restart, primary }: ClusterState): string | null {
  if (restart === null) return null;
  const { servers, rollout } = restart;
  const [first = null] = servers;
  // A person's order is the person's.
  if (rollout === undefined) return first;
  const isBefore = (name: string): boolean => (name === primary) === (rollout.primary === 'first');
  return servers.find(isBefore) ?? first;
}

/** It is the primary's turn, and a standby takes over first. */
export const isToBeRelieved = (state: ClusterState): boolean =>
  state.restart?.rollout?.primary === 'relieved' && turnOf(state) === state.primary;

/** Why the primary is relieved in its turn: the reason of that switchover, and of no other. */
export const reasonOfTurn = ({ primary, restart }: ClusterState): string =>
  `${primary ?? ''} has its turn: ${restart?.rollout?.because ?? ''}`;
