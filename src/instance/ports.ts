/** What the instance manager needs of the world: composed by `main`, replaced in the simulation. */
import { type Log } from '../adapters/log';
import { type ControlPort } from '../adapters/control/client';
import { type VolumeRoom } from '../core/budget';
import { type BackupOrder } from '../core/backup/backup';
import { type LoadOrder } from '../core/backup/load';
import { type RestoreWish } from '../core/restore/task';
import {
  type ArchiveReport,
  type InstanceSettings,
  type PromiseRequest,
  type Report,
  type VolumeReport,
} from '../core/protocol';
import { type RehearsalOrder } from '../core/restore/rehearsal';
import { type LocalPostgres } from './local-postgres';
import { type Identity, type LocalState, type Remembered } from './local-state';
import { type Guard } from './guard';
import { type Guidance } from './backup/retention';
import { type Action } from './next-action';

/** The PostgreSQL on this server, as far as the instance looks at it and ends it. */
export type PostgresPort = Pick<
  LocalPostgres,
  | 'report'
  | 'rare'
  | 'hasSeenReload'
  | 'streamProblem'
  | 'isOutOfReach'
  | 'isSecluded'
  | 'mayWrite'
  | 'pollEveryMs'
  | 'inspect'
  | 'observe'
  | 'stop'
  | 'fence'
>;

/** The other instances, asked for promises when no leader answers. */
export interface PeersPort {
  /** Finds out where they are while all is well; cheap to call often. */
  prepare(peers: readonly string[]): void;
  askPeers(
    request: Omit<PromiseRequest, 'to'>,
    peers: readonly string[],
  ): Promise<{
    readonly promisedByAll: boolean;
    readonly refusals: readonly { readonly peer: string; readonly because: string }[];
  }>;
}

/** The WAL archive, as far as the instance tells of it. */
export interface ArchivePort {
  /** null while there is none. */
  report(): ArchiveReport | null;
  /** Keeps PostgreSQL waiting for this long, whoever is there to say more; null: archiving goes on. */
  pause(forMs: number | null): void;
  /** The other servers, whose archives complete this one's. */
  know(others: readonly string[]): void;
}

/** What is left of the data volume. */
export interface RoomPort {
  /** null until it was seen. */
  report(): VolumeRoom | null;
}

/** Backups of this server: at most one is being taken. */
export interface BackupPort {
  report(): Pick<Report, 'backup' | 'backups' | 'load'>;
  /** Loads a dump, once. */
  load(order: LoadOrder | null): void;
  /** Begins with an order that is new, and gives up one that is not wanted any more. */
  obey(order: BackupOrder | null): void;
  /** The other servers, whose backups are copied. */
  know(others: readonly string[]): void;
  /** What is to be kept; to be said again and again, since it counts for a while only. */
  guide(guidance: Guidance): void;
}

/** Restores on copies: at most one is under way. */
export interface RehearsalPort {
  report(): Pick<Report, 'rehearsal'>;
  /** Begins with an order that is new, and ends one that is not wanted any more. */
  obey(order: RehearsalOrder | null, settings: InstanceSettings): void;
  /** The server itself needs the machine: what is under way ends at once. */
  giveWay(because: string): void;
}

/** A restore in place, as far as the instance tells of it. */
export interface RestorePort {
  report(): Pick<Report, 'prospect' | 'restored'>;
  /** Looks whether a point can be reached, once for each order. */
  ask(order: RestoreWish | null): void;
}

/** The parts that act on this machine. */
export interface InstanceParts {
  readonly postgres: PostgresPort;
  readonly room: RoomPort;
  readonly archive: ArchivePort;
  readonly backups: BackupPort;
  readonly rehearsals: RehearsalPort;
  readonly restoring: RestorePort;
  readonly guard: Guard;
  /** Does one action; rejects with an AbortError when `signal` struck before it was done. */
  readonly perform: (action: Action, signal: AbortSignal) => Promise<void>;
}

export interface InstanceOptions {
  readonly identity: Identity;
  /** Swarm's task of this container; null outside of Swarm. */
  readonly taskId: string | null;
  readonly volume: VolumeReport;
  readonly remembered?: Remembered;
  readonly stopGraceMs: number;
  readonly control: ControlPort;
  readonly peers: PeersPort;
  readonly log: Log;
  /** In the cluster's network; null: unknown. */
  readonly ownAddress: (subnet: string) => string | null;
  /** `onChange` is to be called whenever a part may show something different. */
  readonly assemble: (state: LocalState, onChange: () => void) => InstanceParts;
}
