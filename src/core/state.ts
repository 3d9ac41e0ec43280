import type { Lsn } from './lsn';

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

export type ChangePhase = 'checkpointing' | 'stopping' | 'promoting';

export interface RoleChange {
  /** `<generation>-<term>`: unique, because a change ends in a new term or a refusal of that generation. */
  readonly id: string;
  readonly kind: 'switchover';
  readonly from: string;
  readonly to: string;
  readonly phase: ChangePhase;
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
  readonly kind: 'initialised' | 'adopted' | 'switchover';
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
  /** Id of the rule that decided. */
  readonly rule: string;
  readonly message: string;
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
    change: null,
    refusal: null,
    lastChange: null,
    events: [],
  };
}

/** Bound of `events`: a record stays far below Swarm's limit for a label. */
export const EVENTS_MAX = 100;
