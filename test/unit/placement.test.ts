import { expect } from 'chai';
import { type NodeSeen } from '../../src/core/observation';
import { betterPlace, stillness } from '../../src/core/placement';
import { empty } from '../support/world';

const nodes = empty().observation.swarm!.nodes;
const without = (hostname: string, change: Partial<NodeSeen>): readonly NodeSeen[] =>
  nodes.map((node) => (node.hostname === hostname ? { ...node, ...change } : node));

const rows: readonly {
  readonly name: string;
  readonly own?: string;
  readonly nodes?: readonly NodeSeen[];
  readonly primaries: readonly string[];
  readonly better: string | null;
}[] = [
  { name: 'there is a primary beside it', primaries: ['id-n1'], better: 'n2' },
  { name: 'two nodes carry primaries', primaries: ['id-n1', 'id-n2'], better: 'n3' },
  { name: 'it has none beside it', primaries: ['id-n2'], better: null },
  { name: 'all nodes carry primaries', primaries: ['id-n1', 'id-n2', 'id-n3'], better: null },
  {
    name: 'the free node is drained',
    nodes: without('n3', { availability: 'drain' }),
    primaries: ['id-n1', 'id-n2'],
    better: null,
  },
  {
    name: 'the free node is down',
    nodes: without('n3', { state: 'down' }),
    primaries: ['id-n1', 'id-n2'],
    better: null,
  },
  {
    name: 'the free node is no manager',
    nodes: without('n3', { isManager: false }),
    primaries: ['id-n1', 'id-n2'],
    better: null,
  },
  {
    name: 'two nodes have its own name',
    nodes: without('n2', { hostname: 'n1' }),
    primaries: ['id-n1'],
    better: null,
  },
  { name: 'its own node is not known', own: 'n9', primaries: ['id-n1'], better: null },
];

describe('the place of the leader', () => {
  for (const { name, own = 'n1', nodes: seen = nodes, primaries, better } of rows) {
    it(`is ${better === null ? 'kept' : `better on ${better}`} when ${name}`, () => {
      expect(betterPlace(own, seen, new Set(primaries))).to.equal(better);
    });
  }
});

describe('how long nothing has changed', () => {
  /** A node that has just come back, and whose standby still is on its way. */
  it('is counted anew when a server or a node comes or goes, and not while a role changes', () => {
    let seen = stillness(null, 'pg1 pg2', 0);
    seen = stillness(seen, 'pg1 pg2', 20_000);
    expect(seen?.sinceMs).to.equal(0);
    seen = stillness(seen, 'pg1', 30_000);
    seen = stillness(seen, 'pg1 pg2', 40_000);
    expect(seen?.sinceMs).to.equal(40_000);
    expect(stillness(seen, null, 50_000)).to.equal(null);
  });
});
