/** Which assignments are obeyed. Pure. */
import { type Assignment } from '../core/protocol';
import { type Identity } from './local-state';

/** Why a received assignment is not to be obeyed; null when it is. */
export function disobedience(
  received: Assignment,
  obeyed: Assignment | null,
  { cluster, server }: Pick<Identity, 'cluster' | 'server'>,
): string | null {
  if (received.cluster !== cluster || received.server !== server) {
    return `it is for ${received.server} of ${received.cluster}`;
  }
  if (obeyed === null) return null;
  if (received.leaderEpoch < obeyed.leaderEpoch) {
    return `its leader (epoch ${received.leaderEpoch}) was replaced (epoch ${obeyed.leaderEpoch})`;
  }
  if (received.term < obeyed.term) {
    return `its term ${received.term} is over (the present one is ${obeyed.term})`;
  }
  return null;
}
