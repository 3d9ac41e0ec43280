/** L1: once the faults are over, the cluster reaches its spec. */
import { type World } from '../world/world';
import { contains } from '../world/wal';

/** What is still missing; null when the cluster is as its spec wants it. */
export function missing(world: World): string | null {
  const { state, spec } = world;
  if (state?.primary == null) return 'there is no primary';
  if (state.change !== null) return `a ${state.change.kind} is ${state.change.phase}`;
  if (state.paused !== null) return 'it is paused';
  const primary = world.postgresOf(state.primary);
  if (primary?.isWritable !== true) return `${state.primary} does not accept writes`;
  for (const { name } of spec.servers) {
    if (name === state.primary) continue;
    const standby = world.postgresOf(name);
    const isStreaming = standby?.role === 'standby' && standby.receiver?.isStreaming === true;
    if (!isStreaming) return `${name} does not stream`;
    if (!contains(primary.end, standby.end)) return `${name} is not a copy of ${state.primary}`;
  }
  return missingOfContract(world);
}

function missingOfContract({ state, spec }: World): string | null {
  const isAutomatic = spec.failover.mode === 'automatic';
  if (isAutomatic && state?.contract?.peers.length !== spec.servers.length - 1) {
    return 'the standbys are not peers of the primary';
  }
  if ((spec.replication.synchronous === null) !== (state?.sync.guaranteed == null)) {
    return 'replication is not as synchronous as the spec wants it';
  }
  return null;
}
