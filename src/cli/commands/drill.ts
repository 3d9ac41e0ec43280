/** `pgswarm drill`: have a restore tried on a copy, and say how long it took. */
import {
  DRILL_TARGET,
  outcomeText,
  type RehearsalRequest,
  type RehearsalResult,
} from '../../core/restore/rehearsal';
import { type ClusterState } from '../../core/state';
import { rehearsalCalledOff, rehearsalRequested } from '../../core/transitions';
import { readSpec } from '../cluster';
import { DONE, refusal, type ExitCode } from '../exit';
import { type CliPorts } from '../ports';
import { fileWish } from '../record';
import { serverNamed } from '../servers';
import { goesOn, waitFor } from '../wait';

export interface DrillOptions {
  readonly server?: string;
  readonly wait: number;
  /** End the one that is under way, instead. */
  readonly cancel?: boolean;
}

export async function run(
  ports: CliPorts,
  cluster: string,
  { server, wait, cancel }: DrillOptions,
): Promise<ExitCode> {
  const { spec } = (await readSpec(ports.connect().store, cluster)).value;
  if (cancel === true) return await callOff(ports, cluster);
  if (server !== undefined) serverNamed(spec, server);
  const request: RehearsalRequest = {
    kind: 'drill',
    target: DRILL_TARGET,
    backup: null,
    server: server ?? spec.backup.drill?.server ?? null,
    by: ports.user,
    at: ports.now().toISOString(),
  };
  const { before } = await fileWish(ports, cluster, {
    verb: 'drill',
    message: `${ports.user} asks for a restore drill`,
    grant: (state) => {
      refuseUnfit(state);
      return rehearsalRequested(state, request);
    },
  });
  const result = await untilEnded(ports, before, request, wait);
  const { problem, server: on } = result;
  if (problem !== null) throw refusal(problem.reason, `Restore drill on ${on}: ${problem.message}`);
  ports.output.print(`The data can be had back: restored on ${on} ${outcomeText(result)}.`);
  return DONE;
}

/** A restore on a copy needs a cluster that decides, and no other one. */
export function refuseUnfit({ cluster, primary, paused, rehearsal }: ClusterState): void {
  if (primary === null) throw refusal('NoPrimary', `${cluster} has no primary yet.`);
  if (paused !== null) {
    throw refusal('Paused', `${cluster} is paused; first: pgswarm resume ${cluster}`);
  }
  if (rehearsal === null) return;
  const { kind, by, at } = rehearsal.request;
  const end =
    kind === 'drill'
      ? `pgswarm drill ${cluster} --cancel`
      : `pgswarm restore ${cluster} --end-preview`;
  const what = kind === 'drill' ? 'A restore drill' : 'A preview';
  const sentence = `${what} of ${cluster} is there already, asked for by ${by} at ${at}. End it: ${end}`;
  throw refusal('RehearsalUnderWay', sentence);
}

async function callOff(ports: CliPorts, cluster: string): Promise<ExitCode> {
  const { before, after } = await fileWish(ports, cluster, {
    verb: 'drill',
    message: `${ports.user} calls the restore drill off`,
    grant: (state) =>
      state.rehearsal?.request.kind === 'drill' ? rehearsalCalledOff(state) : state,
  });
  ports.output.print(
    before === after
      ? 'No restore drill is under way.'
      : 'The restore drill is called off; nothing of the copy is kept.',
  );
  return DONE;
}

async function untilEnded(
  ports: CliPorts,
  { cluster, lastDrill: before }: ClusterState,
  { at }: RehearsalRequest,
  seconds: number,
): Promise<RehearsalResult> {
  try {
    const { view } = await waitFor(ports, {
      cluster,
      seconds,
      missed: 'the restore drill has not ended',
      isReached: ({ view: { state } }) => state.rehearsal?.request.at !== at,
      refused: () => null,
    });
    const { lastDrill } = view.state;
    if (lastDrill !== null && lastDrill.id !== before?.id) return lastDrill;
    throw refusal('DrillCalledOff', 'The restore drill was called off.');
  } catch (error) {
    throw goesOn(error, cluster);
  }
}
