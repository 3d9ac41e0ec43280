/**
 * Goal: a leader that has been replaced writes nothing any more, whatever it believes of itself.
 * Method: two controllers over one store, the first of which was frozen and thinks that it leads.
 */
import { expect } from 'chai';
import sinon from 'sinon';
import { createLogger } from 'winston';
import { specRecordName, stateRecordName } from '../../src/core/names';
import { type ClusterState } from '../../src/core/state';
import { type Report } from '../../src/core/protocol';
import { ClusterController } from '../../src/operator/cluster-controller';
import { eventually } from '../support/eventually';
import { MemoryStore } from '../support/memory-store';
import { running, withSpec } from '../support/world';

const CLUSTER = 'orders';
const pair = running();

describe('taking a cluster over', () => {
  const started: ClusterController[] = [];
  let store: MemoryStore;

  beforeEach(async () => {
    store = new MemoryStore();
    await store.create(specRecordName(CLUSTER), pair.record);
    await store.create(stateRecordName(CLUSTER), pair.state);
  });
  afterEach(() => {
    for (const controller of started.splice(0)) controller.stop();
    sinon.restore();
  });

  async function lead(epoch: number): Promise<ClusterController> {
    const controller = new ClusterController(
      CLUSTER,
      { epoch, areLeasesOver: false },
      {
        store,
        swarm: {
          observe: () =>
            Promise.resolve({ ...pair.observation.swarm!, seenAtMs: performance.now() }),
          apply: () => Promise.resolve(),
          watch: () => () => undefined,
        },
        clock: { monotonicMs: () => performance.now(), now: () => new Date() },
        log: createLogger({ silent: true }),
        newUid: () => 'uid',
        image: 'pgswarm:test',
        fingerprints: () => ({ control: 'new', replication: 'new', owner: 'new' }),
        leadingLeftMs: () => 6000,
        isLeading: () => true,
        onForgotten: () => undefined,
      },
    );
    await controller.start();
    started.push(controller);
    return controller;
  }

  const state = async (): Promise<ClusterState> =>
    (await store.read<ClusterState>(stateRecordName(CLUSTER)))!.value;

  const reportAll = (controller: ClusterController, sequence: number): void => {
    for (const { report } of Object.values(pair.observation.reports)) {
      controller.report({ ...report, sequence } satisfies Report);
    }
  };

  it('begins with a write that carries the new epoch', async () => {
    await lead(7);
    expect((await state()).leaderEpoch).to.equal(7);
  });

  it('writes nothing when another one has taken over while it was reading', async () => {
    await lead(3);
    const problem = await lead(2).catch((error: unknown) => (error as Error).message);
    expect(problem).to.match(/does not lead any more/);
    expect((await state()).leaderEpoch).to.equal(3);
  });

  it('ends the writing of the leader before, even when it has read the record again', async () => {
    const old = await lead(2);
    await lead(3);
    // The user asks for a switchover; both are told everything.
    const spec = (await store.read(specRecordName(CLUSTER)))!;
    await store.update(spec, withSpec(pair, { primary: 'pg2' }).record);
    const update = sinon.spy(store, 'update');
    old.look('records');
    reportAll(old, 2);
    await eventually(() => {
      const condition = old.status()?.conditions.find(({ type }) => type === 'ObjectsReady');
      expect(condition?.message).to.match(/does not lead any more/);
      return Promise.resolve();
    });
    expect(update.called).to.equal(false);
    expect((await state()).change).to.equal(null);
  });

  it('goes on where the leader before has stopped', async () => {
    await lead(2);
    const successor = await lead(3);
    const spec = (await store.read(specRecordName(CLUSTER)))!;
    await store.update(spec, withSpec(pair, { primary: 'pg2' }).record);
    successor.look('records');
    reportAll(successor, 2);
    await eventually(async () => {
      expect((await state()).change).to.include({ to: 'pg2', phase: 'checkpointing' });
    });
  });
});
