/** Looks at everything in Swarm that matters to one cluster. */
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

/** In parallel: one slow answer does not make the others older. */
export async function observeSwarm(
  docker: Docker,
  cluster: string,
  nowMs: () => number,
): Promise<SwarmSeen> {
  // Stamped before asking: what is seen is at least as new as that.
  const seenAtMs = nowMs();
  const query = { filters: { label: [`${CLUSTER_LABEL}=${cluster}`] } };
  const [nodes, services, networks, secrets, tasks] = await Promise.all([
    docker.get('/nodes') as Promise<NodeAnswer[]>,
    docker.get('/services', { query }) as Promise<ServiceAnswer[]>,
    docker.get('/networks') as Promise<NetworkAnswer[]>,
    docker.get('/secrets', { query }) as Promise<SecretAnswer[]>,
    docker.get('/tasks', { query }) as Promise<TaskAnswer[]>,
  ]);
  const serviceNames = new Map(services.map(({ ID: id, Spec: { Name: name } }) => [id, name]));
  return {
    seenAtMs,
    nodes: nodes.map(nodeSeen).toSorted((a, b) => a.hostname.localeCompare(b.hostname)),
    services: services.map(serviceSeen).toSorted(byName),
    networks: networks.map(networkSeen).toSorted(byName),
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
  readonly Spec: { readonly Name: string };
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
  readonly Spec: { readonly Name: string };
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
