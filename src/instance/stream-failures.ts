/**
 * Why a standby does not stream, from the failures that its walreceiver reports. Its status alone
 * does not tell: PostgreSQL shows `streaming` from the moment in which it is connected, also when
 * the upstream refuses the stream right after (walreceiver.c), ten times a second.
 */

import { type LogEntry } from '../adapters/postgres/log-line';

/** Said at level LOG, again and again, when the upstream has left the timeline for another one. */
const FORKED =
  /^(new timeline \d+ (forked off|is not a child of)|primary server contains no more WAL)/;

export function isStreamFailure({ level, message, fields }: LogEntry): boolean {
  const backend = fields['backend'];
  if (backend === 'startup') return FORKED.test(message);
  return backend === 'walreceiver' && (level !== 'LOG' || FORKED.test(message));
}

/** A change of role interrupts the stream for less than this. */
const LASTING_MS = 3000;
/** An attempt may take as long as the connect timeout; without failures for longer, all is well. */
const OVER_AFTER_MS = 6000;
/** A stream that was not refused within this time is one. */
const STREAMS_AFTER_MS = 1500;

interface Failures {
  readonly words: string;
  readonly sinceMs: number;
  readonly lastMs: number;
}

export class StreamFailures {
  #failures: Failures | null = null;

  clear(): void {
    this.#failures = null;
  }

  add(words: string, nowMs: number): void {
    const before = this.#failures;
    const isNew = before === null || nowMs - before.lastMs > OVER_AFTER_MS;
    this.#failures = { words, sinceMs: isNew ? nowMs : before.sinceMs, lastMs: nowMs };
  }

  /** The last failure of a series that has lasted for so long; null when there is none. */
  lasting(nowMs: number, isStreaming: boolean, forMs = LASTING_MS): string | null {
    if (this.#failures === null) return null;
    const { words, sinceMs, lastMs } = this.#failures;
    const quietMs = nowMs - lastMs;
    if (quietMs > OVER_AFTER_MS || (isStreaming && quietMs > STREAMS_AFTER_MS)) {
      this.#failures = null;
      return null;
    }
    return nowMs - sinceMs >= forMs ? words : null;
  }
}
