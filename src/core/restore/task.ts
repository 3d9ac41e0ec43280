/**
 * A restore in place, from the wish to the moment when a person has decided. A point that is asked
 * for is looked at before anything is touched. Then PostgreSQL is stopped everywhere, and the primary
 * runs on a copy that was brought up to the point, for whoever operates the cluster to look at: nobody
 * else can reach it, it is read-only unless told otherwise, and no archive knows its timeline. What was
 * there before is set aside, on every server. Another point may be tried, until a person accepts what
 * is there, or goes back.
 */
import type { Lsn } from '../lsn';
import type { RestoreTarget } from './target';

/** A point that somebody asks for. */
export interface RestoreWish {
  /** `r<number>`: never used twice. */
  readonly id: string;
  readonly target: RestoreTarget;
  /** The backup to begin with; null: the best one. */
  readonly backup: string | null;
  readonly by: string;
  /** ISO 8601. */
  readonly at: string;
}

/** `accepted`: the promotion has begun, and there is no way back. */
export type RestoreDecision = 'accept' | 'accepted' | 'undo';

/** In the cluster's record. */
export interface RestoreTask {
  /** The primary at the beginning: the copy is made on its data volume. */
  readonly server: string;
  /** Asked for, and looked at. */
  readonly wanted: RestoreWish | null;
  /** What takes, or has taken, the place of the data; null: nothing was touched yet. */
  readonly current: RestoreWish | null;
  readonly decision: RestoreDecision | null;
}

/** How the last one ended. */
export interface RestoreResult {
  readonly id: string;
  /** ISO 8601. */
  readonly at: string;
  readonly outcome: 'refused' | 'accepted' | 'undone';
  /** A sentence. */
  readonly words: string;
}

/** What an instance says of a point before anything is touched. */
export interface RestoreProspect {
  readonly id: string;
  readonly isPossible: boolean;
  /** From which backup, or why it cannot be reached. */
  readonly words: string;
}

/** What an instance says of the copy in the place of its data. */
export interface RestoreProgress {
  readonly id: string;
  /** `ended`: there is no more WAL, and the point was not in it. */
  readonly state: 'replaying' | 'reached' | 'ended';
  /** How far it has been replayed; null before it could be asked. */
  readonly lsn: Lsn | null;
  /** ISO 8601: end of the last transaction that was replayed; null: none, or not known. */
  readonly lastCommitAt: string | null;
}

/** PostgreSQL runs, or is about to, on a restored copy, and changes of role have to wait. */
export const isRestoring = ({ restore }: { readonly restore: RestoreTask | null }): boolean =>
  restore !== null && restore.current !== null;
