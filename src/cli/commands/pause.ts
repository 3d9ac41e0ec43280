/** `pgswarm pause` and `resume`: the operator keeps its hands off a cluster, and takes it up again. */
import { type ClusterState } from '../../core/state';
import { pausedFor } from '../../core/transitions';
import { readSpec } from '../cluster';
import { DONE, refusal, type ExitCode } from '../exit';
import { type CliPorts } from '../ports';
import { ago } from '../quantity-text';
import { fileWish } from '../record';

export async function pause(ports: CliPorts, cluster: string): Promise<ExitCode> {
  const { output, connect } = ports;
  await readSpec(connect().store, cluster);
  const by = ports.user;
  const { before } = await fileWish(ports, cluster, {
    verb: 'pause',
    message: `${by} has paused the cluster`,
    grant: (state) => {
      refuseWhileChanging(state);
      return state.paused === null
        ? pausedFor(state, { since: ports.now().toISOString(), by })
        : state;
    },
  });
  if (before.paused === null) {
    output.print(`${cluster} is paused: the operator changes nothing, whatever happens.`);
    output.print('The primary goes on. If it dies, nobody takes over.');
  } else {
    const age = ago(before.paused.since, ports.now());
    output.print(`${cluster} was paused by ${before.paused.by} ${age} ago already.`);
  }
  output.print(`End it: pgswarm resume ${cluster}`);
  return DONE;
}

export async function resume(ports: CliPorts, cluster: string): Promise<ExitCode> {
  const { output, connect } = ports;
  await readSpec(connect().store, cluster);
  const { before } = await fileWish(ports, cluster, {
    verb: 'resume',
    message: `${ports.user} has ended the pause`,
    grant: (state) => (state.paused === null ? state : pausedFor(state, null)),
  });
  output.print(
    before.paused === null
      ? `${cluster} is not paused: there is nothing to end.`
      : `${cluster} is not paused any more. See what is done now: pgswarm why ${cluster}`,
  );
  return DONE;
}

/** Between two primaries nobody accepts writes: that must not last. */
function refuseWhileChanging({ change, cluster }: ClusterState): void {
  if (change === null || change.phase === 'electing') return;
  const sentence = `A ${change.kind} from ${change.from} to ${change.to ?? 'another server'} is under way in ${cluster}: pause it in a moment.`;
  throw refusal('ChangeUnderWay', sentence);
}
