/**
 * What an instance manager and the leader say to each other. An instance reports what it is; the
 * answer says what it shall be. Both are whole pictures, never changes: any of them may be lost,
 * repeated or late, and the next one puts it right.
 */
import type { SegmentRange } from './archive/inventory';
import type { WindowReport } from './archive/window-report';
import type { BackupOrder } from './backup/backup';
import type { LoadOrder, LoadWork } from './backup/load';
import type { BackupSummary, BackupWork } from './backup/task';
import type { VolumeRoom } from './budget';
import type { Lsn } from './lsn';
import type { RestoreOrder } from './restore/bootstrap';
import type { RehearsalOrder, RehearsalWork } from './restore/rehearsal';
import type { ArchiveSpec, LateSpec, RetentionSpec } from './spec';
import type { RestoreProgress, RestoreProspect, RestoreWish } from './restore/task';
import type { TimelineLeft } from './timelines';

/** Time between two heartbeats when nothing happens. */
export const HEARTBEAT_MS = 1000;
/** A report older than this is not a fact any more: its server is `unknown`. */
export const REPORT_AGE_MAX_MS = 3500;
/** An instance waits this long for an answer before it asks the other operators. */
export const HEARTBEAT_TIMEOUT_MS = 1500;
/** A watch is answered after this long even when nothing changed. */
export const WATCH_TIMEOUT_MS = 20_000;

// ── instance → leader ────────────────────────────────────────────────────────────────────────

export interface Report {
  readonly cluster: string;
  readonly server: string;
  /** Random, one per start of the instance manager. */
  readonly bootId: string;
  /** +1 per report of a boot; a report that is not newer is ignored. */
  readonly sequence: number;
  /**
   * The assignment that this instance is acting on; null until the first one. With the task, since
   * "stopped" is a fact to build on only from an instance that has been told to stop: one that was
   * not may be starting PostgreSQL again while its report is on the way.
   */
  readonly obeys: {
    readonly leaderEpoch: number;
    readonly term: number;
    readonly task: Task['kind'];
    /** What a primary lives under, as it has understood it. */
    readonly contract: Contract | null;
    /** The positions and the state in this report were looked at after this was asked for. */
    readonly rollCall: string | null;
  } | null;
  /** Swarm's task of this container; null outside of Swarm. */
  readonly taskId: string | null;
  /** It will not be promoted for this long: promised to the primary, or it has only just started. */
  readonly promiseLeftMs: number | null;
  /** Told by Swarm to end: it wants to hand the role of primary over before it stops. */
  readonly isLeaving: boolean;
  /** The last restart of PostgreSQL that was asked for and is done. */
  readonly restartedFor: string | null;
  /** What this server's WAL held that the new primary's has not, measured when it rejoined. */
  readonly divergence: Divergence | null;
  readonly volume: VolumeReport;
  readonly postgres: PostgresReport;
  /** What it does not do of the settings that it was given; absent: an earlier version. */
  readonly settings?: SettingsReport;
  /** Long work under way, in words with a figure: `cloning from pg1, 120 of 300 MB`. */
  readonly busy: string | null;
  /** What keeps the instance from doing what it was told; it goes on trying, ever less often. */
  readonly problem: Problem | null;
  /** The last change for which a CHECKPOINT has been completed. */
  readonly checkpointedFor: string | null;
  /** Its own on the cluster's network; absent while it is not known. */
  readonly address?: string;
  /** Room in the data volume, running or not; null until it was seen. */
  readonly dataVolume: VolumeRoom | null;
  /** null while there is no archive: nothing to archive yet. */
  readonly archive: ArchiveReport | null;
  /** The order that it has, or had last. */
  readonly backup: BackupWork | null;
  /** The dump that it was told to load last; absent: none, or a version that cannot. */
  readonly load?: LoadWork | null;
  /** What its archive volume holds, oldest first. */
  readonly backups: readonly BackupSummary[];
  /** The restore on a copy that it was told to make, or was told last. */
  readonly rehearsal: RehearsalWork | null;
  /** What it has found out about the point that it was asked for, or was asked for last. */
  readonly prospect: RestoreProspect | null;
  /** A restored copy is in the place of its data, and the data from before beside it. */
  readonly restored: RestoreProgress | null;
}

