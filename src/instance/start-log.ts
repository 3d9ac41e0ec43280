/** What PostgreSQL has said since it was started, as far as it can explain a failed start. */
import { type LogEntry } from '../adapters/postgres/log-line';

const LINES_MAX = 8;
const FATAL: readonly string[] = ['FATAL', 'PANIC'];
/** Said at level LOG, before a FATAL that does not repeat it. */
const TELLING = /parameter|could not bind|syntax error|could not (open|write|create)/;
/** A client that was turned away explains nothing. */
const CLIENTS: readonly string[] = ['client backend', 'walsender', 'not initialized'];

export class StartLog {
  #lines: string[] = [];

  clear(): void {
    this.#lines = [];
  }

  add({ level, message, fields }: LogEntry): void {
    if (CLIENTS.includes(fields['backend'] ?? '')) return;
    if (!FATAL.includes(level) && !TELLING.test(message)) return;
    const detail = fields['detail'] === undefined ? '' : `: ${fields['detail']}`;
    this.#lines = [...this.#lines, `${message}${detail}`].slice(-LINES_MAX);
  }

  get text(): string {
    return this.#lines.join('; ') || 'PostgreSQL has ended without saying why';
  }
}
