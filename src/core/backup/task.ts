/**
 * A backup that a person or a schedule asks for, on its way: asked for, given to a server, done. One
 * at a time in a cluster; whoever leads goes on with it.
 */
import { type BackupMethod, type BackupOrder, type CataloguedBackup } from './backup';

/** What is asked for; who does it is decided when it begins. */
export interface BackupRequest {
  readonly method: BackupMethod;
  /** Only what has changed since the newest backup on the server that takes it. */
  readonly incremental: boolean;
  readonly format: BackupOrder['format'];
  readonly bytesPerSecondMax: number | null;
  /** null: a standby if there is one. */
  readonly server: string | null;
  readonly by: string;
  /** ISO 8601. */
  readonly at: string;
}

/** In the cluster's record. */
export interface BackupTask {
  readonly request: BackupRequest;
  /** null: not begun. */
  readonly begun: { readonly server: string; readonly order: BackupOrder } | null;
}

/** How the last one ended. */
export interface BackupResult {
  readonly id: string;
  readonly server: string;
  /** ISO 8601. */
  readonly at: string;
  /** null: it is there, and what is in it was compared with its manifest. */
  readonly problem: string | null;
}

const CALLED_OFF = 'called off by';

/** How a backup ends that a person does not want any more. */
export const calledOff = (by: string): string => `${CALLED_OFF} ${by}`;
export const isCalledOff = ({ problem }: BackupResult): boolean =>
  problem?.startsWith(CALLED_OFF) === true;

/** What an instance says of the order that it was given. */
export interface BackupWork {
  readonly id: string;
  readonly state: 'running' | 'done' | 'failed';
  /** `taking it: 40 %`, `checking it`; why it failed. */
  readonly words: string;
}

/** A backup as reports and the status show it. */
export interface BackupSummary extends Pick<
  CataloguedBackup,
  | ('id' | 'method' | 'parent' | 'format' | 'compression' | 'server' | 'wal')
  | ('startedAt' | 'stoppedAt' | 'bytes' | 'because' | 'verification')
> {
  /** `kept because …`; null: not judged yet. */
  readonly retention: string | null;
}

export const summaryOf = (
  backup: CataloguedBackup,
  retention: string | null = null,
): BackupSummary => ({
  retention,
  id: backup.id,
  method: backup.method,
  parent: backup.parent,
  format: backup.format,
  compression: backup.compression,
  server: backup.server,
  wal: backup.wal,
  startedAt: backup.startedAt,
  stoppedAt: backup.stoppedAt,
  bytes: backup.bytes,
  because: backup.because,
  verification: backup.verification,
});
