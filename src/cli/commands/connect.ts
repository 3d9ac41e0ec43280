/** `pgswarm connect`: a URI with which clients find the primary by themselves. */
import { isLate } from '../../core/late';
import { type ServerStatus, type Status } from '../../core/status';
import { loadCluster } from '../cluster';
import { DONE, refusal, type ExitCode } from '../exit';
import { askLeader } from '../leader';
import { type CliPorts } from '../ports';
import { connectionUri, type SessionRole } from '../uri';

export interface ConnectOptions {
  readonly role: SessionRole;
  readonly withPassword?: boolean;
}

export async function run(
  ports: CliPorts,
  cluster: string,
  options: ConnectOptions,
): Promise<ExitCode> {
  const { view, status } = await loadCluster(ports, cluster);
  const { owner, database } = view.spec.postgres;
  const late = view.spec.servers.filter(isLate).map(({ name }) => name);
  const hosts = hostsOf(status, { role: options.role, late });
  if (hosts.length === 0) {
    const sentence = `None of the nodes of ${cluster} is known to the Swarm: see pgswarm why ${cluster}.`;
    throw refusal('NoAddress', sentence);
  }
  const password = options.withPassword === true ? await passwordOf(ports, cluster) : null;
  const uri = connectionUri({ owner, password, database, hosts, role: options.role });
  ports.output.print(uri);
  return DONE;
}

async function passwordOf(ports: CliPorts, cluster: string): Promise<string> {
  const { operator } = ports.connect();
  return (await askLeader(ports, () => operator.credentials(cluster))).password;
}

/**
 * What is most likely the right one comes first: libpq tries them in this order. Reads are not sent
 * to servers that are late on purpose.
 */
function hostsOf(
  { servers, primary }: Status,
  { role, late }: { readonly role: SessionRole; readonly late: readonly string[] },
): readonly string[] {
  const rank = ({ name }: ServerStatus): number => Number((name === primary) !== (role === 'rw'));
  return servers
    .filter(({ name }) => role === 'rw' || name === primary || !late.includes(name))
    .toSorted((a, b) => rank(a) - rank(b))
    .flatMap(({ address }) => (address === null ? [] : [address]));
}
