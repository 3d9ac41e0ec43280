/**
 * What a backup is: one folder `backups/<id>` of an archive volume, described by the `backup.json`
 * in it. That file is written last: a folder without it is not a backup.
 */
import { type Lsn } from '../lsn';
import { type Compression } from '../spec';

/**
 * `base`: of the whole server, by pg_basebackup. `dump`: of its databases, by pg_dump. `snapshot`: of
 * the whole server, by the file system.
 */
export type BackupMethod = 'base' | 'dump' | 'snapshot';

/** Whether it holds a data directory, upon which WAL is replayed. */
export const isOfDataDirectory = (method: BackupMethod): boolean => method !== 'dump';

/** What an instance is asked to do, once. */
export interface BackupOrder {
  /** The backup's name, and its folder's: `20261121T180000Z`, with a suffix where two began at once. */
  readonly id: string;
  readonly method: BackupMethod;
  /** The backup to which only the changes are stored; null: a full one. */
  readonly parent: string | null;
  /** `plain`: the data directory as it is; `tar`: packed, and compressed. */
  readonly format: 'plain' | 'tar';
  readonly compression: Compression;
  /** So much is read in a second at most; null: as fast as it goes. */
  readonly bytesPerSecondMax: number | null;
  /** Words of the person or schedule behind it. */
  readonly because: string;
  /** The document that the cluster is made from, to be kept with the backup. */
  readonly spec?: unknown;
}

/** `backup.json`: what one has to know to restore it, without any other part of pgswarm. */
export interface Backup {
  readonly id: string;
  readonly method: BackupMethod;
  readonly parent: string | null;
  readonly format: 'plain' | 'tar';
  readonly compression: Compression;
  readonly cluster: string;
  /** From which it was taken. */
  readonly server: string;
  readonly systemIdentifier: string;
  /** `17.6` */
  readonly postgresVersion: string;
  /** null for a dump: nothing can be replayed upon it. */
  readonly wal: BackupWal | null;
  /** ISO 8601. */
  readonly startedAt: string;
  readonly stoppedAt: string;
  /** Of all files in the folder. */
  readonly bytes: number;
  readonly because: string;
  /** The document that the cluster was made from, as the user wrote it. */
  readonly spec: unknown;
}

/** WAL from `startLsn` up to `stopLsn` makes the copied files one consistent whole. */
export interface BackupWal {
  readonly timeline: number;
  readonly startLsn: Lsn;
  readonly stopLsn: Lsn;
}

/** What was found when the files were last compared with the manifest that PostgreSQL made of them. */
export interface Verification {
  /** ISO 8601. */
  readonly at: string;
  /** In the words of pg_verifybackup; null: nothing is wrong. */
  readonly problem: string | null;
}

/** A backup in the catalogue of one archive volume. */
export interface CataloguedBackup extends Backup {
  /** null: not yet. */
  readonly verification: Verification | null;
}
