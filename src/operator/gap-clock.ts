/**
 * Measures the write gap of a change of role as one leader sees it, on its own clock: until the new
 * primary reports that it accepts writes; from the moment in which the old one was told to stop or,
 * in a failover, from when it was last heard to accept writes.
 */
import { REPORT_AGE_MAX_MS, type Report } from '../core/protocol';
import { type ClusterState } from '../core/state';

export class GapClock {
  readonly #nowMs: () => number;
  #stoppedAtMs: number | null = null;
  #measuredMs: number | null = null;
  #acceptedAtMs: number | null = null;
  /** The same of the term before. */
  #lostAtMs: number | null = null;
  #term: number | null = null;
  #task: { readonly bootId: string; readonly sinceMs: number; readonly lastMs: number } | null =
    null;

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

  /** Since when the primary says without a break that it has its task; null: it does not. */
  get obeyingSinceMs(): number | null {
    return this.#task?.sinceMs ?? null;
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

  #noteTask(isPrimary: boolean, bootId: string): void {
    const nowMs = this.#nowMs();
    const before = this.#task;
    const isSame = before?.bootId === bootId && nowMs - before.lastMs <= REPORT_AGE_MAX_MS;
    const sinceMs = isSame ? before.sinceMs : nowMs;
    this.#task = isPrimary ? { bootId, sinceMs, lastMs: nowMs } : null;
  }

  #noteAccepted({ server, postgres, obeys, bootId }: Report, state: ClusterState | null): void {
    if (state === null) return;
    if (state.term !== this.#term) {
      if (this.#acceptedAtMs !== null) this.#lostAtMs = this.#acceptedAtMs;
      this.#acceptedAtMs = null;
      this.#task = null;
      this.#term = state.term;
    }
    const isOfTerm = server === state.primary && obeys?.term === state.term;
    if (isOfTerm) this.#noteTask(obeys.task === 'primary', bootId);
    if (isOfTerm && postgres.state === 'primary') this.#acceptedAtMs = this.#nowMs();
  }
}
