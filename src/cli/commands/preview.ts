/** `pgswarm restore --preview`: a copy as it was at some point, to be looked at beside the cluster. */
import {
  describeRehearsal,
  PREVIEW_KEPT_MS,
  type RehearsalRequest,
  type RehearsalWork,
} from '../../core/restore/rehearsal';
import { formatDuration } from '../../core/quantities';
import { type View } from '../../core/situation';
import { rehearsalCalledOff, rehearsalRequested } from '../../core/transitions';
import { readSpec } from '../cluster';
import { DONE, refusal, type ExitCode } from '../exit';
import { type CliPorts } from '../ports';
import { fileWish } from '../record';
import { targetOf, type TargetOptions } from '../restore-target';
import { serverNamed } from '../servers';
import { goesOn, waitFor } from '../wait';
import { refuseUnfit } from './drill';

export interface PreviewOptions extends TargetOptions {
  readonly server?: string;
  readonly wait: number;
}

export async function preview(
  ports: CliPorts,
  cluster: string,
  options: PreviewOptions,
): Promise<ExitCode> {
  const { spec } = (await readSpec(ports.connect().store, cluster)).value;
  const { server = null, backup = null, wait } = options;
  const target = targetOf(options);
  if (server !== null) serverNamed(spec, server);
  const at = ports.now().toISOString();
  const by = ports.user;
  const request: RehearsalRequest = { kind: 'preview', target, backup, server, by, at };
  await fileWish(ports, cluster, {
    verb: 'restore',
    message: `${ports.user} asks for ${describeRehearsal(request)}`,
    grant: (state) => {
      refuseUnfit(state);
      return rehearsalRequested(state, request);
    },
  });
  const { words } = await untilReady(ports, cluster, request, wait);
  const { output } = ports;
  output.print(`${words}; ${cluster} itself is as it was.`);
  output.print(`Look:   pgswarm psql ${cluster} --preview`);
  const kept = formatDuration(PREVIEW_KEPT_MS);
  output.print(
    `End it: pgswarm restore ${cluster} --end-preview (after ${kept} it goes by itself)`,
  );
  return DONE;
}

export async function endPreview(ports: CliPorts, cluster: string): Promise<ExitCode> {
  const { before, after } = await fileWish(ports, cluster, {
    verb: 'restore',
    message: `${ports.user} ends the preview`,
    grant: (state) =>
      state.rehearsal?.request.kind === 'preview' ? rehearsalCalledOff(state) : state,
  });
  ports.output.print(
    before === after
      ? `There is no preview of ${cluster}.`
      : 'The preview is ended; nothing of the copy is kept.',
  );
  return DONE;
}

async function untilReady(
  ports: CliPorts,
  cluster: string,
  { at }: RehearsalRequest,
  seconds: number,
): Promise<RehearsalWork> {
  try {
    const { view } = await waitFor(ports, {
      cluster,
      seconds,
      missed: 'the preview is not ready',
      isReached: (known) =>
        known.view.state.rehearsal?.request.at !== at || readyIn(known.view) !== null,
      refused: () => null,
    });
    const { rehearsal, lastPreview } = view.state;
    const ready = rehearsal?.request.at === at ? readyIn(view) : null;
    if (ready !== null) return ready;
    const problem = lastPreview?.problem ?? null;
    if (problem !== null) {
      throw refusal(problem.reason, `Preview of ${cluster}: ${problem.message}`);
    }
    throw refusal('PreviewEnded', `The preview of ${cluster} was ended.`);
  } catch (error) {
    throw goesOn(error, cluster);
  }
}

function readyIn({ state, servers }: View): RehearsalWork | null {
  const begun = state.rehearsal?.begun ?? null;
  const work = servers.find(({ name }) => name === begun?.server)?.report?.rehearsal ?? null;
  return work?.id === begun?.order.id && work?.state === 'ready' ? work : null;
}
