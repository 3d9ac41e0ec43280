/** What PostgreSQL has said since it was started, as far as it can explain a failed start. */
import { type LogEntry } from '../adapters/postgres/log-line';

const LINES_MAX = 8;
const FAILURES: readonly string[] = ['FATAL', 'PANIC'];
/** Said at level LOG, before a FATAL that does not repeat it. */
const TELLING = /parameter|could not bind|syntax error|could not (open|write|create)|pg_hba/;
/** Neither a client that was turned away nor a lost upstream keeps a server from starting. */
const OTHERS: readonly string[] = ['client backend', 'walsender', 'walreceiver', 'not initialized'];

export class ServerMessages {
  #sinceStart: string[] = [];

  clear(): void {
    this.#sinceStart = [];
  }

  add({ level, message, fields }: LogEntry): void {
    if (OTHERS.includes(fields['backend'] ?? '')) return;
    if (!FAILURES.includes(level) && !TELLING.test(message)) return;
    const detail = fields['detail'] === undefined ? '' : `: ${fields['detail']}`;
    this.#sinceStart = [...this.#sinceStart, `${message}${detail}`].slice(-LINES_MAX);
  }

  /** Why a start has failed. */
  get ofStart(): string {
    return this.#sinceStart.join('; ') || 'PostgreSQL has ended without saying why';
  }
}
