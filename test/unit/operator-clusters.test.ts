/** One operator, many clusters: whom Docker's announcements concern, and how they are taken over. */
import { expect } from 'chai';
import { createLogger } from 'winston';
import { specRecordName, stateRecordName } from '../../src/core/names';
import { type StoredRecord } from '../../src/core/ports';
import { Operator } from '../../src/operator/operator';
import { eventually } from '../support/eventually';
import { MemoryStore } from '../support/memory-store';
import { IMAGE, pairsNamed, type Pair } from '../bench/scale/clusters';

const NAMED = ['audit', 'orders', 'orders-eu'];

describe('an operator of many clusters', () => {
  let store: MemoryStore;
  let operator: Operator;
  let pairs: readonly Pair[];
  /** Clusters for which Swarm was looked at, in order. */
  let looks: string[];

  async function declare(clusters: readonly string[]): Promise<void> {
    pairs = pairsNamed(clusters);
    for (const { name, record, state } of pairs) {
      await store.create(specRecordName(name), record);
      await store.create(stateRecordName(name), state);
    }
  }

  beforeEach(() => {
    [store, looks] = [new MemoryStore(), []];
    operator = new Operator({
      store,
      swarm: {
        observe: (cluster) => {
          looks.push(cluster);
          return Promise.resolve({ ...pairOf(cluster).swarm, seenAtMs: performance.now() });
        },
        apply: () => Promise.resolve(),
        watch: () => () => undefined,
      },
      clock: { monotonicMs: () => performance.now(), now: () => new Date() },
      log: createLogger({ silent: true }),
      newUid: () => 'uid',
      image: IMAGE,
      node: 'n3',
      fingerprints: (cluster) => pairOf(cluster).fingerprints,
      leadership: {
        isLeading: () => true,
        leftMs: () => 6_000,
        leaderAddress: () => null,
        handOver: () => undefined,
      },
    });
  });
  afterEach(() => operator.lose());

  const pairOf = (cluster: string): Pair => pairs.find(({ name }) => name === cluster)!;

  /** Once all of them rest, and a look that was wanted has been made. */
  async function atRest(): Promise<void> {
    await eventually(() => {
      expect(operator.clusters().map((each) => operator.controller(each).detail())).not.to.include(
        null,
      );
      return Promise.resolve();
    });
  }

  const CASES: readonly (readonly [string, { type: string; name: string }, readonly string[]])[] = [
    ['its service', { type: 'service', name: 'pgswarm-orders-pg1' }, ['orders']],
    ['its secret', { type: 'secret', name: 'pgswarm.orders.owner.1a2b3c4d' }, ['orders']],
    [
      'a service whose name may be of two',
      { type: 'service', name: 'pgswarm-orders-eu-pg1' },
      ['orders', 'orders-eu'],
    ],
    ['a node', { type: 'node', name: 'n1' }, NAMED],
    [
      'a network, with which any subnet may overlap',
      { type: 'network', name: 'pgswarm-orders' },
      NAMED,
    ],
    ['a service that is not ours, and may hold a port', { type: 'service', name: 'web' }, NAMED],
    [
      'a connection, before which anything may have been missed',
      { type: 'connection', name: 'unix:///run/docker.sock' },
      NAMED,
    ],
  ];
  for (const [what, event, concerned] of CASES) {
    it(`looks again for ${concerned.join(', ')} when Docker announces ${what}`, async () => {
      await declare(NAMED);
      await operator.lead(1, true);
      await atRest();
      looks = [];
      operator.changed(event);
      // Whoever rests looks in the same turn of the event loop.
      await new Promise(setImmediate);
      expect(looks.toSorted()).to.deep.equal(concerned);
    });
  }

  it('takes them over a few at a time', async () => {
    const clusters = Array.from({ length: 20 }, (_, index) => `db-${index}`);
    await declare(clusters);
    let [atOnce, most] = [0, 0];
    const update = store.update.bind(store);
    store.update = async <T>(record: StoredRecord<unknown>, value: T): Promise<StoredRecord<T>> => {
      atOnce += 1;
      most = Math.max(most, atOnce);
      await new Promise(setImmediate);
      atOnce -= 1;
      return await update(record, value);
    };
    await operator.lead(2, true);
    expect(operator.clusters()).to.have.length(20);
    expect(most).to.be.within(4, 8);
  });
});
