/**
 * A write counts and its answer is lost: until the record has been read and written again, so that
 * nothing of it can be on its way any more, no lease may be granted by what is known. The simulation
 * found two primaries here (seed 19).
 */
import { expect } from 'chai';
import { OperatingError } from '../../src/core/errors';
import { specRecordName, stateRecordName } from '../../src/core/names';
import { type StoredRecord } from '../../src/core/ports';
import { initialState, type ClusterState } from '../../src/core/state';
import { ClusterRecords } from '../../src/operator/cluster-records';
import { MemoryStore } from '../support/memory-store';
import { empty } from '../support/world';

const CLUSTER = 'orders';

describe('the records of a cluster', () => {
  let store: MemoryStore;
  let records: ClusterRecords;
  let isLeading: boolean;
  const before = initialState(CLUSTER, 'uid', 1);
  const after: ClusterState = { ...before, term: 7 };

  beforeEach(async () => {
    store = new MemoryStore();
    isLeading = true;
    await store.create(specRecordName(CLUSTER), empty().record);
    await store.create(stateRecordName(CLUSTER), before);
    records = new ClusterRecords({
      cluster: CLUSTER,
      store,
      assertLeading: () => {
        if (!isLeading) throw new OperatingError('refused', 'NotLeading', 'another one leads');
      },
    });
    await records.refresh();
  });

  /** The write counts, and its answer is lost. */
  async function losingTheAnswer(): Promise<StoredRecord<unknown>> {
    const known = (await store.read(stateRecordName(CLUSTER)))!;
    const update = store.update.bind(store);
    store.update = async (record, value) => {
      await update(record, value);
      throw new OperatingError('transient', 'StoreTimeout', 'no answer');
    };
    const failure = await records.write(after).catch((error: unknown) => error);
    store.update = update;
    expect(failure).to.be.instanceOf(OperatingError);
    return known;
  }

  it('are certain when a write was answered', async () => {
    await records.write(after);
    expect(records.isCertain).to.equal(true);
    expect(records.state!.term).to.equal(7);
  });

  it('are not certain until a lost write has been settled by another one', async () => {
    const version = (await losingTheAnswer()).version;
    expect(records.isCertain).to.equal(false);
    await records.refresh();
    expect(records.isCertain).to.equal(true);
    expect(records.state!.term).to.equal(7);
    const now = (await store.read(stateRecordName(CLUSTER)))!;
    expect(now.version, 'whatever is on its way names a version that is gone').to.be.greaterThan(
      version + 1,
    );
  });

  it('are read again, and not written, by who does not lead any more', async () => {
    await losingTheAnswer();
    isLeading = false;
    const failure = await records.refresh().catch((error: unknown) => error);
    expect(failure).to.be.instanceOf(OperatingError);
    expect(records.isCertain).to.equal(false);
  });

  it('are certain again after a race that was lost, without another write', async () => {
    const known = (await store.read(stateRecordName(CLUSTER)))!;
    const other = await store.update(known, { ...before, term: 3 });
    await records.write(after).catch(() => undefined);
    await records.refresh();
    expect(records.state!.term).to.equal(3);
    expect((await store.read(stateRecordName(CLUSTER)))!.version).to.equal(other.version);
  });
});
