/**
 * Keeps a standby without an upstream from filling the log: it tries again ten times a second, and
 * says each time what it said before.
 */
import { type LogEntry } from '../adapters/postgres/log-line';
import { isStreamFailure } from './stream-failures';

const SILENCE_MS = 10_000;
const KNOWN_MAX = 100;

export class RepeatedMessages {
  readonly #saidAtMs = new Map<string, number>();

  /** Whether the same was said by the same kind of process only a moment ago. */
  has(entry: LogEntry, nowMs: number): boolean {
    const { level, message, fields } = entry;
    const backend = fields['backend'] ?? '';
    if (backend !== 'startup' && !isStreamFailure(entry)) return false;
    const key = `${backend} ${level} ${message}`;
    const saidAtMs = this.#saidAtMs.get(key);
    if (saidAtMs !== undefined && nowMs - saidAtMs < SILENCE_MS) return true;
    this.#saidAtMs.delete(key);
    this.#saidAtMs.set(key, nowMs);
    const [oldest] = this.#saidAtMs.keys();
    if (this.#saidAtMs.size > KNOWN_MAX && oldest !== undefined) this.#saidAtMs.delete(oldest);
    return false;
  }
}
