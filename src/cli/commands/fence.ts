/** `pgswarm fence` and `unfence`: keep the PostgreSQL of one server stopped. */
import { type Spec } from '../../core/spec';
import { type ClusterState } from '../../core/state';
import { serverFenced, serverUnfenced } from '../../core/transitions';
import { readSpec, readState } from '../cluster';
import { confirm } from '../confirm';
import { DONE, refusal, type ExitCode } from '../exit';
import { type CliPorts } from '../ports';
import { fileWish } from '../record';
import { serverNamed } from '../servers';

export interface FenceOptions {
  readonly yes?: boolean;
}

export async function fence(
  ports: CliPorts,
  cluster: string,
  server: string,
  options: FenceOptions,
): Promise<ExitCode> {
  const { store } = ports.connect();
  const { spec } = (await readSpec(store, cluster)).value;
  serverNamed(spec, server);
  const state = (await readState(store, cluster))?.value ?? null;
  const warning = state === null ? null : warningOf(state, spec, server);
  if (warning !== null && options.yes !== true) await confirm(ports, { warning, word: server });
  const { before, after } = await fileWish(ports, cluster, {
    verb: 'fence',
    message: `${ports.user} wants PostgreSQL on ${server} to be kept stopped`,
    grant: (record) => {
      refuseWhileChanging(record, server);
      return record.fenced.includes(server) ? record : serverFenced(record, server);
    },
  });
  const { output } = ports;
  output.print(
    before === after
      ? `${server} is kept stopped already.`
      : `PostgreSQL on ${server} is stopped, and kept stopped.`,
  );
  output.print(`End it: pgswarm unfence ${cluster} ${server}`);
  return DONE;
}

export async function unfence(ports: CliPorts, cluster: string, server: string): Promise<ExitCode> {
  const { store } = ports.connect();
  const { spec } = (await readSpec(store, cluster)).value;
  // It may have been taken out of the spec since, and would be kept stopped if it came back.
  const fenced = (await readState(store, cluster))?.value.fenced ?? [];
  if (!fenced.includes(server)) serverNamed(spec, server);
  const { before, after } = await fileWish(ports, cluster, {
    verb: 'unfence',
    message: `${ports.user} lets PostgreSQL on ${server} run again`,
    grant: (state) => (state.fenced.includes(server) ? serverUnfenced(state, server) : state),
  });
  ports.output.print(
    before === after
      ? `${server} is not kept stopped: there is nothing to end.`
      : `PostgreSQL on ${server} is started again. See: pgswarm status ${cluster}`,
  );
  return DONE;
}

/** What stops for clients when this server does; null when nothing does. */
function warningOf(state: ClusterState, spec: Spec, server: string): string | null {
  if (state.fenced.includes(server)) return null;
  if (state.primary === server) {
    return `${server} is the primary: all writes stop, and nobody takes over until it is unfenced or another server is promoted.`;
  }
  const { synchronous } = spec.replication;
  if (synchronous?.durability !== 'required') return null;
  const left = spec.servers.filter(
    ({ name }) => name !== state.primary && name !== server && !state.fenced.includes(name),
  );
  if (left.length >= synchronous.number) return null;
  return `Every commit must be on ${synchronous.number} standbys, and without ${server} there are ${left.length}: all writes wait until it is unfenced.`;
}

function refuseWhileChanging({ change }: ClusterState, server: string): void {
  if (change === null || change.phase === 'electing') return;
  if (change.from !== server && change.to !== server) return;
  const sentence = `A ${change.kind} from ${change.from} to ${change.to ?? 'another server'} is under way: fence ${server} in a moment.`;
  throw refusal('ChangeUnderWay', sentence);
}
