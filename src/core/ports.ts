/** The effects that the operator needs, as interfaces: adapters implement them, tests fake them. */
import { type SwarmSeen } from './observation';
import { type SwarmStep } from './steps';

/** A record in Swarm's Raft store. */
export interface StoredRecord<T> {
  readonly name: string;
  readonly id: string;
  /** Raft's version index: the precondition of the next write. */
  readonly version: number;
  readonly value: T;
}

/** Compare-and-set records on Swarm's Raft store (`POST /configs/{id}/update?version=N`). */
export interface Store {
  /** Every record whose name matches, e.g. all specs. */
  list(): Promise<readonly StoredRecord<unknown>[]>;
  read<T>(name: string): Promise<StoredRecord<T> | null>;
  /** Throws OperatingError `stale` when the record exists already. */
  create<T>(
    name: string,
    value: T,
    labels?: Readonly<Record<string, string>>,
  ): Promise<StoredRecord<T>>;
  /** Throws OperatingError `stale` when anybody has written since `record` was read. */
  update<T>(record: StoredRecord<unknown>, value: T): Promise<StoredRecord<T>>;
  remove(record: StoredRecord<unknown>): Promise<void>;
}

export interface Swarm {
  /**
   * What is seen is at least as new as the question; or as `sinceMs` (monotonic), where somebody has
   * looked for all clusters since then.
   */
  observe(cluster: string, sinceMs?: number): Promise<SwarmSeen>;
  apply(step: SwarmStep): Promise<void>;
  /** Calls back when a service, node, network, secret or config has changed; returns a stop function. */
  watch(changed: (what: { type: string; name: string }) => void): () => void;
}

/** Monotonic milliseconds; wall clock as ISO 8601; random ids. */
export interface Clock {
  monotonicMs(): number;
  now(): Date;
}
