/**
 * Measures the write gap of a switchover as one leader sees it, on its own clock: from the moment
 * in which the old primary is told to stop until the new one reports that it accepts writes.
 */
import { type Report } from '../core/protocol';
import { type ClusterState } from '../core/state';

export class GapClock {
  readonly #nowMs: () => number;
  #stoppedAtMs: number | null = null;
  #measuredMs: number | null = null;

  constructor(nowMs: () => number) {
    this.#nowMs = nowMs;
  }

  /** null while no change has been seen from its stop to its end. */
  get measuredMs(): number | null {
    return this.#measuredMs;
  }

  toldToStop(): void {
    if (this.#stoppedAtMs !== null) return;
    this.#stoppedAtMs = this.#nowMs();
    this.#measuredMs = null;
  }

  reported(report: Report, state: ClusterState | null): void {
    if (state?.change == null) {
      this.#stoppedAtMs = null;
      this.#measuredMs = null;
      return;
    }
    const isNewPrimary =
      state.change.phase === 'promoting' &&
      report.server === state.change.to &&
      report.postgres.state === 'primary';
    if (!isNewPrimary || this.#stoppedAtMs === null || this.#measuredMs !== null) return;
    this.#measuredMs = this.#nowMs() - this.#stoppedAtMs;
  }
}