export interface SettingsReport {
  /** Limits of a standby that it takes over with the next restart, once its primary has them so low. */
  readonly heldBack: readonly string[];
  /** PostgreSQL did not start with them, and runs with those from before. */
  readonly refused: Problem | null;
  /** The spec whose settings it has been told; null: it is about to be. Absent: nobody knows. */
  readonly generation?: number | null;
}

/** How the archiving of this server's WAL goes on. */
export interface ArchiveReport {
  /** The WAL file that was archived last, and when (ISO 8601). */
  readonly last: {
    readonly file: string;
    readonly at: string;
    /** Where the WAL in it ends; absent when it is no whole segment. */
    readonly endLsn?: Lsn;
  } | null;
  readonly failure: ArchiveFailure | null;
  /** Files that PostgreSQL has handed over and that are not archived yet. */
  readonly waiting: number;
  /** Archiving was paused by a person, for so long still. */
  readonly pausedLeftMs: number | null;
  /** Room in the archive volume; null when it could not be seen. */
  readonly room: VolumeRoom | null;
  /** null until it was looked for. */
  readonly window: WindowReport | null;
}

export interface ArchiveFailure extends Problem {
  readonly file: string;
  /** Since the first attempt that failed. */
  readonly forMs: number;
}

export type VolumeReport =
  /** Nothing but our own lock in it. */
  | { readonly kind: 'empty' }
  /** Ours, complete. */
  | { readonly kind: 'tagged'; readonly tag: VolumeTag }
  /** Something is in it that pgswarm has not put there for this server. */
  | { readonly kind: 'foreign'; readonly detail: string }
  /** Wrong owner, read-only, or another I/O error. */
  | { readonly kind: 'unusable'; readonly detail: string };

/** `pgswarm.json` in the data volume, written before the data directory gets its final name. */
export interface VolumeTag {
  readonly cluster: string;
  readonly server: string;
  readonly systemIdentifier: string;
  readonly volumeId: string;
}

/** What `pg_controldata` says of a data directory that is not running. */
export interface ControlData {
  readonly systemIdentifier: string;
  readonly timeline: number;
  /** `shut down`, `shut down in recovery`, `in production`, `in archive recovery`, … */
  readonly clusterState: string;
  /** REDO position of the latest checkpoint; after a clean stop of a primary the shutdown checkpoint's own. */
  readonly checkpointLsn: Lsn;
  /** Furthest position known to be in this directory's WAL. */
  readonly endLsn: Lsn;
}

export type PostgresReport =
  | {
      readonly state: 'stopped';
      /** null when there is no data directory. */
      readonly control: ControlData | null;
      /** Whether it would start as a standby: `standby.signal` is there. */
      readonly standbySignal: boolean;
    }
  /** `unknown`: it runs, but does not answer. */
  | { readonly state: 'stopping' | 'unknown' }
  | {
      readonly state: 'starting';
      /** WAL that a crash recovery has to replay first; null when it is no crash, or not known. */
      readonly recoveryBytes: number | null;
    }
  | PrimaryReport
  | StandbyReport;

export interface PrimaryReport {
  readonly state: 'primary';
  readonly systemIdentifier: string;
  readonly timeline: number;
  /** `pg_current_wal_flush_lsn()`. */
  readonly lsn: Lsn;
  readonly standbys: readonly StreamingStandby[];
  /** `synchronous_standby_names`; null for a second after a start or a reload. */
  readonly syncNames: string | null;
  /** Surely all of PostgreSQL has them in force; while a checkpoint is busy that is not known. */
  readonly isSyncInForce: boolean;
  readonly pendingRestart: readonly string[];
  /** Room in the data volume; absent when it could not be seen. */
  readonly freeBytes?: number;
}

