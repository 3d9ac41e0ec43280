/** What the user is told of a server's archive. */
import { type VolumeRoom } from '../budget';
import { type ArchiveReport } from '../protocol';
import { type WindowReport } from './window-report';

export interface ArchiveStatus {
  readonly lastArchivedWal: string | null;
  /** ISO 8601. */
  readonly lastArchivedAt: string | null;
  /** ISO 8601; null: nothing fails. */
  readonly failedSince: string | null;
  /** WAL files that wait to be archived. */
  readonly waiting: number;
  /** Archiving is paused by a person, for so long still. */
  readonly pausedLeftMs: number | null;
  readonly freeBytes: number | null;
  /** Room in its volume; null when it could not be seen. */
  readonly room: VolumeRoom | null;
  /** To which points in time it leads. */
  readonly recoveryWindow: WindowReport | null;
}

/** null while nothing is known of it; `now` is ISO 8601. */
export function archiveStatus(report: ArchiveReport | null, now: string): ArchiveStatus | null {
  if (report === null) return null;
  const { last, failure, waiting, pausedLeftMs, room, window } = report;
  const ago = (ms: number): string => new Date(Date.parse(now) - ms).toISOString();
  return {
    lastArchivedWal: last?.file ?? null,
    lastArchivedAt: last?.at ?? null,
    failedSince: failure === null ? null : ago(failure.forMs),
    waiting,
    pausedLeftMs,
    freeBytes: room?.freeBytes ?? null,
    room,
    recoveryWindow: window,
  };
}
