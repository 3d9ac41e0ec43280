import type { ArchivePauses } from './archive/pause';
import type { LoadResult, LoadTask } from './backup/load';
import type { BackupResult, BackupTask } from './backup/task';
import type { Lsn } from './lsn';
import type { RehearsalResult, RehearsalTask } from './restore/rehearsal';
import type { RestoreResult, RestoreTask } from './restore/task';
import type { Contract, Divergence, SyncSet } from './protocol';

/**
 * The cluster's record in the store: everything that must survive an operator, and nothing that
 * can be seen again. Only the operator's leader writes it, by compare-and-set.
 */
export interface ClusterState {
  readonly cluster: string;
  /** Made once at the first apply; keys and passwords are derived from it. */
  readonly uid: string;
  /** +1 whenever an operator takes over the leadership; makes the old leader's writes fail. */
  readonly leaderEpoch: number;
  /** +1 at every change of primary; 0 until the first primary is named. */
  readonly term: number;
  /** The one server that may accept writes in this term. */
  readonly primary: string | null;
  /** PostgreSQL's system identifier, once a first primary has been initialised or adopted. */
  readonly systemIdentifier: string | null;
  /** The server on which the cluster is being initialised; null before and after. */
  readonly initialising: string | null;
  /** What each server's data volume is known to hold; absent until it was first filled. */
  readonly volumes: Readonly<Record<string, KnownVolume>>;
  /** The timeline of the primary in this term; null until it was seen. */
  readonly timeline: number | null;
  /**
   * Under what the primary of this term is known to accept writes. null: perhaps without a lease,
   * so that its silence proves nothing. What the primary believes has always at least these peers.
   */
  readonly contract: Contract | null;
  readonly sync: SyncState;
  /** Unlike the spec's on purpose: a failover, or a promotion by hand, is not fought over. */
  readonly override: Override | null;
  /** A promotion that a person has asked for with a verb; null when it is done. */
  readonly request: PromotionRequest | null;
  /** Servers whose PostgreSQL is kept stopped by a person; sorted. */
  readonly fenced: readonly string[];
  /** Nothing is decided while it is set; leases go on. */
  readonly paused: Pause | null;
  /** PostgreSQL is restarted on these servers, one after the other. */
  readonly restart: Restart | null;
  /** How often the operator has begun to restart servers for a generation of the spec. */
  readonly rollouts: Rollouts | null;
  /** Where WAL is kept from being archived, and until when. */
  readonly archivePauses: ArchivePauses;
  /** The dump that is to be loaded into the primary. */
  readonly load: LoadTask | null;
  readonly lastLoad: LoadResult | null;
  /** The backup that is asked for, or being taken. */
  readonly backup: BackupTask | null;
  readonly lastBackup: BackupResult | null;
  /** The schedules that are followed, by name. */
  readonly schedules: Readonly<Record<string, ScheduleState>>;
  /** The restore on a copy that is asked for, or under way. */
  readonly rehearsal: RehearsalTask | null;
  readonly lastDrill: RehearsalResult | null;
  /** The schedule of drills that is followed. */
  readonly drillSchedule: ScheduleState | null;
  readonly lastPreview: RehearsalResult | null;
  /** A restore in place. */
  readonly restore: RestoreTask | null;
  readonly lastRestore: RestoreResult | null;
  /** Newest last, at most LOSSES_MAX. */
  readonly losses: readonly Loss[];
  /** +1 at every change that is begun; part of its id. */
  readonly changes: number;
  /** The change of role that is under way. */
  readonly change: RoleChange | null;
  /** The last switchover that was given up, so that it is not tried again at once. */
  readonly refusal: Refusal | null;
  readonly lastChange: LastChange | null;
  /** Newest last, at most EVENTS_MAX. */
  readonly events: readonly ClusterEvent[];
}

export interface KnownVolume {
  readonly volumeId: string;
}

/**
 * Everything is null in an asynchronous cluster. The sets differ only on the way from one to another:
 * a set that PostgreSQL has been told is not a guarantee before it is in force and caught up.
 */
export interface SyncState {
  /** What the primary is told. */
  readonly wanted: SyncSet | null;
  /** What is true of every acknowledged commit: at least `number` of the servers have it. */
  readonly guaranteed: SyncSet | null;
  /** `wanted` is in force, and is guaranteed as soon as it has everything up to here. */
  readonly barrier: Lsn | null;
}

export interface Override {
  /** +1 at each in a row. */
  readonly number: number;
  /** What the spec declared at that time: as soon as it declares another one, this is over. */
  readonly declared: string;
  readonly from: string;
  readonly to: string;
  readonly reason: string;
  readonly at: string;
}

export interface PromotionRequest {
  readonly to: string;
  readonly at: string;
  readonly by: string;
  /** A person has named the loss and accepted it: position and guarantees are not asked for. */
  readonly acceptsLoss: boolean;
  /** A person vouches that the old primary is dead: no proof is asked for. */
  readonly primaryIsDead: boolean;
}

export interface Pause {
  readonly since: string;
  readonly by: string;
}