/** A row of `pg_stat_replication`, by the standby's server name. */
export interface StreamingStandby {
  readonly server: string;
  readonly state: 'startup' | 'catchup' | 'streaming' | 'backup' | 'stopping';
  readonly sentLsn: Lsn | null;
  readonly flushedLsn: Lsn | null;
  readonly replayedLsn: Lsn | null;
}

export interface StandbyReport {
  readonly state: 'standby';
  /** It accepts no connections (`hot_standby = off`): what is known is from its files. */
  readonly isWarm?: true;
  readonly systemIdentifier: string;
  readonly timeline: number;
  readonly receivedLsn: Lsn | null;
  readonly replayedLsn: Lsn;
  /** The furthest end of the upstream's WAL that it has heard of since PostgreSQL was started. */
  readonly upstreamLsn: Lsn | null;
  /** From `pg_stat_wal_receiver`; null when it does not run. */
  readonly receiver: { readonly status: string; readonly host: string } | null;
  readonly pendingRestart: readonly string[];
  /** Room in the data volume; absent when it could not be seen. */
  readonly freeBytes?: number;
}

export interface Problem {
  /** Stable word for conditions: `PortInUse`, `DataVolumeFull`, `CloneFailed`, `StartFailed`, … */
  readonly reason: string;
  /** What was attempted, on what, why it failed, what to do. */
  readonly message: string;
}

/** WAL of an old primary beyond the point where the new timeline begins. */
export interface Divergence {
  /** The term in which the server was primary, as far as it knew. */
  readonly term: number;
  readonly timeline: number;
  readonly fromLsn: Lsn;
  readonly toLsn: Lsn;
  readonly bytes: number;
  /** Committed transactions in it. */
  readonly transactions: number;
  /** ISO 8601, of the first and the last commit; null without one. */
  readonly firstCommitAt: string | null;
  readonly lastCommitAt: string | null;
  /** Folder in the data volume into which the WAL was put aside. */
  readonly keptIn: string;
}

/** What an archive volume has of one database's WAL. */
export interface ArchiveHoldings {
  readonly systemIdentifier: string;
  /** Whole segments. */
  readonly ranges: readonly SegmentRange[];
  /** The history of every timeline of which the archive has one. */
  readonly histories: Readonly<Record<number, readonly TimelineLeft[]>>;
}

// ── leader → instance ────────────────────────────────────────────────────────────────────────

export interface Assignment {
  readonly cluster: string;
  readonly server: string;
  /** An instance ignores an assignment with an older epoch or term than the last it has obeyed. */
  readonly leaderEpoch: number;
  readonly term: number;
  readonly task: Task;
  readonly settings: InstanceSettings;
  /** Of the spec that the settings are from; absent: an operator that does not say it. */
  readonly generation?: number;
  /** Length of the leases in this cluster; an instance that has just started waits as long. */
  readonly ttlMs: number;
  /**
   * Look anew and report it with this id. Until it is taken back the instance gives no promise to
   * the primary: whoever counts the votes must be sure that no one changes his mind.
   */
  readonly rollCall: string | null;
  /** Every other server of the spec: their archives and this one's complete each other. */
  readonly others: readonly string[];
  /** A backup to be taken, once. */
  readonly backup: BackupOrder | null;
  /** A restore on a copy to be made, once; a preview is kept as long as it is wanted. */
  readonly rehearsal: RehearsalOrder | null;
  /** A point in time: whether this server's archive leads there. */
  readonly prospect: RestoreWish | null;
  /** A dump to be loaded, once. */
  readonly load?: LoadOrder | null;
  /** Time between reports: shorter while a change of role waits for this instance. */
  readonly reportEveryMs: number;
}

