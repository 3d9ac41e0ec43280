/** The operator's port to Swarm, put together. */
import { type Clock, type Swarm } from '../../core/ports';
import { applyStep, type SecretValue } from './apply';
import { type Docker } from './docker';
import { watchEvents } from './events';
import { observeSwarm } from './observe';

export function createSwarm(docker: Docker, clock: Clock, valueOf: SecretValue): Swarm {
  return {
    observe: (cluster) => observeSwarm(docker, cluster, () => clock.monotonicMs()),
    apply: (step) => applyStep(docker, step, valueOf),
    watch: (changed) => watchEvents(docker, changed),
  };
}
