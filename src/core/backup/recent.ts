/** Whether there is a backup as recent as it should be. */
import { isCalledOff, type BackupResult } from './task';

export interface BackupTrouble {
  /** Stable word for the condition. */
  readonly reason: 'BackupFailed' | 'BackupOverdue';
  readonly message: string;
}

/** A backup takes its time to find a server; a schedule that waits longer has a trouble. */
export const OVERDUE_AFTER_MS = 60 * 60_000;

/**
 * What is wrong; null: nothing. `dueAt` are the moments, ISO 8601, for which no backup has been begun
 * yet; those to come count for nothing.
 */
export function backupTrouble(
  last: BackupResult | null,
  dueAt: readonly string[],
  now: string,
): BackupTrouble | null {
  if (last !== null && last.problem !== null && !isCalledOff(last)) {
    const message = `the last backup, ${last.id} on ${last.server}, has failed at ${last.at}: ${last.problem}`;
    return { reason: 'BackupFailed', message };
  }
  const [first] = dueAt.toSorted();
  if (first === undefined || Date.parse(now) - Date.parse(first) < OVERDUE_AFTER_MS) return null;
  return { reason: 'BackupOverdue', message: `a backup is due since ${first}` };
}
