/**
 * S7: no decision on an observation older than its bound. A new primary is named by what servers
 * said of themselves after the change was begun, in true time, however late it arrived.
 */
import { type Report } from '../../../src/core/protocol';
import { type Situation } from '../../../src/core/situation';
import { type RoleChange } from '../../../src/core/state';
import { type Happening } from '../world/journal';
import { type Checker } from './checker';

export class Freshness implements Checker {
  readonly invariant = 'S7';
  /** When each report was made. */
  readonly #madeAtMs = new Map<string, number>();
  /** When the present phase of the change was written. */
  #phase: { readonly id: string | null; readonly sinceMs: number } = { id: null, sinceMs: 0 };

  see(happening: Happening, atMs: number): string | null {
    switch (happening.kind) {
      case 'reported':
        this.#madeAtMs.set(keyOf(happening.report), atMs);
        return null;
      case 'state': {
        const id = phaseOf(happening.after.change);
        if (id !== this.#phase.id) this.#phase = { id, sinceMs: atMs };
        return null;
      }
      case 'decided': {
        const named = newPrimary(happening);
        return named === null ? null : this.#named(named, happening);
      }
      default:
        return null;
    }
  }

  #named(
    primary: string,
    { situation, decision }: Extract<Happening, { kind: 'decided' }>,
  ): string | null {
    const { id, sinceMs } = this.#phase;
    // A leader that is behind the record decides what it likes: its write will fail.
    if (id === null || id !== phaseOf(situation.state?.change ?? null)) return null;
    const madeAtMs = this.#ageOf(situation, primary);
    if (madeAtMs >= sinceMs) return null;
    const earlier = Math.round(sinceMs - madeAtMs);
    return `${decision.rule} names ${primary} by a report from ${earlier} ms before it was asked`;
  }

  #ageOf({ observation }: Situation, server: string): number {
    const report = observation.reports[server]?.report;
    return report === undefined ? -Infinity : (this.#madeAtMs.get(keyOf(report)) ?? -Infinity);
  }
}

/** Whom a decision names as the primary of a new term. */
function newPrimary({
  situation,
  decision,
}: Extract<Happening, { kind: 'decided' }>): string | null {
  for (const step of decision.steps) {
    const isNamed = step.kind === 'record' && step.next.term !== situation.state?.term;
    if (isNamed && situation.state !== null) return step.next.primary;
  }
  return null;
}

const phaseOf = (change: RoleChange | null): string | null =>
  change === null ? null : `${change.id} ${change.phase}`;

const keyOf = ({ bootId, sequence }: Report): string => `${bootId} ${String(sequence)}`;
