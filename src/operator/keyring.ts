/**
 * Every cluster's derived keys, found by its name. Followers need them too: an instance believes
 * "I do not lead" only when it is signed.
 */
import {
  controlKey,
  deriveOperatorKey,
  derivePageToken,
  deriveSecrets,
  fingerprints,
  readRootKey,
  type ClusterSecrets,
} from '../adapters/keys';
import { stateRecordName } from '../core/names';
import { type ClusterState } from '../core/state';
import { type Clock, type Store } from '../core/ports';

/** A cluster that was deleted and made anew has another uid; followers find out this late. */
const UID_AGE_MAX_MS = 5_000;

interface KnownSecrets {
  readonly secrets: ClusterSecrets;
  readonly fingerprints: ClusterSecrets;
}

interface KnownUid {
  readonly uid: string | null;
  readonly readAtMs: number;
}

export class Keyring {
  readonly rootKey: Buffer | null = readRootKey();
  readonly #ports: { readonly store: Store; readonly clock: Clock };
  readonly #uids = new Map<string, KnownUid>();
  /** Derived once: they are asked for with every report. */
  readonly #secrets = new Map<string, KnownSecrets>();

  constructor(ports: { readonly store: Store; readonly clock: Clock }) {
    this.#ports = ports;
  }

  /** Signs what one operator passes on to another; null while there is no root key. */
  get operatorKey(): Buffer | null {
    return this.rootKey === null ? null : deriveOperatorKey(this.rootKey);
  }

  /** Opens the web page; null while there is no root key. */
  pageToken(salt: string): string | null {
    return this.rootKey === null ? null : derivePageToken(this.rootKey, salt);
  }

  secrets(cluster: string, uid: string): ClusterSecrets | null {
    return this.#known(cluster, uid)?.secrets ?? null;
  }

  fingerprints(cluster: string, uid: string): ClusterSecrets | null {
    return this.#known(cluster, uid)?.fingerprints ?? null;
  }

  /** The control key; `knownUid` is the leader's own knowledge, others ask the store. */
  async controlKey(cluster: string, knownUid: string | null): Promise<Buffer | null> {
    const uid = knownUid ?? (await this.#uidOf(cluster));
    const secrets = uid === null ? null : this.secrets(cluster, uid);
    return secrets === null ? null : controlKey(secrets);
  }

  #known(cluster: string, uid: string): KnownSecrets | null {
    if (this.rootKey === null) return null;
    const name = `${cluster} ${uid}`;
    const before = this.#secrets.get(name);
    if (before !== undefined) return before;
    const secrets = deriveSecrets(this.rootKey, cluster, uid);
    const known = { secrets, fingerprints: fingerprints(secrets) };
    this.#secrets.set(name, known);
    return known;
  }

  async #uidOf(cluster: string): Promise<string | null> {
    const nowMs = this.#ports.clock.monotonicMs();
    const known = this.#uids.get(cluster);
    if (known !== undefined && nowMs - known.readAtMs < UID_AGE_MAX_MS) return known.uid;
    const record = await this.#ports.store
      .read<ClusterState>(stateRecordName(cluster))
      // While Raft has no leader, what was known before is as good as ever.
      .catch(() => (known?.uid == null ? null : { value: { uid: known.uid } }));
    const uid = record?.value.uid ?? null;
    this.#uids.set(cluster, { uid, readAtMs: nowMs });
    return uid;
  }
}
