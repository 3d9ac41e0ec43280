/**
 * A cluster's records in the store, as one leader has read or written them last. Between a write
 * and its answer nobody knows what the record says: a leader that went on by its old copy could
 * grant a lease to a primary that its own write has just taken the role from.
 */
import { OperatingError } from '../core/errors';
import { CLUSTER_LABEL, specRecordName, stateRecordName } from '../core/names';
import { type Store, type StoredRecord } from '../core/ports';
import { upgradedSpec, type SpecRecord } from '../core/spec';
import { upgraded, type ClusterState } from '../core/state';

/** After so long an answer is taken for lost; Raft elects, and another leader may be about to. */
const CALL_MAX_MS = 4_000;

export interface ClusterRecordsPorts {
  readonly cluster: string;
  readonly store: Store;
  /** Throws when this operator may not write any more. */
  readonly assertLeading: (state: ClusterState) => void;
}

export class ClusterRecords {
  readonly #ports: ClusterRecordsPorts;
  #spec: StoredRecord<SpecRecord> | null = null;
  #state: StoredRecord<ClusterState> | null = null;
  #isStale = true;
  #isCertain = true;
  /** A write may still be on its way. */
  #isUnsettled = false;

  constructor(ports: ClusterRecordsPorts) {
    this.#ports = ports;
  }

  get spec(): StoredRecord<SpecRecord> | null {
    return this.#spec;
  }

  get state(): ClusterState | null {
    return this.#state?.value ?? null;
  }

  /** Nothing of our own is on its way: leases may be granted by what is known here. */
  get isCertain(): boolean {
    return this.#isCertain;
  }

  /** Somebody has written, or may have: read again before the next decision. */
  stale(): void {
    this.#isStale = true;
  }

  async refresh(): Promise<void> {
    if (!this.#isStale) return;
    this.#isStale = false;
    try {
      await this.#read();
    } catch (error) {
      this.#isStale = true;
      throw error;
    }
  }

  /** By compare-and-set; rejects with `stale` when anybody has written since it was read. */
  async write(next: ClusterState): Promise<void> {
    this.#isCertain = false;
    try {
      this.#state = await answered(this.#put(next));
      this.#isCertain = true;
    } catch (error) {
      this.#isStale = true;
      this.#isUnsettled ||= !(error instanceof OperatingError) || error.kind !== 'stale';
      throw error;
    }
  }

  async remove(): Promise<void> {
    const { store } = this.#ports;
    if (this.#state !== null) await store.remove(this.#state);
    if (this.#spec !== null) await store.remove(this.#spec);
  }

  async #put(next: ClusterState): Promise<StoredRecord<ClusterState>> {
    const { store, cluster } = this.#ports;
    return this.#state === null
      ? await store.create(stateRecordName(cluster), next, { [CLUSTER_LABEL]: cluster })
      : await store.update(this.#state, next);
  }

  async #read(): Promise<void> {
    const { store, cluster } = this.#ports;
    const spec = await answered(store.read<SpecRecord>(specRecordName(cluster)));
    this.#spec = spec === null ? null : { ...spec, value: upgradedSpec(spec.value) };
    const state = await answered(store.read<ClusterState>(stateRecordName(cluster)));
    this.#state = state === null ? null : { ...state, value: upgraded(state.value) };
    if (this.#isUnsettled && this.#state !== null) await this.#settle(this.#state);
    this.#isUnsettled = false;
    this.#isCertain = true;
  }

  /** A write that is still on its way names a version that is gone once this one has counted. */
  async #settle(state: StoredRecord<ClusterState>): Promise<void> {
    this.#ports.assertLeading(state.value);
    this.#state = await answered(this.#ports.store.update(state, state.value));
  }
}

async function answered<T>(answer: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      const message = `Swarm's store has not answered for ${CALL_MAX_MS / 1000} s`;
      reject(new OperatingError('transient', 'StoreTimeout', message));
    }, CALL_MAX_MS);
  });
  try {
    return await Promise.race([answer, late]);
  } finally {
    clearTimeout(timer);
  }
}
