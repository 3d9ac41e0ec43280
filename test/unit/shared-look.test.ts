/** Clusters that want to see Swarm at the same moment see it together, and nobody sees the past. */
import { expect } from 'chai';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Docker } from '../../src/adapters/swarm/docker';
import { observeAll, observeSwarm } from '../../src/adapters/swarm/observe';
import { SharedLook } from '../../src/adapters/swarm/shared-look';
import { type SwarmSeen } from '../../src/core/observation';
import { pairs } from '../bench/scale/clusters';
import { DockerStandIn } from '../bench/scale/docker';

const nothing: Omit<SwarmSeen, 'seenAtMs'> = {
  ...{ nodes: [], services: [], networks: [], secrets: [], tasks: [] },
};

describe('a look at Swarm', () => {
  let nowMs: number;
  /** What Docker was asked, in order. */
  let asked: string[];
  let isDown: boolean;
  let look: SharedLook;

  const answer = (question: string): Promise<SwarmSeen> => {
    asked.push(question);
    const seen = { ...nothing, seenAtMs: nowMs };
    return isDown ? Promise.reject(new Error('no leader')) : Promise.resolve(seen);
  };

  beforeEach(() => {
    [nowMs, asked, isDown] = [1_000, [], false];
    look = new SharedLook({
      one: (cluster) => answer(cluster),
      all: () => answer('all').then((seen) => () => seen),
      nowMs: () => nowMs,
    });
  });

  it('is at one cluster when one asks', async () => {
    await look.observe('orders');
    expect(asked).to.deep.equal(['orders']);
  });

  it('is one at everything when several ask in the same turn', async () => {
    await Promise.all([look.observe('orders'), look.observe('invoices'), look.observe('orders')]);
    expect(asked).to.deep.equal(['all']);
  });

  it('is not shared with who asks after Docker was asked', async () => {
    const before = [look.observe('orders'), look.observe('invoices')];
    while (asked.length === 0) await new Promise(setImmediate);
    nowMs += 5;
    const { seenAtMs } = await look.observe('invoices');
    await Promise.all(before);
    expect(seenAtMs).to.equal(nowMs);
    expect(asked).to.deep.equal(['all', 'invoices']);
  });

  it('is shared with who wants nothing newer', async () => {
    const first = await look.observe('orders', nowMs - 500);
    nowMs += 400;
    const second = await look.observe('invoices', nowMs - 500);
    nowMs += 400;
    const third = await look.observe('audit', nowMs - 500);
    expect([first, second, third].map((seen) => seen.seenAtMs)).to.deep.equal([1000, 1000, 1800]);
    expect(asked).to.deep.equal(['all', 'all']);
  });

  it('fails for all who share it, and is tried again by the next', async () => {
    isDown = true;
    const outcomes = await Promise.allSettled([look.observe('a', 900), look.observe('b', 900)]);
    expect(outcomes.map(({ status }) => status)).to.deep.equal(['rejected', 'rejected']);
    isDown = false;
    await look.observe('a', 900);
    expect(asked).to.deep.equal(['all', 'all']);
  });
});

describe('a look at everything', () => {
  const folder = mkdtempSync(join(tmpdir(), 'pgswarm-look-'));
  const three = pairs(3);
  const standIn = new DockerStandIn(three);
  const socket = join(folder, 'docker.sock');
  const docker = new Docker({ address: `unix://${socket}`, certificates: null });

  before(() => standIn.listen(socket));
  after(() => {
    standIn.close();
    rmSync(folder, { recursive: true });
  });

  it('shows of each cluster what a look at it alone shows', async () => {
    const sight = await observeAll(docker, () => 7);
    for (const { name, swarm } of three) {
      const alone = await observeSwarm(docker, name, () => 7);
      expect(sight(name)).to.deep.equal(alone);
      expect(alone.services.map((each) => each.name)).to.deep.equal(
        swarm.services.map((each) => each.name),
      );
      expect(alone.tasks).to.have.length(2);
      expect(alone.secrets).to.have.length(3);
    }
  });

  it('shows of a cluster that has nothing yet the nodes and the networks', async () => {
    const sight = await observeAll(docker, () => 7);
    expect(sight('new')).to.deep.equal(await observeSwarm(docker, 'new', () => 7));
    expect(sight('new').networks).to.have.length(3);
  });
});
