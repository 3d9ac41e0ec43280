/**
 * Breaks and repairs a node's network. Cut from all: the node's cable is pulled. Cut from one: packet
 * filters inside the node, below everything it carries (its daemon, overlay traffic, published
 * ports). Filters live in the node's network namespace and so end with the node's container.
 */
import { docker, tryDocker, type Docker } from './docker';

const chain = 'LAB-CUT';
// raw/PREROUTING and mangle/POSTROUTING see every packet, also those forwarded to containers.
const incoming = { table: 'raw', hook: 'PREROUTING', flag: '-s' };
const outgoing = { table: 'mangle', hook: 'POSTROUTING', flag: '-d' };

/** Where a node is connected. */
export interface Port {
  readonly container: string;
  readonly network: string;
  readonly address: string;
}

/** Takes the node off the network. */
export async function unplug(daemon: Docker, port: Port): Promise<void> {
  if (!(await isPlugged(daemon, port))) return;
  await docker(daemon, ['network', 'disconnect', '--force', port.network, port.container]);
}

/** Puts the node back with the address it had. */
export async function plug(daemon: Docker, port: Port): Promise<void> {
  if (await isPlugged(daemon, port)) return;
  await docker(daemon, ['network', 'connect', '--ip', port.address, port.network, port.container]);
}

/** Whether the node is on the network. */
export async function isPlugged(daemon: Docker, port: Port): Promise<boolean> {
  const format = '{{json .NetworkSettings.Networks}}';
  const networks = await docker(daemon, ['inspect', '--format', format, port.container]);
  return port.network in (JSON.parse(networks) as object);
}

/** Drops the packets from the node to an address, and unless `oneWay` those coming from it too. */
export async function block(
  daemon: Docker,
  container: string,
  cut: { readonly peer: string; readonly oneWay: boolean },
): Promise<void> {
  for (const { table, hook, flag } of cut.oneWay ? [outgoing] : [outgoing, incoming]) {
    const rule = [flag, cut.peer, '-j', 'DROP'];
    await tables(daemon, container, [table, '-N', chain]);
    if ((await tables(daemon, container, [table, '-C', hook, '-j', chain])) !== 0) {
      await mustTables(daemon, container, [table, '-I', hook, '-j', chain]);
    }
    if ((await tables(daemon, container, [table, '-C', chain, ...rule])) !== 0) {
      await mustTables(daemon, container, [table, '-A', chain, ...rule]);
    }
  }
}

/** Removes the node's filters: all of them, or those against one address. */
export async function unblock(daemon: Docker, container: string, peer?: string): Promise<void> {
  for (const { table, flag } of [outgoing, incoming]) {
    const change = peer === undefined ? ['-F', chain] : ['-D', chain, flag, peer, '-j', 'DROP'];
    await tables(daemon, container, [table, ...change]); // Fails when there is nothing to remove.
  }
}

/** The addresses that the node's filters are against. */
export async function blockedPeers(daemon: Docker, container: string): Promise<string[]> {
  const peers = new Set<string>();
  for (const { table } of [outgoing, incoming]) {
    const argv = ['exec', container, 'iptables', '-t', table, '-S', chain];
    const listed = (await tryDocker(daemon, argv)).stdout;
    for (const match of listed.matchAll(/-[sd] ([\d.]+)/g)) peers.add(match[1] ?? '');
  }
  return [...peers].sort();
}

async function tables(daemon: Docker, container: string, args: string[]): Promise<number> {
  return (await tryDocker(daemon, ['exec', container, 'iptables', '-w', '-t', ...args])).code;
}

async function mustTables(daemon: Docker, container: string, args: string[]): Promise<void> {
  await docker(daemon, ['exec', container, 'iptables', '-w', '-t', ...args]);
}
