import { expect } from 'chai';
import { OperatingError } from '../../src/core/errors';
import { specRecordName } from '../../src/core/names';
import { type Spec, type SpecRecord } from '../../src/core/spec';
import { acceptSpec, otherClusters, type SpecOffer } from '../../src/operator/accept-spec';
import { MemoryStore } from '../support/memory-store';
import { spec } from '../support/world';

const offer = (changes: Partial<Spec> = {}, digest: string | null = null): SpecOffer => ({
  spec: spec(changes),
  document: {},
  source: { kind: 'apply', by: 'test' },
  digest,
  now: '2026-01-01T00:00:00.000Z',
});

describe('accepting a spec', () => {
  let store: MemoryStore;
  beforeEach(() => {
    store = new MemoryStore();
  });

  const record = async (): Promise<SpecRecord> =>
    (await store.read<SpecRecord>(specRecordName('orders')))!.value;

  it('numbers what is new, and only that', async () => {
    expect(await acceptSpec(store, offer())).to.deep.equal({ outcome: 'created', generation: 1 });
    expect(await acceptSpec(store, offer())).to.deep.equal({ outcome: 'unchanged', generation: 1 });
    const moved = await acceptSpec(store, offer({ primary: 'pg2' }));
    expect(moved).to.deep.equal({ outcome: 'changed', generation: 2 });
    expect((await record()).spec.primary).to.equal('pg2');
  });

  it('remembers which contents of a watched file were applied', async () => {
    await acceptSpec(store, offer({}, 'one'));
    await acceptSpec(store, offer({ primary: 'pg2' }, 'two'));
    await acceptSpec(store, offer({ primary: 'pg2' }, 'three'));
    await acceptSpec(store, offer({ primary: 'pg1' }));
    expect((await record()).appliedDigests).to.deep.equal(['one', 'two', 'three']);
  });

  it('is refused while the cluster is being deleted', async () => {
    await acceptSpec(store, offer());
    const present = (await store.read<SpecRecord>(specRecordName('orders')))!;
    await store.update(present, { ...present.value, deletion: { removeVolumes: false } });
    const error: unknown = await acceptSpec(store, offer({ primary: 'pg2' })).catch(
      (reason: unknown) => reason,
    );
    expect(error).to.be.instanceOf(OperatingError).with.property('code', 'BeingDeleted');
  });

  it('goes on when somebody else writes at the same time', async () => {
    await acceptSpec(store, offer());
    const outcomes = await Promise.all([
      acceptSpec(store, offer({ primary: 'pg2' })),
      acceptSpec(store, offer({ image: 'other:1' })),
    ]);
    expect(outcomes.map(({ generation }) => generation).toSorted()).to.deep.equal([2, 3]);
  });

  it('shows the other clusters for the checks between them', async () => {
    await acceptSpec(store, offer());
    expect(await otherClusters(store)).to.have.length(1);
    expect((await otherClusters(store))[0]).to.include({
      cluster: 'orders',
      subnet: '10.0.200.0/24',
    });
  });
});
