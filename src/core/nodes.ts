/** Finds the one Swarm node that a server is tied to, or says why there is not exactly one. */
import { type NodeSeen } from './observation';
import { type NodeSelector } from './spec';

export type NodeResolved = { readonly nodeId: string } | { readonly problem: string };

/**
 * A machine that left the Swarm and joined again has two entries, the old one `down` for ever:
 * among several matches those that are ready win. A single match counts in whatever state it is,
 * because a server belongs to its node while that is down, too.
 */
export function resolveNode(selector: NodeSelector, nodes: readonly NodeSeen[]): NodeResolved {
  const matching = nodes.filter((node) => matches(selector, node));
  const ready = matching.filter(({ state }) => state === 'ready');
  const candidates = matching.length > 1 && ready.length > 0 ? ready : matching;
  const [node, ...others] = candidates;
  const wanted = describeSelector(selector);
  if (node === undefined) {
    return {
      problem: `No node of the Swarm has ${wanted}; it has ${describeNodes(nodes)}. ${REMEDY_NONE[kindOf(selector)]}`,
    };
  }
  if (others.length > 0) {
    return {
      problem: `More than one node has ${wanted}: ${describeNodes(candidates)}. ${REMEDY_MANY[kindOf(selector)]}`,
    };
  }
  return { nodeId: node.id };
}

type SelectorKind = 'hostname' | 'id' | 'labels';

const REMEDY_NONE: Readonly<Record<SelectorKind, string>> = {
  hostname: 'Correct the name, or join that machine to the Swarm.',
  id: 'Take the id from `docker node ls`.',
  labels: 'Label one node with `docker node update --label-add KEY=VALUE NODE`.',
};

const REMEDY_MANY: Readonly<Record<SelectorKind, string>> = {
  hostname:
    'Name the node by its id, or remove the entry that is not used any more (`docker node rm`).',
  id: 'Give the whole id from `docker node ls --no-trunc`.',
  labels: 'Take a label away from all but one, or name the node by its id.',
};

function kindOf(selector: NodeSelector): SelectorKind {
  if ('hostname' in selector) return 'hostname';
  return 'id' in selector ? 'id' : 'labels';
}

function matches(selector: NodeSelector, node: NodeSeen): boolean {
  if ('hostname' in selector) return node.hostname === selector.hostname;
  // `docker node ls` shows ids in full, people copy the beginning.
  if ('id' in selector) return selector.id !== '' && node.id.startsWith(selector.id);
  const labels = Object.entries(selector.labels);
  return labels.length > 0 && labels.every(([name, value]) => node.labels[name] === value);
}

function describeSelector(selector: NodeSelector): string {
  if ('hostname' in selector) return `the host name ${selector.hostname}`;
  if ('id' in selector) return `the id ${selector.id}`;
  const labels = Object.entries(selector.labels).map(([name, value]) => `${name}=${value}`);
  return labels.length === 1 ? `the label ${labels.join()}` : `the labels ${labels.join(', ')}`;
}

function describeNodes(nodes: readonly NodeSeen[]): string {
  if (nodes.length === 0) return 'no nodes';
  const names = nodes.map(({ hostname, id, state }) =>
    state === 'ready' ? `${hostname} (${id})` : `${hostname} (${id}, ${state})`,
  );
  return names.toSorted().join(', ');
}