export interface Restart {
  readonly id: string;
  /** Those that are still to be done, in order. */
  readonly servers: readonly string[];
  /** Absent: a person has asked for it. */
  readonly rollout?: Rollout;
}

/** A restart that the operator has begun by itself, for what takes effect in no other way. */
export interface Rollout {
  /** What for, in a clause: `max_connections is to take effect`. */
  readonly because: string;
  /**
   * The turn of the primary: `first` and in place, where standbys must not have less than it;
   * `relieved` by a standby, and restarted as one; or `last` and in place, where nobody can relieve it.
   */
  readonly primary: 'first' | 'relieved' | 'last';
}

export interface Rollouts {
  readonly generation: number;
  /** ISO 8601, of the first. */
  readonly since: string;
  readonly count: number;
}

/** A schedule of backups since it is followed: what was due before is not made up for. */
export interface ScheduleState {
  /** As it was declared; with another expression or time zone it is another schedule. */
  readonly schedule: string;
  readonly timeZone: string;
  /** The first moment of which nothing has come yet; null: there is none. */
  readonly nextDueAt: string | null;
  /** The last moment that a backup was asked for, and when that was. */
  readonly last: { readonly dueAt: string; readonly at: string } | null;
}

/** An entry of the loss ledger: first an estimate, exact when the old primary has rejoined. */
export interface Loss {
  /** The term that ended with it. */
  readonly term: number;
  readonly server: string;
  readonly at: string;
  /** What the old primary was known to have and the new one had not, in bytes of WAL. */
  readonly estimatedBytes: number | null;
  readonly measured: Divergence | null;
}

export type ChangePhase = 'electing' | 'checkpointing' | 'stopping' | 'promoting';

export interface RoleChange {
  /** `<term>.<number>`: never used twice. */
  readonly id: string;
  readonly kind: 'switchover' | 'failover' | 'restore';
  readonly from: string;
  /** The server that asked to be primary; null while a failover has not chosen yet. */
  readonly to: string | null;
  readonly phase: ChangePhase;
  /** Why, in a clause: `its lease is over`, `declared in generation 4`. */
  readonly reason: string;
  /**
   * Why the old primary of a failover cannot write any more, known before the roll call of this id
   * was asked for: what is answered to it is final. null while it may still write.
   */
  readonly harmless: string | null;
  /** What the old primary was last known to have. */
  readonly knownLsn: Lsn | null;
  /** The spec's generation that asked for it. */
  readonly generation: number;
  /** Wall clock, for people. Timeouts use the leader's own monotonic clock. */
  readonly startedAt: string;
  /** Where the old primary's WAL ends; known once it has stopped. */
  readonly shutdownLsn: Lsn | null;
}

export interface Refusal {
  readonly generation: number;
  readonly to: string;
  readonly because: string;
  readonly at: string;
  /** How often this generation's switchover was given up. */
  readonly attempts: number;
}

export interface LastChange {
  readonly kind: 'initialised' | 'adopted' | 'switchover' | 'failover' | 'restore';
  readonly from: string | null;
  readonly to: string;
  /** Time without a primary that accepts writes; null when no single leader saw all of it. */
  readonly writeGapMs: number | null;
  readonly lostBytes: number;
  readonly at: string;
}

export interface ClusterEvent {
  /** ISO 8601, the leader's wall clock. */
  readonly at: string;
  readonly term: number;
  /** Id of the rule that decided; the verb, when a person did. */
  readonly rule: string;
  readonly message: string;
  /** The spec that was in force; absent in what an earlier version has written. */
  readonly generation?: number;
  /** Who had applied that, or from where. */
  readonly appliedBy?: string;
  /** What was seen when a change of role was decided, a line for each server. */
  readonly evidence?: readonly string[];
}

/** The record of a cluster that has just been declared. */
export function initialState(cluster: string, uid: string, leaderEpoch: number): ClusterState {
  return {
    cluster,
    uid,
    leaderEpoch,
    term: 0,
    primary: null,
    systemIdentifier: null,
    initialising: null,
    volumes: {},
    timeline: null,
    contract: null,
    sync: { wanted: null, guaranteed: null, barrier: null },
    override: null,
    request: null,
    fenced: [],
    paused: null,
    restart: null,
    rollouts: null,
    archivePauses: {},
    load: null,
    lastLoad: null,
    backup: null,
    lastBackup: null,
    schedules: {},
    rehearsal: null,
    lastDrill: null,
    drillSchedule: null,
    lastPreview: null,
    restore: null,
    lastRestore: null,
    losses: [],
    changes: 0,
    change: null,
    refusal: null,
    lastChange: null,
    events: [],
  };
}

/** A record that an earlier version has written, with what it did not know yet. */
export function upgraded(record: ClusterState): ClusterState {
  return { ...initialState(record.cluster, record.uid, record.leaderEpoch), ...record };
}

/** Bound of `events`: a record stays far below Swarm's limit for a label. */
export const EVENTS_MAX = 100;
export const LOSSES_MAX = 20;
