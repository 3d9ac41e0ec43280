/** Looks at everything in Swarm that matters to one cluster, or to all of them at once. */
import { CLUSTER_LABEL } from '../../core/names';
import {
  type NetworkSeen,
  type NodeSeen,
  type SecretSeen,
  type ServiceSeen,
  type SwarmSeen,
  type TaskSeen,
} from '../../core/observation';
import { type Docker } from './docker';
import { type Sight } from './shared-look';

export async function observeSwarm(
  docker: Docker,
  cluster: string,
  nowMs: () => number,
): Promise<SwarmSeen> {
  return seenIn(await askSwarm(docker, `${CLUSTER_LABEL}=${cluster}`, nowMs));
}

/** With as many questions as one cluster alone needs. */
export async function observeAll(docker: Docker, nowMs: () => number): Promise<Sight> {
  const { services, secrets, tasks, ...rest } = await askSwarm(docker, CLUSTER_LABEL, nowMs);
  const servicesOf = grouped(services, ({ Spec: spec }) => spec.Labels?.[CLUSTER_LABEL] ?? '');
  const secretsOf = grouped(secrets, ({ Spec: spec }) => spec.Labels?.[CLUSTER_LABEL] ?? '');
  const tasksOfService = grouped(tasks, ({ ServiceID: id }) => id);
  const seen = (cluster: string): SwarmSeen => {
    const own = servicesOf.get(cluster) ?? [];
    return seenIn({
      ...rest,
      services: own,
      secrets: secretsOf.get(cluster) ?? [],
      tasks: own.flatMap(({ ID: id }) => tasksOfService.get(id) ?? []),
    });
  };
  // At once: Docker's answers are much longer than what is kept of them.
  const clusters = [...new Set([...servicesOf.keys(), ...secretsOf.keys()])];
  const known = new Map(clusters.map((cluster) => [cluster, seen(cluster)]));
  const unknown = seen('');
  return (cluster) => known.get(cluster) ?? unknown;
}

function grouped<T>(
  items: readonly T[],
  keyOf: (item: T) => string,
): ReadonlyMap<string, readonly T[]> {
  const groups = new Map<string, T[]>();
  for (const item of items) {
    const group = groups.get(keyOf(item));
    if (group === undefined) groups.set(keyOf(item), [item]);
    else group.push(item);
  }
  return groups;
}

/** One answer of Docker's each, of whatever has the label. */
interface Answers extends Pick<SwarmSeen, 'seenAtMs' | 'nodes' | 'networks'> {
  readonly services: readonly ServiceAnswer[];
  readonly secrets: readonly SecretAnswer[];
  readonly tasks: readonly TaskAnswer[];
}

/** In parallel: one slow answer does not make the others older. */
async function askSwarm(docker: Docker, label: string, nowMs: () => number): Promise<Answers> {
  // Stamped before asking: what is seen is at least as new as that.
  const seenAtMs = nowMs();
  const query = { filters: { label: [label] } };
  const [nodes, services, networks, secrets, tasks] = await Promise.all([
    docker.get('/nodes') as Promise<NodeAnswer[]>,
    docker.get('/services', { query }) as Promise<ServiceAnswer[]>,
    docker.get('/networks') as Promise<NetworkAnswer[]>,
    docker.get('/secrets', { query }) as Promise<SecretAnswer[]>,
    docker.get('/tasks', { query }) as Promise<TaskAnswer[]>,
  ]);
  return {
    seenAtMs,
    nodes: nodes.map(nodeSeen).toSorted((a, b) => a.hostname.localeCompare(b.hostname)),
    networks: networks.map(networkSeen).toSorted(byName),
    ...{ services, secrets, tasks },
  };
}

function seenIn({ services, secrets, tasks, ...rest }: Answers): SwarmSeen {
  const serviceNames = new Map(services.map(({ ID: id, Spec: { Name: name } }) => [id, name]));
  return {
    ...rest,
    services: services.map(serviceSeen).toSorted(byName),
    secrets: secrets.map(secretSeen).toSorted(byName),
    tasks: [...serviceNames].flatMap(([id, name]) => tasksOf(tasks, id, name)),
  };
}