export type Task =
  /** Start nothing, stop nothing that runs as a standby; a primary that runs is left alone. */
  | { readonly kind: 'wait'; readonly because: string }
  /** Fill an empty volume, tag it with this id, do not start: by `initdb`, or from an archive. */
  | { readonly kind: 'initialise'; readonly volumeId: string; readonly restore?: RestoreOrder }
  /** Clone into an empty volume, tag it with this id, do not start. */
  | { readonly kind: 'clone'; readonly volumeId: string; readonly from: Upstream }
  /** Run and accept writes: start, or promote what runs as a standby. */
  | {
      readonly kind: 'primary';
      /** Slots that must exist; other slots of ours that are inactive are dropped. */
      readonly slots: readonly string[];
      /** Do a CHECKPOINT for this change, once, and report it. */
      readonly checkpointFor: string | null;
      /** null: no lease is needed (`failover.mode: manual`). */
      readonly contract: Contract | null;
      readonly sync: SyncSet | null;
      /** Restart PostgreSQL for this request, once, and report it. */
      readonly restartFor: string | null;
      /**
       * The restore that was accepted: its copy is the data now. Any other gives way to the data
       * from before.
       */
      readonly accepted?: string;
    }
  /** Run as a standby of the upstream. */
  | {
      readonly kind: 'standby';
      readonly upstream: Upstream;
      /** Slots that are mirrored here, so that none is lost when this server is promoted. */
      readonly slots: readonly string[];
      /** In force from the first commit after a promotion, and without effect before. */
      readonly sync: SyncSet | null;
      readonly restartFor: string | null;
    }
  /** Run on a copy that was brought up to a point, apart from everybody; set the data aside. */
  | { readonly kind: 'restored'; readonly order: RestoreWish }
  /** Be stopped, orderly, and report where the WAL ends. */
  | { readonly kind: 'stop'; readonly because: string };

/** Under what a primary may accept writes. */
export interface Contract {
  /** Longest lease, and longest promise. */
  readonly ttlMs: number;
  /** Servers that may be promoted: all of them must promise when no leader answers. Sorted. */
  readonly peers: readonly string[];
}

/** A commit is acknowledged when `number` of these servers have it; names sorted. */
export interface SyncSet {
  readonly number: number;
  readonly names: readonly string[];
}

/** The answer to a heartbeat. */
export interface HeartbeatAnswer {
  readonly assignment: Assignment;
  /** The primary may accept writes for this long after it has sent its report; null: no lease. */
  readonly leaseMs: number | null;
  /** How far each standby's WAL is on disk, as the primary has last reported; to advance slots. */
  readonly positions: Readonly<Record<string, Lsn>>;
  /** Nothing is to be archived for this long; null: archiving goes on. */
  readonly archivePauseMs: number | null;
}

export interface Upstream {
  readonly server: string;
  /** Docker host name on the cluster's network. */
  readonly host: string;
  /** Where it is by its own word; absent: whoever connects looks the name up. */
  readonly address?: string;
  readonly port: number;
  /** This instance's own slot on the upstream; null: it does not stream, the archives feed it. */
  readonly slot: string | null;
  readonly systemIdentifier: string;
}

/** The part of the spec from which an instance renders its configuration. */
export interface InstanceSettings {
  readonly parameters: Readonly<Record<string, string>>;
  readonly hba: readonly string[];
  readonly subnet: string;
  readonly database: string;
  readonly owner: string;
  readonly archive: ArchiveSpec;
  readonly retention: RetentionSpec;
  /** Absent while it is primary. */
  readonly late?: LateSpec;
  /** Nobody but the superuser, in the container, may connect. */
  readonly isIsolated?: true;
}

// ── primary → peer ───────────────────────────────────────────────────────────────────────────

/** A primary that no leader answers asks every peer: do not be promoted for this long. */
export interface PromiseRequest {
  readonly cluster: string;
  /** The primary that asks. */
  readonly from: string;
  readonly to: string;
  readonly term: number;
  readonly forMs: number;
}

export type PromiseAnswer =
  { readonly promised: true } | { readonly promised: false; readonly because: string };

/** Answer of an operator that does not lead. */
export interface NotLeader {
  readonly notLeader: true;
  /** `host:port` of the leader, when known. */
  readonly leader: string | null;
}
