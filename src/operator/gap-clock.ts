/**
 * Measures the write gap of a change of role as one leader sees it, on its own clock: until the new
 * primary reports that it accepts writes; from the moment in which the old one was told to stop or,
 * in a failover, from when it was last heard to accept writes.
 */
import { type Report } from '../core/protocol';
import { type ClusterState } from '../core/state';

export class GapClock {
  readonly #nowMs: () => number;
  #stoppedAtMs: number | null = null;
  #measuredMs: number | null = null;
  #acceptedAtMs: number | null = null;
  /** The same of the term before. */
  #lostAtMs: number | null = null;
  #term: number | null = null;

  constructor(nowMs: () => number) {
    this.#nowMs = nowMs;
  }

  /** null while no change has been seen from its stop to its end. */
  get measuredMs(): number | null {
    return this.#measuredMs;
  }

  /** When the primary of this term was last heard to accept writes; null: not yet. */
  get acceptedAtMs(): number | null {
    return this.#acceptedAtMs;
  }

  toldToStop(): void {
    if (this.#stoppedAtMs !== null) return;
    this.#stoppedAtMs = this.#nowMs();
    this.#measuredMs = null;
  }

  reported(report: Report, state: ClusterState | null): void {
    this.#noteAccepted(report, state);
    if (state?.change == null) {
      this.#stoppedAtMs = null;
      this.#measuredMs = null;
      return;
    }
    const isNewPrimary =
      state.change.phase === 'promoting' &&
      report.server === state.change.to &&
      report.postgres.state === 'primary';
    const beganAtMs = state.change.kind === 'failover' ? this.#lostAtMs : this.#stoppedAtMs;
    if (!isNewPrimary || beganAtMs === null || this.#measuredMs !== null) return;
    this.#measuredMs = this.#nowMs() - beganAtMs;
  }

  #noteAccepted({ server, postgres, obeys }: Report, state: ClusterState | null): void {
    if (state === null) return;
    if (state.term !== this.#term) {
      if (this.#acceptedAtMs !== null) this.#lostAtMs = this.#acceptedAtMs;
      this.#acceptedAtMs = null;
      this.#term = state.term;
    }
    const isOfTerm = server === state.primary && obeys?.term === state.term;
    if (isOfTerm && postgres.state === 'primary') this.#acceptedAtMs = this.#nowMs();
  }
}
