/**
 * S7: no decision on an observation older than its bound. A new primary is named by what servers
 * said of themselves after the change was begun, in true time, however late it arrived.
 */
import { type Report } from '../../../src/core/protocol';
import { type Happening } from '../world/journal';
import { type Checker } from './checker';

export class Freshness implements Checker {
  readonly invariant = 'S7';
  /** When each report was made. */
  readonly #madeAtMs = new Map<string, number>();
  /** When the present phase of the change was written. */
  #phase: { readonly id: string; readonly sinceMs: number } | null = null;

  see(happening: Happening, atMs: number): string | null {
    switch (happening.kind) {
      case 'reported':
        this.#madeAtMs.set(keyOf(happening.report), atMs);
        return null;
      case 'state': {
        const { change } = happening.after;
        const id = change === null ? null : `${change.id} ${change.phase}`;
        if (id !== (this.#phase?.id ?? null))
          this.#phase = id === null ? null : { id, sinceMs: atMs };
        return null;
      }
      case 'decided':
        return this.#decided(happening);
      default:
        return null;
    }
  }

  #decided({ situation, decision }: Extract<Happening, { kind: 'decided' }>): string | null {
    const { state, observation } = situation;
    for (const step of decision.steps) {
      if (step.kind !== 'record' || state === null || step.next.term === state.term) continue;
      const { primary } = step.next;
      const id = state.change === null ? null : `${state.change.id} ${state.change.phase}`;
      if (primary === null || id === null || id !== this.#phase?.id) continue;
      const report = observation.reports[primary]?.report;
      const madeAtMs = report === undefined ? undefined : this.#madeAtMs.get(keyOf(report));
      if (madeAtMs === undefined || madeAtMs < this.#phase.sinceMs) {
        const lateMs = Math.round(this.#phase.sinceMs - (madeAtMs ?? -Infinity));
        return `${decision.rule} names ${primary} by a report from ${lateMs} ms before it was asked`;
      }
    }
    return null;
  }
}

const keyOf = ({ bootId, sequence }: Report): string => `${bootId} ${String(sequence)}`;
