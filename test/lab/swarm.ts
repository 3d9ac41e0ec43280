/** Makes one Swarm of a lab's nodes, every node a manager, and reads its state. */
import { docker, tryDocker, type Docker } from './docker';
import { apiPort, type LabNode } from './nodes';
import { LabError, waitFor } from './shell';

const answerMaxMs = 5000;
const readyMaxMs = 60_000;
const joinAttemptsMax = 5;

/** A row of `docker node ls`. */
export interface SwarmNode {
  readonly hostname: string;
  readonly state: string;
  /** Leader, Reachable or Unreachable. */
  readonly manager: string;
}

/** The daemon inside a node. */
export function daemonOf(node: LabNode): Docker {
  return { host: `tcp://${node.address}:${apiPort}` };
}

/** Waits until the node's daemon answers. */
export async function waitForDaemon(node: LabNode): Promise<void> {
  await waitFor(`the Docker daemon of ${node.name} at ${node.address}`, readyMaxMs, async () =>
    (await membership(node)) === null ? undefined : true,
  );
}

/** Joins all nodes into one Swarm; those that are in it already stay as they are. */
export async function formSwarm(nodes: readonly LabNode[]): Promise<void> {
  const states = await Promise.all(nodes.map(membership));
  const member = nodes.find((_, index) => states[index] === 'active') ?? nodes[0];
  if (member === undefined) throw new LabError('A lab needs at least one node.');
  if (!states.includes('active'))
  // Swarm takes a node for lost after three missed heartbeats; with the default of five seconds a
  // lost node is noticed only after most of a minute.
  {
    await docker(daemonOf(member), [
      ...['swarm', 'init', '--advertise-addr', member.address, '--dispatcher-heartbeat', '1s'],
    ]);
  }
  const token = await docker(daemonOf(member), ['swarm', 'join-token', '--quiet', 'manager']);
  for (const [index, node] of nodes.entries()) {
    if (node !== member && states[index] !== 'active') await join(node, member, token);
  }
  await waitUntilReady(nodes);
}

async function join(node: LabNode, member: LabNode, token: string): Promise<void> {
  const args = ['swarm', 'join', '--token', token, '--advertise-addr', node.address];
  for (let left = joinAttemptsMax; ; left -= 1) {
    const result = await tryDocker(daemonOf(node), [...args, member.address]);
    if (result.code === 0 || result.stderr.includes('already part of a swarm')) return;
    if (left === 1) {
      throw new LabError(`${node.name} cannot join the Swarm of ${member.name}: ${result.stderr}`);
    }
  }
}

/** Waits until every node is ready and every manager reachable. */
export async function waitUntilReady(nodes: readonly LabNode[]): Promise<void> {
  const names = nodes.map((node) => node.name).join(', ');
  await waitFor(`${names} to be ready in the Swarm`, readyMaxMs, async () => {
    const manager = await answeringManager(nodes);
    const rows = manager === null ? [] : await swarmNodes(manager);
    const good = rows.filter(
      (row) => row.state === 'Ready' && /Leader|Reachable/.test(row.manager),
    );
    return good.length >= nodes.length ? true : undefined;
  });
}

/** The nodes that Swarm does not count on, as one manager sees it. */
export async function absentNodes(nodes: readonly LabNode[]): Promise<readonly LabNode[]> {
  const manager = await answeringManager(nodes);
  const rows = manager === null ? [] : await swarmNodes(manager);
  const ready = rows.filter(({ state }) => state === 'Ready').map(({ hostname }) => hostname);
  return rows.length === 0 ? [] : nodes.filter(({ name }) => !ready.includes(name));
}

/** A manager that answers right now, or null. */
export async function answeringManager(nodes: readonly LabNode[]): Promise<LabNode | null> {
  const asked = nodes.map(async (node) => {
    if ((await swarmNodes(node)).length === 0) throw new Error(`${node.name} does not answer`);
    return node;
  });
  return Promise.any(asked).catch(() => null);
}

/** The Swarm as one manager sees it; empty when it does not answer. */
export async function swarmNodes(manager: LabNode): Promise<SwarmNode[]> {
  const format = '{{.Hostname}}|{{.Status}}|{{.ManagerStatus}}';
  const result = await tryDocker(daemonOf(manager), ['node', 'ls', '--format', format], {
    timeoutMs: answerMaxMs,
  });
  const lines = result.code === 0 ? result.stdout.split('\n').filter(Boolean) : [];
  return lines.map((line) => {
    const [hostname = '', state = '', managerState = ''] = line.split('|');
    return { hostname, state, manager: managerState };
  });
}

/** What the node itself says of its membership (active, inactive, pending, error); null without an answer. */
async function membership(node: LabNode): Promise<string | null> {
  const args = ['info', '--format', '{{.Swarm.LocalNodeState}}'];
  const result = await tryDocker(daemonOf(node), args, { timeoutMs: answerMaxMs });
  const state = result.stdout.trim();
  return result.code === 0 && state !== '' ? state : null;
}
