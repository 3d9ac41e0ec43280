/** `pgswarm events`: what the operator has done, from the cluster's record. */
import { type ClusterEvent } from '../../core/state';
import { readSpec, readState } from '../cluster';
import { DONE, type ExitCode } from '../exit';
import { json, type Paint } from '../output';
import { type CliPorts } from '../ports';

export interface EventsOptions {
  readonly number: number;
  readonly output?: 'json';
}

export async function run(
  ports: CliPorts,
  cluster: string,
  options: EventsOptions,
): Promise<ExitCode> {
  const { store } = ports.connect();
  await readSpec(store, cluster);
  const state = await readState(store, cluster);
  const events = options.number === 0 ? [] : (state?.value.events ?? []).slice(-options.number);
  if (options.output === 'json') ports.output.print(json(events));
  else if (events.length === 0) ports.output.note(`Nothing has happened to ${cluster} yet.`);
  else for (const event of events) ports.output.print(eventLine(event, ports.output.paint));
  return DONE;
}

function eventLine({ at, term, rule, message }: ClusterEvent, paint: Paint): string {
  return `${paint('dim', at)}  term ${term}  ${message}  ${paint('dim', `[${rule}]`)}`;
}
