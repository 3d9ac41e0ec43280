/** What is supposed to be lost, by the names that people use. */
import { nearest } from '../nearest';
import { type NodeSeen } from '../observation';

import { type View } from '../situation';

export interface Lost {
  /** Names of the servers whose containers are gone, with their nodes or alone; sorted. */
  readonly servers: readonly string[];
  /** Ids of the nodes. */
  readonly nodes: readonly string[];
}

export type LostNamed =
  | { readonly kind: 'lost'; readonly lost: Lost }
  | { readonly kind: 'problem'; readonly message: string };

/** `node:` and `server:` tell apart what has one name. */
const FORM = /^(?:(node|server):)?(.+)$/;

/** Finds each name among the servers and the nodes; the first that is neither is the problem. */
export function findLost(view: View, names: readonly string[]): LostNamed {
  const servers = new Set<string>();
  const nodes = new Set<string>();
  for (const given of names) {
    const [, kind, name = given] = FORM.exec(given) ?? [];
    const server = kind === 'node' ? undefined : view.servers.find((each) => each.name === name);
    const node = kind === 'server' ? undefined : nodeOf(view, name);
    if (server !== undefined && node !== undefined) {
      return problem(`${name} is a server and a node: write server:${name} or node:${name}`);
    }
    if (server !== undefined) servers.add(server.name);
    else if (node !== undefined) nodes.add(node.id);
    else return problem(unknown(view, name));
  }
  for (const { name, nodeId } of view.servers) if (nodes.has(nodeId ?? '')) servers.add(name);
  return { kind: 'lost', lost: { servers: [...servers].sort(), nodes: [...nodes].sort() } };
}

const nodeOf = ({ swarm }: View, name: string): NodeSeen | undefined =>
  swarm?.nodes.find(({ id, hostname }) => id === name || hostname === name);

const problem = (message: string): LostNamed => ({ kind: 'problem', message });

function unknown({ servers, swarm }: View, name: string): string {
  const known = [
    ...servers.map((each) => each.name),
    ...(swarm?.nodes ?? []).map(({ hostname }) => hostname),
  ];
  const meant = nearest(name, known);
  const question = meant === null ? '' : ` Did you mean ${meant}?`;
  return `There is no server and no node ${name}.${question} There are: ${known.join(', ')}.`;
}
