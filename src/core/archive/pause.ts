/**
 * Archiving that a person has paused on a server. It ends by itself: the record says when, the leader
 * hands over what is left of it, and the instance counts that down alone when nobody answers any more.
 */

/** In the cluster's record, by server. */
export interface ArchivePause {
  /** ISO 8601, on the clock of whoever asked for it. */
  readonly until: string;
  readonly by: string;
}

export type ArchivePauses = Readonly<Record<string, ArchivePause>>;

/** PostgreSQL keeps what is not archived: nobody forgets for longer that it is. */
export const ARCHIVE_PAUSE_MAX_MS = 24 * 60 * 60_000;

/** What is left of it at `now`, ISO 8601; null: it is over, or there is none. */
export function archivePauseLeftMs(
  pauses: ArchivePauses,
  server: string,
  now: string,
): number | null {
  const pause = pauses[server];
  if (pause === undefined) return null;
  const leftMs = Date.parse(pause.until) - Date.parse(now);
  return leftMs > 0 ? Math.min(leftMs, ARCHIVE_PAUSE_MAX_MS) : null;
}
