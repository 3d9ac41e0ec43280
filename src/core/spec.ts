import { type Commit, type Followed } from './git/source';
import { type RestoreOrder } from './restore/bootstrap';

/**
 * What the user wants, defaults applied, durations in milliseconds and sizes in bytes.
 * Written by `withDefaults`; everything after it reads this type and never the YAML.
 */
export interface Spec {
  /** `metadata.name`: at most 30 characters, a DNS label. */
  readonly cluster: string;
  /** Image of the instances; `null` means the operator's own image. */
  readonly image: string | null;
  readonly postgres: PostgresSpec;
  readonly network: { readonly subnet: string };
  /** The declared primary: the user's intent, not necessarily the server that is primary now. */
  readonly primary: string;
  /** Sorted by name; at least one. */
  readonly servers: readonly ServerSpec[];
  /** Where the first data comes from; absent: the cluster begins empty. */
  readonly bootstrap?: { readonly restore: RestoreOrder };
  readonly switchover: {
    /** A target that is further behind than this is refused. */
    readonly lagBytesMax: number;
    /** How long writes may be stopped before the old primary starts again. */
    readonly timeoutMs: number;
  };
  readonly replication: {
    /** null: asynchronous. */
    readonly synchronous: SynchronousSpec | null;
  };
  readonly failover: {
    readonly mode: 'manual' | 'automatic';
    /** Length of the primary's lease. */
    readonly ttlMs: number;
    /** A candidate that is known to miss more than this is not promoted. */
    readonly lagBytesMax: number;
    /** Wait so much longer once the primary is known to be gone. */
    readonly delayMs: number;
    /** Of two equal candidates the higher one is promoted; 0 is never promoted. */
    readonly priorities: Readonly<Record<string, number>>;
    /** `auto` moves the role back to the declared primary after `failbackAfterMs`; `adopt` commits the
     * new primary to the Git repository that the spec comes from. */
    readonly failback: 'hold' | 'auto' | 'adopt';
    readonly failbackAfterMs: number;
  };
  readonly update: UpdateSpec;
  readonly archive: ArchiveSpec;
  readonly backup: BackupSpec;
  /** Absent: the cluster goes on when its file is gone from the Git repository. */
  readonly deletionPolicy?: 'delete';
}

/** How what needs a restart, or a new container, is brought to the servers. */
export interface UpdateSpec {
  /** `supervised`: only the standbys by themselves; the primary's turn is a person's decision. */
  readonly primary: 'automatic' | 'supervised';
}

export interface ArchiveSpec {
  readonly compression: Compression;
  /** A segment that is not full is archived after this long; 0: never. */
  readonly timeoutMs: number;
}

export interface BackupSpec {
  readonly retention: RetentionSpec;
  /** In the user's order. */
  readonly schedules: readonly ScheduleSpec[];
  /** Absent: drills are made when a person asks for one, and nothing is asked of the data. */
  readonly drill?: DrillSpec;
}

export interface DrillSpec {
  /** Five fields, as in a crontab; null: never by itself. */
  readonly schedule: string | null;
  /** IANA name. */
  readonly timeZone: string;
  /** Must say true of what was restored. */
  readonly query: string | null;
  /** null: a standby if there is one. */
  readonly server: string | null;
}

/** Nothing is thrown away while both are null. */
export interface RetentionSpec {
  /** So many usable backups, the newest. */
  readonly keep: number | null;
  /** Every point since then stays reachable. */
  readonly maxAgeMs: number | null;
}

export interface ScheduleSpec {
  readonly name: string;
  /** Five fields, as in a crontab. */
  readonly schedule: string;
  /** IANA name. */
  readonly timeZone: string;
  readonly method: 'base' | 'dump' | 'snapshot';
  readonly incremental: boolean;
  /** null: a standby if there is one. */
  readonly server: string | null;
  readonly suspend: boolean;
}

export type Compression = 'zstd' | 'lz4' | 'gzip' | 'none';

export interface SynchronousSpec {
  /** `any`: any `number` of the standbys; `first`: those of highest priority. */
  readonly mode: 'any' | 'first';
  readonly number: number;
  /** `preferred`: without enough standbys writes go on, and may be lost by a failover. */
  readonly durability: 'required' | 'preferred';
}

export interface PostgresSpec {
  readonly version: 17;
  /** The user's own settings; operator-owned ones have been refused by the checks. */
  readonly parameters: Readonly<Record<string, string>>;
  /** `pg_hba.conf` lines after the operator's own ones. */
  readonly hba: readonly string[];
  /** Database created with the cluster, and the role that owns it. */
  readonly database: string;
  readonly owner: string;
}

export interface ServerSpec {
  readonly name: string;
  readonly node: NodeSelector;
  /** Published on the node in host mode; PostgreSQL itself always listens on 5432 in its container. */
  readonly port: number;
  /** Absent: it streams, and stands by to take over. */
  readonly late?: LateSpec;
}

/** A standby that is late on purpose: never promoted by itself, and no commit waits for it. */
export interface LateSpec {
  /** `archive`: it is fed from the archives alone. */
  readonly replication: 'streaming' | 'archive';
  /** Answers queries; never false of one that streams. */
  readonly hotStandby: boolean;
  /** Every commit is replayed so much later than it was made; 0: as soon as it is there. */
  readonly applyDelayMs: number;
}

/** Exactly one of the three. */
export type NodeSelector =
  | { readonly hostname: string }
  | { readonly id: string }
  | { readonly labels: Readonly<Record<string, string>> };

/** A spec as it is kept in the store. */
export interface SpecRecord {
  /** +1 at every accepted change. */
  readonly generation: number;
  readonly spec: Spec;
  /** The document as the user wrote it, parsed. */
  readonly document: unknown;
  readonly source: SpecSource;
  /** ISO 8601. */
  readonly appliedAt: string;
  /** Digests of the watched file's contents that were applied before, newest last: an operator that
   * takes over with an old copy of the file must not move the primary back. */
  readonly appliedDigests: readonly string[];
  /** What was taken from a Git repository last; absent: nothing ever was. */
  readonly followed?: Followed;
  /** Set by `pgswarm delete`: the operator removes the cluster's objects, then the records. */
  readonly deletion: { readonly removeVolumes: boolean } | null;
}

export type SpecSource =
  | { readonly kind: 'apply'; readonly by: string }
  | { readonly kind: 'file'; readonly path: string }
  | { readonly kind: 'git'; readonly path: string; readonly commit: Commit };

/** A record that an earlier version has written, with what it did not know yet. */
export function upgradedSpec(record: SpecRecord): SpecRecord {
  const since: Pick<Spec, 'backup' | 'update'> = {
    backup: { retention: { keep: null, maxAgeMs: null }, schedules: [] },
    update: { primary: 'automatic' },
  };
  return { ...record, spec: { ...since, ...record.spec } };
}
