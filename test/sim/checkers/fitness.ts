/**
 * S5: no promotion of another system, a diverged timeline, or an unknown position; and no standby
 * of a primary whose history is another one.
 */
import { isLate } from '../../../src/core/late';
import { type Happening } from '../world/journal';
import { contains, positionText, type Branch, type Position } from '../world/wal';
import { type Checker, type Truth } from './checker';

export class Fitness implements Checker {
  readonly invariant = 'S5';
  readonly #truth: Truth;
  /** Where the primaries that were named have written, the last one's. */
  #branch: Branch | null = null;

  constructor(truth: Truth) {
    this.#truth = truth;
  }

  see(happening: Happening): string | null {
    switch (happening.kind) {
      case 'writable': {
        const { server } = happening;
        if (server === this.#truth.state?.primary) this.#branch = this.#branchOf(server);
        return null;
      }
      case 'promoted':
        return this.#promoted(happening.server, happening.from);
      case 'corrupted': {
        const { server, had, got } = happening;
        return `${server}, at ${positionText(had)} of its own, streams ${positionText(got)} of another history`;
      }
      case 'decided':
        return unfitlyNamed(happening);
      default:
        return null;
    }
  }

  #branchOf(server: string): Branch | null {
    return this.#truth.servers().find(({ name }) => name === server)?.end?.branch ?? null;
  }

  #promoted(server: string, from: Position): string | null {
    const { state } = this.#truth;
    const { systemIdentifier } = from.branch;
    if (systemIdentifier !== state?.systemIdentifier) {
      return `${server} is promoted with the system identifier ${systemIdentifier}, not ${String(state?.systemIdentifier)}`;
    }
    const isPart = this.#branch === null || contains({ branch: this.#branch, lsn: Infinity }, from);
    return isPart
      ? null
      : `${server} is promoted at ${positionText(from)}, which the primary never had`;
  }
}

/** Whoever is named has said how far it is, and is there to take over. */
function unfitlyNamed({
  situation,
  decision,
}: Extract<Happening, { kind: 'decided' }>): string | null {
  for (const step of decision.steps) {
    if (step.kind !== 'record' || situation.state === null) continue;
    const { term, primary } = step.next;
    if (term === situation.state.term || situation.state.term === 0 || primary === null) continue;
    const postgres = situation.observation.reports[primary]?.report.postgres;
    if (postgres?.state !== 'standby') {
      return `${decision.rule} names ${primary}, which is ${postgres?.state ?? 'unknown'}`;
    }
    if (situation.record.spec.servers.some((each) => each.name === primary && isLate(each))) {
      return `${decision.rule} names ${primary}, which is late on purpose`;
    }
  }
  return null;
}
