import { expect } from 'chai';
import { resolveNode } from '../../src/core/nodes';
import { type NodeSeen } from '../../src/core/observation';
import { type NodeSelector } from '../../src/core/spec';
import { node } from '../support/swarm-objects';

interface Row {
  readonly name: string;
  readonly selector: NodeSelector;
  readonly nodes: readonly NodeSeen[];
  readonly id?: string;
  readonly problem?: RegExp;
}

const rackA = node({ id: 'a1', labels: { rack: 'a', disk: 'ssd' } });
const rackB = node({ id: 'b1', labels: { rack: 'b', disk: 'ssd' } });

const rows: readonly Row[] = [
  { name: 'a host name', selector: { hostname: 'a1' }, nodes: [rackA, rackB], id: 'a1' },
  { name: 'an id', selector: { id: 'b1' }, nodes: [rackA, rackB], id: 'b1' },
  { name: 'the beginning of an id', selector: { id: 'b' }, nodes: [rackA, rackB], id: 'b1' },
  { name: 'a label', selector: { labels: { rack: 'b' } }, nodes: [rackA, rackB], id: 'b1' },
  {
    name: 'all of several labels',
    selector: { labels: { rack: 'a', disk: 'ssd' } },
    nodes: [rackA, rackB],
    id: 'a1',
  },
  {
    name: 'a node that is down: its server belongs there all the same',
    selector: { hostname: 'a1' },
    nodes: [node({ id: 'a1', state: 'down' }), rackB],
    id: 'a1',
  },
  {
    name: 'the ready one of two entries of a machine that has joined again',
    selector: { hostname: 'n1' },
    nodes: [
      node({ id: 'old', hostname: 'n1', state: 'down' }),
      node({ id: 'new', hostname: 'n1' }),
    ],
    id: 'new',
  },
  {
    name: 'none of that name',
    selector: { hostname: 'n9' },
    nodes: [rackA],
    problem: /^No node of the Swarm has the host name n9; it has a1 \(a1\)\. .*join/,
  },
  {
    name: 'none of that label',
    selector: { labels: { rack: 'z' } },
    nodes: [rackA, node({ id: 'c1', state: 'down' })],
    problem:
      /the label rack=z; it has a1 \(a1\), c1 \(c1, down\)\..*docker node update --label-add/,
  },
  {
    name: 'no nodes at all',
    selector: { id: 'x' },
    nodes: [],
    problem: /it has no nodes/,
  },
  {
    name: 'labels that two have',
    selector: { labels: { disk: 'ssd' } },
    nodes: [rackA, rackB],
    problem: /^More than one node has the label disk=ssd: a1 \(a1\), b1 \(b1\)\./,
  },
  {
    name: 'two entries that are both down',
    selector: { hostname: 'n1' },
    nodes: [
      node({ id: 'x', hostname: 'n1', state: 'down' }),
      node({ id: 'y', hostname: 'n1', state: 'down' }),
    ],
    problem: /More than one node has the host name n1.*docker node rm/,
  },
  {
    name: 'an empty set of labels, which would be every node',
    selector: { labels: {} },
    nodes: [rackA],
    problem: /No node/,
  },
];

describe('resolving a node', () => {
  for (const { name, selector, nodes, id, problem } of rows) {
    it(`${id === undefined ? 'refuses' : 'finds'} ${name}`, () => {
      const resolved = resolveNode(selector, nodes);
      if ('nodeId' in resolved) expect(resolved.nodeId).to.equal(id);
      else expect(resolved.problem).to.match(problem ?? /^$/);
    });
  }
});
