/** Swarm's managers: without a majority of them its store cannot be written, and nobody is named. */
import { type NodeSeen } from '../observation';

export interface Managers {
  readonly all: number;
  /** Those that are ready and not lost. */
  readonly left: number;
  readonly needed: number;
  readonly haveQuorum: boolean;
}

export function managersWithout(nodes: readonly NodeSeen[], lost: readonly string[]): Managers {
  const managers = nodes.filter(({ isManager }) => isManager);
  const left = managers.filter(({ id, state }) => state === 'ready' && !lost.includes(id)).length;
  const needed = Math.floor(managers.length / 2) + 1;
  return { all: managers.length, left, needed, haveQuorum: left >= needed };
}

/** For a sentence: `1 of 3 managers is left, and Swarm needs 2`. */
export const describeManagers = ({ all, left, needed }: Managers): string =>
  `${left} of ${all} manager${all === 1 ? '' : 's'} ${left === 1 ? 'is' : 'are'} left, and Swarm needs ${needed}`;
