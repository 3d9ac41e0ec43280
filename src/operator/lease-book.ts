/**
 * The leases that the primary of this term may hold, by its grantor's clock. What an earlier leader
 * granted is not known, but how long it can last.
 */
import { type Grant } from '../core/observation';

export class LeaseBook {
  readonly #nowMs: () => number;
  readonly #endsByTask = new Map<string | null, number>();

  constructor(nowMs: () => number) {
    this.#nowMs = nowMs;
  }

  /** By holder; of each the last to end. */
  get grants(): readonly Grant[] {
    return [...this.#endsByTask].map(([taskId, endsAtMs]) => ({ taskId, endsAtMs }));
  }

  /** A term begins, or is taken over: for so long somebody may hold a lease that is not in here. */
  begin(unknownForMs: number): void {
    this.#endsByTask.clear();
    this.#endsByTask.set(null, this.#nowMs() + unknownForMs);
  }

  granted(taskId: string | null, leaseMs: number): void {
    const nowMs = this.#nowMs();
    const endsAtMs = Math.max(this.#endsByTask.get(taskId) ?? -Infinity, nowMs + leaseMs);
    for (const [holder, endMs] of this.#endsByTask) {
      if (endMs < nowMs) this.#endsByTask.delete(holder);
    }
    this.#endsByTask.set(taskId, endsAtMs);
  }
}
