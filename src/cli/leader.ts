/**
 * What only the operators' leader can answer. Another one takes over within seconds when it is lost
 * or moves: who asks meanwhile is asked to wait, not to type the command again.
 */
import { OperatingError } from '../core/errors';
import { loadCluster, type Known } from './cluster';
import { type CliPorts } from './ports';
import { createProgress } from './progress';

/** Longer than Swarm takes to elect a leader, and an operator to follow. */
const PATIENCE_MS = 20_000;
const ASK_EVERY_MS = 500;

/** Asks again, and says so, while nobody leads; throws what is refused, and what stays away. */
export async function askLeader<T>(ports: CliPorts, question: () => Promise<T>): Promise<T> {
  const deadlineMs = ports.clock.monotonicMs() + PATIENCE_MS;
  const show = createProgress(ports);
  for (;;) {
    try {
      return await question();
    } catch (error) {
      // A container that was there a moment ago is as good as none: `stale`.
      const isPassing =
        error instanceof OperatingError && (error.kind === 'transient' || error.kind === 'stale');
      if (!isPassing || ports.clock.monotonicMs() >= deadlineMs) throw error;
      show(error.message);
      if (!(await ports.clock.pause(ASK_EVERY_MS))) throw error;
    }
  }
}

/** All that is known of a cluster, with what its servers have told the leader. */
export async function loadHeard(ports: CliPorts, cluster: string): Promise<Known> {
  const known = await loadCluster(ports, cluster);
  if (known.silence === null) return known;
  await askLeader(ports, () => ports.connect().operator.cluster(cluster));
  return await loadCluster(ports, cluster);
}
