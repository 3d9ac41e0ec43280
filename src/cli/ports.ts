/** What the commands may touch. All of it is given to them, so that tests give something else. */
import { type HistoryEntry } from '../core/history';
import { type SwarmSeen } from '../core/observation';
import { type ClusterAnswer } from '../operator/operator';
import { type PageAccess } from '../operator/page';
import { type Store } from '../core/ports';
import { type CliClock } from './clock';
import { type Execution } from './docker-exec';
import { type Output } from './output';

export interface CliPorts {
  readonly output: Output;
  /** Connects to the Swarm of this environment. Nothing is sent before a command asks. */
  readonly connect: () => SwarmAccess;
  /** Aborted by Ctrl-C. */
  readonly signal: AbortSignal;
  readonly now: () => Date;
  /** Who types, for people who ask later who it was. */
  readonly user: string;
  readonly clock: CliClock;
}

/** A Swarm as its manager's Docker and the operator's leader show it. */
export interface SwarmAccess {
  readonly store: Store;
  readonly operator: OperatorClient;
  observe(cluster: string): Promise<SwarmSeen>;
  /** Image of the operator's service; null when there is no such service. */
  operatorImage(): Promise<string | null>;
  /** A service's log as Docker sends it, in frames. */
  serviceLog(service: string, options: LogOptions): Promise<NodeJS.ReadableStream>;
  /** What Docker says of itself and of the cluster's services, as it says it: for a report. */
  facts(cluster: string): Promise<readonly Fact[]>;
  /** Runs a program in the operator's container on the node of this Docker. */
  execute(execution: Execution): Promise<number>;
}

export interface Fact {
  readonly name: string;
  readonly collect: () => Promise<unknown>;
}

export interface LogOptions {
  readonly isFollowed: boolean;
  /** Lines from the end. */
  readonly tail: number;
  readonly signal: AbortSignal;
}

/** The operator's leader, through whichever operator can be reached. */
export interface OperatorClient {
  cluster(name: string): Promise<ClusterAnswer>;
  /** ISO 8601; null: as far back as anybody knows. */
  history(name: string, since: string | null): Promise<readonly HistoryEntry[]>;
  credentials(name: string): Promise<Credentials>;
  /** Where the web page is, and what opens it; refuses where it is not served. */
  page(): Promise<PageAccess>;
}

export interface Credentials {
  readonly owner: string;
  readonly database: string;
  readonly password: string;
}
