/**
 * The leases that the primary of this term may hold, by its grantor's clock. What an earlier leader
 * granted is not known, but how long it can last.
 */
import { type Grant } from '../core/observation';

export class LeaseBook {
  readonly #nowMs: () => number;
  readonly #onEnd: () => void;
  readonly #endsByTask = new Map<string | null, number>();
  #timer: NodeJS.Timeout | null = null;

  /** `onEnd` is called when the last lease is over: nothing else may happen at that moment. */
  constructor(nowMs: () => number, onEnd: () => void) {
    this.#nowMs = nowMs;
    this.#onEnd = onEnd;
  }

  /** By holder; of each the last to end. */
  get grants(): readonly Grant[] {
    return [...this.#endsByTask].map(([taskId, endsAtMs]) => ({ taskId, endsAtMs }));
  }

  /** A term begins, or is taken over: for so long somebody may hold a lease that is not in here. */
  begin(unknownForMs: number): void {
    this.#endsByTask.clear();
    this.#endsByTask.set(null, this.#nowMs() + unknownForMs);
    this.#awaitEnd();
  }

  close(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
  }

  /**
   * `runs`: PostgreSQL runs as primary in this container. It has the lock on the data volume, so that
   * every container before it has ended, and a lease that is not known can only be its own.
   */
  granted(taskId: string | null, leaseMs: number, runs: boolean): void {
    const nowMs = this.#nowMs();
    const holders = runs ? [taskId, null] : [taskId];
    const knownMs = holders.map((holder) => this.#endsByTask.get(holder) ?? -Infinity);
    const endsAtMs = Math.max(...knownMs, nowMs + leaseMs);
    if (runs) this.#endsByTask.delete(null);
    for (const [holder, endMs] of this.#endsByTask) {
      if (endMs < nowMs) this.#endsByTask.delete(holder);
    }
    this.#endsByTask.set(taskId, endsAtMs);
    this.#awaitEnd();
  }

  #awaitEnd(): void {
    this.close();
    const leftMs = Math.max(...this.#endsByTask.values()) - this.#nowMs();
    this.#timer = setTimeout(this.#onEnd, Math.max(0, Math.ceil(leftMs)));
  }
}
