/**
 * A database of a dump that is put into the running primary: asked for, begun, done. It is done once
 * at most: whoever does not know how it ended must not begin again, for people write into what was
 * loaded.
 */
import { type BackupWork } from './task';

export interface LoadRequest {
  /** Id of the dump. */
  readonly backup: string;
  readonly database: string;
  /** The database may exist: it is replaced when the new one is whole. */
  readonly replace: boolean;
  readonly by: string;
  /** ISO 8601; the name of this load, too. */
  readonly at: string;
}

/** In the cluster's record. */
export interface LoadTask {
  readonly request: LoadRequest;
  /** By the primary of that time, in that boot of its instance manager; null: not begun. */
  readonly begun: { readonly server: string; readonly bootId: string } | null;
}

/** What the primary is told. */
export type LoadOrder = Pick<LoadRequest, 'backup' | 'database' | 'replace'> & {
  readonly id: string;
};

/** What it says of that. */
export type LoadWork = BackupWork;

/** How the last one ended. */
export interface LoadResult {
  /** When it was asked for. */
  readonly id: string;
  readonly server: string;
  /** null: the database is as it was dumped. */
  readonly problem: string | null;
}

export const orderOf = ({ at, backup, database, replace }: LoadRequest): LoadOrder => ({
  id: at,
  backup,
  database,
  replace,
});

/** For people: `database app from backup 20261121T050000Z`. */
export const describeLoad = ({
  database,
  backup,
}: Pick<LoadRequest, 'database' | 'backup'>): string =>
  `database ${database} from backup ${backup}`;

/**
 * Under which a database is kept while the new one is made. PostgreSQL's names have 63 bytes, so it
 * says when, and not which.
 */
export const keptName = (id: string): string =>
  `pgswarm_kept_${id.toLowerCase().replaceAll(/[^0-9a-z]/g, '')}`;