// ── the parts of Docker's answers that are read (Docker API v1.41) ───────────────────────────

interface NodeAnswer {
  readonly ID: string;
  readonly Spec: {
    readonly Labels?: Record<string, string> | null;
    readonly Availability: string;
    readonly Role: string;
  };
  readonly Description: { readonly Hostname: string };
  readonly Status: { readonly State: string; readonly Addr?: string };
  readonly ManagerStatus?: { readonly Addr?: string; readonly Leader?: boolean } | null;
}

interface ServiceAnswer {
  readonly ID: string;
  readonly Version: { readonly Index: number };
  readonly Spec: Labelled;
}

interface NetworkAnswer {
  readonly Id: string;
  readonly Name: string;
  readonly Driver: string;
  readonly Labels?: Readonly<Record<string, string>> | null;
  readonly IPAM?: { readonly Config?: readonly { readonly Subnet?: string }[] | null } | null;
}

interface SecretAnswer {
  readonly ID: string;
  readonly Spec: Labelled;
}

interface Labelled {
  readonly Name: string;
  readonly Labels?: Readonly<Record<string, string>> | null;
}

interface TaskAnswer {
  readonly ID: string;
  readonly ServiceID: string;
  readonly NodeID?: string;
  readonly CreatedAt: string;
  readonly DesiredState: string;
  readonly Status: { readonly State: string; readonly Err?: string };
}

// ── from Docker's words to ours ──────────────────────────────────────────────────────────────

const byName = (a: { readonly name: string }, b: { readonly name: string }): number =>
  a.name.localeCompare(b.name);

function nodeSeen(node: NodeAnswer): NodeSeen {
  return {
    id: node.ID,
    hostname: node.Description.Hostname,
    labels: node.Spec.Labels ?? {},
    state: node.Status.State,
    availability: node.Spec.Availability,
    isManager: node.Spec.Role === 'manager',
    isSwarmLeader: node.ManagerStatus?.Leader === true,
    address: addressOf(node),
  };
}

/** A manager that was joined without an address shows 0.0.0.0 and its real one elsewhere. */
function addressOf({ Status: { Addr: address = '' }, ManagerStatus: manager }: NodeAnswer): string {
  if (address !== '' && address !== '0.0.0.0') return address;
  return (manager?.Addr ?? '').replace(/:\d+$/, '').replace(/^\[(.*)\]$/, '$1');
}

function serviceSeen({ ID: id, Version: version, Spec: spec }: ServiceAnswer): ServiceSeen {
  return { id, name: spec.Name, version: version.Index, spec };
}

function networkSeen(network: NetworkAnswer): NetworkSeen {
  const configs = network.IPAM?.Config ?? [];
  return {
    id: network.Id,
    name: network.Name,
    cluster: network.Labels?.[CLUSTER_LABEL] ?? null,
    driver: network.Driver,
    subnets: configs.flatMap(({ Subnet: subnet }) => (subnet === undefined ? [] : [subnet])),
  };
}

function secretSeen({ ID: id, Spec: { Name: name } }: SecretAnswer): SecretSeen {
  return { id, name };
}

/** Oldest first. */
function tasksOf(tasks: readonly TaskAnswer[], id: string, name: string): readonly TaskSeen[] {
  return tasks
    .filter(({ ServiceID: serviceId }) => serviceId === id)
    .toSorted((a, b) => a.CreatedAt.localeCompare(b.CreatedAt))
    .map((task) => taskSeen(task, name));
}

function taskSeen(task: TaskAnswer, service: string): TaskSeen {
  const { State: state, Err: error = '' } = task.Status;
  return {
    id: task.ID,
    service,
    nodeId: task.NodeID ?? null,
    state,
    desiredState: task.DesiredState,
    error: error === '' ? null : error,
    createdAt: task.CreatedAt,
  };
}
