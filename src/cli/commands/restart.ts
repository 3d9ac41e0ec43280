/** `pgswarm restart`: PostgreSQL anew, one server after the other, the primary last. */
import { randomUUID } from 'node:crypto';
import { type View } from '../../core/situation';
import { type Spec } from '../../core/spec';
import { type ClusterState, type Restart } from '../../core/state';
import { restartRequested } from '../../core/transitions';
import { readSpec, type Known } from '../cluster';
import { DONE, refusal, type ExitCode } from '../exit';
import { type CliPorts } from '../ports';
import { fileWish } from '../record';
import { serverNamed } from '../servers';
import { createPatience, goesOn, stateOf, waitFor, type Refused } from '../wait';

export interface RestartOptions {
  readonly wait: number;
}

export async function run(
  ports: CliPorts,
  cluster: string,
  server: string | undefined,
  options: RestartOptions,
): Promise<ExitCode> {
  const { spec } = (await readSpec(ports.connect().store, cluster)).value;
  if (server !== undefined) serverNamed(spec, server);
  const id = `${ports.now().toISOString()} ${randomUUID().slice(0, 8)}`;
  const { after } = await fileWish(ports, cluster, {
    verb: 'restart',
    message: `${ports.user} wants PostgreSQL on ${server ?? 'every server'} to be restarted`,
    grant: (state) => {
      refuseUnfit(state, server);
      const servers = orderOf(spec, state, server);
      if (servers.length === 0) throw refusal('Fenced', `Every server is kept stopped.`);
      return restartRequested(state, { id, servers });
    },
  });
  const servers = after.restart?.servers ?? [];
  ports.output.note(`PostgreSQL is restarted on ${servers.join(', then ')}.`);
  await waitUntilDone(ports, cluster, { id, servers, seconds: options.wait });
  ports.output.print(`PostgreSQL has been restarted on ${servers.join(', ')}.`);
  return DONE;
}

/** The primary last: when a standby does not come up again, it is still there. */
function orderOf(spec: Spec, { primary, fenced }: ClusterState, server?: string): string[] {
  if (server !== undefined) return [server];
  return spec.servers
    .map(({ name }) => name)
    .filter((name) => !fenced.includes(name))
    .toSorted((a, b) => Number(a === primary) - Number(b === primary));
}

function refuseUnfit(state: ClusterState, server: string | undefined): void {
  const { cluster, change, paused, primary, fenced } = state;
  if (primary === null) throw refusal('NoPrimary', `${cluster} has no primary yet.`);
  if (paused !== null) {
    throw refusal('Paused', `${cluster} is paused; first: pgswarm resume ${cluster}`);
  }
  if (change !== null) {
    const sentence = `A ${change.kind} from ${change.from} is under way in ${cluster}: restart it afterwards.`;
    throw refusal('ChangeUnderWay', sentence);
  }
  if (server !== undefined && fenced.includes(server)) {
    const sentence = `${server} is kept stopped; first: pgswarm unfence ${cluster} ${server}`;
    throw refusal('Fenced', sentence);
  }
}

async function waitUntilDone(
  ports: CliPorts,
  cluster: string,
  { id, servers, seconds }: Restart & { readonly seconds: number },
): Promise<void> {
  const patience = createPatience(ports);
  const refused = ({ view, status }: Known): Refused | null => {
    const { restart } = view.state;
    const rolledBack = rolledBackIn(view, id);
    if (rolledBack !== null) return rolledBack;
    if (restart !== null && restart.id !== id) return REPLACED;
    const current = view.servers.find(({ name }) => name === restart?.servers[0]);
    const problem = current?.report?.problem ?? null;
    const why = problem === null ? null : { ...problem, message: `${problem.message}; ${HELD}` };
    return patience(why, current === undefined ? '' : stateOf(status, current.name));
  };
  try {
    await waitFor(ports, {
      cluster,
      seconds,
      missed: `${servers.join(', ')} are not all restarted`,
      isReached: ({ view }) => view.state.restart === null && rolledBackIn(view, id) === null,
      refused,
    });
  } catch (error) {
    throw goesOn(error, cluster);
  }
}

/** A server that was restarted, and runs with its settings from before. */
function rolledBackIn({ servers }: View, id: string): Refused | null {
  const [found] = servers.filter(
    ({ report }) => report?.restartedFor === id && report.settings?.refused != null,
  );
  const problem = found?.report?.settings?.refused ?? null;
  return problem === null
    ? null
    : { ...problem, message: `${found?.name ?? ''}: ${problem.message}; ${HELD}` };
}

const REPLACED: Refused = {
  reason: 'Replaced',
  message: 'another restart has taken the place of this one',
};
const HELD = 'the other servers are not restarted before it works again';
