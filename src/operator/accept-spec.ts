/** The one door into the store for a spec, for `pgswarm apply` and for watched files alike. */
import { isDeepStrictEqual } from 'node:util';
import { type OtherCluster } from '../core/checks';
import { OperatingError } from '../core/errors';
import { type Followed } from '../core/git/source';
import { CLUSTER_LABEL, specRecordName } from '../core/names';
import { type Spec, type SpecRecord, type SpecSource, upgradedSpec } from '../core/spec';
import { type Store, type StoredRecord } from '../core/ports';

export interface SpecOffer {
  readonly spec: Spec;
  readonly document: unknown;
  readonly source: SpecSource;
  /** Digest of the watched file; null for `apply`. */
  readonly digest: string | null;
  /** What it was taken from in a Git repository, and what was known there before: `from` was judged
   * to come after `after`, and is not taken after anything else. */
  readonly commit?: { readonly from: Followed; readonly after: Followed | null };
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
  requireOrder(offer, present?.value ?? null);
  if (present === null) {
    await store.create(specRecordName(cluster), recordOf(offer, 1, null), {
      [CLUSTER_LABEL]: cluster,
    });
    return { outcome: 'created', generation: 1 };
  }
  const { generation, deletion } = present.value;
  if (deletion !== null) {
    const message = `the cluster ${cluster} is being deleted; apply it again when it is gone`;
    throw new OperatingError('refused', 'BeingDeleted', message);
  }
  if (isDeepStrictEqual(upgradedSpec(present.value).spec, offer.spec)) {
    await remember(store, present, offer);
    return { outcome: 'unchanged', generation };
  }
  await store.update(present, recordOf(offer, generation + 1, present.value));
  return { outcome: 'changed', generation: generation + 1 };
}

/** Another leader may have taken a later commit meanwhile. */
function requireOrder({ commit }: SpecOffer, present: SpecRecord | null): void {
  if (commit === undefined || isDeepStrictEqual(commit.after, present?.followed ?? null)) return;
  const message = 'another commit was taken meanwhile; it is looked at again';
  throw new OperatingError('stale', 'CommitOutrun', message);
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

function recordOf(offer: SpecOffer, generation: number, before: SpecRecord | null): SpecRecord {
  const { spec, document, source, now } = offer;
  const known = knownOf(offer, before);
  return { generation, spec, document, source, appliedAt: now, ...known, deletion: null };
}

/** What is remembered of where specs came from, whatever comes next. */
function knownOf(
  { digest, commit }: SpecOffer,
  before: SpecRecord | null,
): Pick<SpecRecord, 'appliedDigests' | 'followed'> {
  const followed = commit?.from ?? before?.followed;
  return {
    appliedDigests: withDigest(before?.appliedDigests ?? [], digest),
    ...(followed === undefined ? {} : { followed }),
  };
}

const withDigest = (digests: readonly string[], digest: string | null): readonly string[] =>
  digest === null || digests.includes(digest) ? digests : [...digests, digest].slice(-DIGESTS_MAX);

async function remember(
  store: Store,
  present: StoredRecord<SpecRecord>,
  offer: SpecOffer,
): Promise<void> {
  const next = { ...present.value, ...knownOf(offer, present.value) };
  if (!isDeepStrictEqual(next, present.value)) await store.update(present, next);
}
