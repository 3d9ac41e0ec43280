/**
 * `pgswarm remove-volumes NAME…`: what the job runs that the operator sends to a node, because a
 * volume can only be removed by its own node's Docker.
 */
import { openDocker } from '../adapters/swarm/docker';
import { OperatingError } from '../core/errors';

/** Removes each volume of this node's Docker; one that is gone already is no error. */
export async function removeVolumes(names: readonly string[]): Promise<number> {
  const docker = openDocker();
  for (const name of names) {
    try {
      await docker.delete(`/volumes/${encodeURIComponent(name)}`);
    } catch (error) {
      const isGone = error instanceof OperatingError && error.code === 'NotFound';
      if (!isGone) throw error;
    }
  }
  return 0;
}
