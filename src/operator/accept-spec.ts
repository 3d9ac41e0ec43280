/** The one door into the store for a spec, for `pgswarm apply` and for watched files alike. */
import { isDeepStrictEqual } from 'node:util';
import { type OtherCluster } from '../core/checks';
import { OperatingError } from '../core/errors';
import { CLUSTER_LABEL, specRecordName } from '../core/names';
import { type Spec, type SpecRecord, type SpecSource, upgradedSpec } from '../core/spec';
import { type Store, type StoredRecord } from '../core/ports';

export interface SpecOffer {
  readonly spec: Spec;
  readonly document: unknown;
  readonly source: SpecSource;
  /** Digest of the watched file; null for `apply`. */
  readonly digest: string | null;
  readonly now: string;
}

export interface Acceptance {
  readonly outcome: 'created' | 'changed' | 'unchanged';
  readonly generation: number;
}

/** Digests of this many contents of a watched file are remembered. */
const DIGESTS_MAX = 50;
/** Somebody else may write at the same time; more often than this is no coincidence. */
const TRIES_MAX = 5;

/**
 * Makes the offered spec the cluster's next generation, if it differs from the present one.
 * Throws OperatingError `refused` while the cluster is being deleted.
 */
export async function acceptSpec(store: Store, offer: SpecOffer): Promise<Acceptance> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await offerOnce(store, offer);
    } catch (error) {
      const isStale = error instanceof OperatingError && error.kind === 'stale';
      if (!isStale || attempt >= TRIES_MAX) throw error;
    }
  }
}

async function offerOnce(store: Store, offer: SpecOffer): Promise<Acceptance> {
  const { cluster } = offer.spec;
  const present = await store.read<SpecRecord>(specRecordName(cluster));
  if (present === null) {
    await store.create(specRecordName(cluster), recordOf(offer, 1, []), {
      [CLUSTER_LABEL]: cluster,
    });
    return { outcome: 'created', generation: 1 };
  }
  const { generation, appliedDigests, deletion } = present.value;
  if (deletion !== null) {
    const message = `the cluster ${cluster} is being deleted; apply it again when it is gone`;
    throw new OperatingError('refused', 'BeingDeleted', message);
  }
  if (isDeepStrictEqual(upgradedSpec(present.value).spec, offer.spec)) {
    await rememberDigest(store, present, offer.digest);
    return { outcome: 'unchanged', generation };
  }
  await store.update(present, recordOf(offer, generation + 1, appliedDigests));
  return { outcome: 'changed', generation: generation + 1 };
}

/** Every cluster in the store, for the checks across clusters: the cluster itself included. */
export async function otherClusters(store: Store): Promise<readonly OtherCluster[]> {
  const records = await store.list();
  return records.flatMap(({ name, value }) => {
    if (!name.endsWith('.spec')) return [];
    const { spec } = value as SpecRecord;
    return [{ ...spec, subnet: spec.network.subnet }];
  });
}

function recordOf(offer: SpecOffer, generation: number, digests: readonly string[]): SpecRecord {
  const { spec, document, source, now } = offer;
  const appliedDigests = withDigest(digests, offer.digest);
  return { generation, spec, document, source, appliedAt: now, appliedDigests, deletion: null };
}

const withDigest = (digests: readonly string[], digest: string | null): readonly string[] =>
  digest === null || digests.includes(digest) ? digests : [...digests, digest].slice(-DIGESTS_MAX);

async function rememberDigest(
  store: Store,
  present: StoredRecord<SpecRecord>,
  digest: string | null,
): Promise<void> {
  const appliedDigests = withDigest(present.value.appliedDigests, digest);
  if (appliedDigests === present.value.appliedDigests) return;
  await store.update(present, { ...present.value, appliedDigests });
}
