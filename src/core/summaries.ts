/**
 * WAL summaries (manual: "WAL Summarization") are what incremental backups are made from. A promotion
 * waits for the summarizer up to a minute and then fails, which leaves the server half promoted
 * (`CleanupAfterArchiveRecovery` in xlog.c); an idle summarizer sleeps up to 30 s, and one that is
 * stuck keeps all WAL since then. So it is woken before a promotion, and left out when it lags.
 */
import { lagBytes, type Lsn } from './lsn';

/** The summarizer at one moment; `pid` and `readLsn` are null when none runs. */
export interface Summarizer {
  readonly isOn: boolean;
  readonly pid: number | null;
  readonly readLsn: Lsn | null;
  /** How far WAL has been replayed, or written. */
  readonly walLsn: Lsn;
  /** Of how many timelines segments are in pg_wal. */
  readonly timelines: number;
}

/** The rest of a page; a summarizer that is woken has read all but that within milliseconds. */
const NEARLY_BYTES = 64 * 1024;

/** A promotion will not have to wait for it. */
export function keepsUp({ pid, readLsn, walLsn }: Summarizer): boolean {
  return pid !== null && readLsn !== null && lagBytes(walLsn, readLsn) <= NEARLY_BYTES;
}

/** Woken twice, with enough to read, it has read nothing. */
export function isStuck(before: Summarizer, now: Summarizer): boolean {
  return (
    before.isOn && now.isOn && !keepsUp(before) && !keepsUp(now) && before.readLsn === now.readLsn
  );
}

/**
 * A new summarizer begins on the oldest timeline of which a segment is left, and is stuck at once
 * when the segment it wants of it is gone: it begins when there is one timeline only.
 */
export const mayBegin = ({ timelines }: Summarizer): boolean => timelines === 1;
