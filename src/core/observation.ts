/** What can be seen. Everything carries when it was seen; what was not seen is absent, not false. */
import type { Report } from './protocol';

/** Times are the observer's own monotonic clock, in milliseconds. */
export interface Observation {
  /** Newest report of each instance, by server. */
  readonly reports: Readonly<Record<string, SeenReport>>;
  /** null until Swarm has answered once. */
  readonly swarm: SwarmSeen | null;
  /** Since when this leader has seen the change of role in its present phase. */
  readonly phaseSinceMs: number | null;
  /** Time from the stop of the old primary until the new one reported, when this leader saw both. */
  readonly writeGapMs: number | null;
  /** What the primary of this term may believe that it holds; those that are over may be left out. */
  readonly grants: readonly Grant[];
  /** When this leader last heard that the primary accepts writes; null: never in this term. */
  readonly acceptedAtMs: number | null;
  /** Since when this leader hears, without a break, that the primary has its task; null: it does not. */
  readonly obeyingSinceMs: number | null;
  /** Since when this leader has seen each standby stream without a break. */
  readonly streamingSinceMs: Readonly<Record<string, number>>;
  /** Since when this leader has seen each standby not get to where the primary's archive ended then. */
  readonly lateSinceMs: Readonly<Record<string, number>>;
  /** Services that this leader has updated, with the boot that reported then; absent: none. */
  readonly updates?: Readonly<Record<string, UpdateMade>>;
  /** Servers whose volumes this leader has removed, while the cluster is being deleted. */
  readonly volumesRemoved: readonly string[];
  /** Since when this leader leads: what has not been heard of may only be about to speak. */
  readonly leadingSinceMs: number;
}

/** The old container goes on for a moment after Swarm has been told to replace it. */
export interface UpdateMade {
  readonly atMs: number;
  readonly bootId: string | null;
}

/** A lease as its grantor sees it. */
export interface Grant {
  /** On the leader's clock, never earlier than the primary's own deadline. */
  readonly endsAtMs: number;
  /** Swarm's task to which it was granted; null: not known, by an earlier leader perhaps. */
  readonly taskId: string | null;
}

export interface SeenReport {
  readonly report: Report;
  readonly seenAtMs: number;
}

/** Swarm's objects, only those of one cluster where they carry its label; nodes are all of them. */
export interface SwarmSeen {
  readonly seenAtMs: number;
  readonly nodes: readonly NodeSeen[];
  readonly services: readonly ServiceSeen[];
  /** This cluster's network and every other network with a subnet that might overlap. */
  readonly networks: readonly NetworkSeen[];
  readonly secrets: readonly SecretSeen[];
  readonly tasks: readonly TaskSeen[];
}

export interface NodeSeen {
  readonly id: string;
  readonly hostname: string;
  readonly labels: Readonly<Record<string, string>>;
  /** `ready`, `down`, `disconnected`, `unknown`. */
  readonly state: string;
  /** `active`, `pause`, `drain`. */
  readonly availability: string;
  /** Operators run on managers. */
  readonly isManager: boolean;
  /** Leads Swarm's Raft; absent: not known. */
  readonly isSwarmLeader?: boolean;
  /** Address at which published ports are reached. */
  readonly address: string;
}

export interface ServiceSeen {
  readonly id: string;
  readonly name: string;
  /** Swarm's version index, the precondition of an update. */
  readonly version: number;
  /** Docker's own `Spec`, as it is. */
  readonly spec: unknown;
}

export interface NetworkSeen {
  readonly id: string;
  readonly name: string;
  /** Cluster label, when it has one. */
  readonly cluster: string | null;
  readonly driver: string;
  readonly subnets: readonly string[];
}

export interface SecretSeen {
  readonly id: string;
  readonly name: string;
}

/** A container that Swarm runs or has run for a service; it remembers the last five. */
export interface TaskSeen {
  readonly id: string;
  readonly service: string;
  readonly nodeId: string | null;
  /** `pending`, `preparing`, `running`, `failed`, `rejected`, `shutdown`, … */
  readonly state: string;
  readonly desiredState: string;
  /** Docker's message, e.g. `No such image: …`, `port is already allocated`. */
  readonly error: string | null;
  readonly createdAt: string;
}
