/** The operator's port to Swarm, put together. */
import { type Clock, type Swarm } from '../../core/ports';
import { applyStep, type SecretValue } from './apply';
import { type Docker } from './docker';
import { watchEvents } from './events';
import { observeAll, observeSwarm } from './observe';
import { SharedLook } from './shared-look';

export function createSwarm(docker: Docker, clock: Clock, valueOf: SecretValue): Swarm {
  const nowMs = (): number => clock.monotonicMs();
  const look = new SharedLook({
    one: (cluster) => observeSwarm(docker, cluster, nowMs),
    all: () => observeAll(docker, nowMs),
    nowMs,
  });
  return {
    observe: (cluster, sinceMs) => look.observe(cluster, sinceMs),
    apply: (step) => applyStep(docker, step, valueOf),
    watch: (changed) => watchEvents(docker, changed),
  };
}
