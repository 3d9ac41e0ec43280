/** L1: once the faults are over, the cluster reaches its spec. */
import { contains } from '../world/wal';
import { type World } from '../world/world';

/** What is still missing; null when the cluster is as its spec wants it. */
export function missing(world: World): string | null {
  return (
    missingOfState(world) ??
    missingOfServers(world, world.state?.primary ?? '') ??
    missingOfContract(world) ??
    missingOfSettings(world)
  );
}

function missingOfState({ state }: World): string | null {
  if (state?.primary == null) return 'there is no primary';
  if (state.change !== null) return `a ${state.change.kind} is ${state.change.phase}`;
  return state.paused === null ? null : 'it is paused';
}

function missingOfServers(world: World, primaryName: string): string | null {
  const primary = world.postgresOf(primaryName);
  if (primary?.isWritable !== true) return `${primaryName} does not accept writes`;
  for (const { name } of world.spec.servers) {
    if (name === primaryName) continue;
    const standby = world.postgresOf(name);
    const isStreaming = standby?.role === 'standby' && standby.receiver?.isStreaming === true;
    if (!isStreaming) return `${name} does not stream`;
    if (!contains(primary.end, standby.end)) return `${name} is not a copy of ${primaryName}`;
  }
  return null;
}

/** Where commits must wait for standbys, a restart of one may be a person's decision. */
function missingOfSettings(world: World): string | null {
  const { spec } = world;
  if (spec.replication.synchronous?.durability === 'required') return null;
  const wanted = JSON.stringify(spec.postgres.parameters);
  const late = spec.servers.find(
    ({ name }) => JSON.stringify(world.postgresOf(name)?.startedWith) !== wanted,
  );
  return late === undefined ? null : `${late.name} runs with other settings than declared`;
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
