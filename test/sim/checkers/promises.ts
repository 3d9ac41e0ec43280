/** What clients were promised: how far the WAL must be kept, on every branch. */
import { type Happening } from '../world/journal';
import { contains, type Branch, type Position } from '../world/wal';
import { type Truth } from './checker';

export class Promises {
  readonly #truth: Truth;
  readonly #ends = new Map<Branch, number>();
  /** The present term began while every acknowledged commit was guaranteed to be elsewhere. */
  #isGuaranteed = false;

  constructor(truth: Truth) {
    this.#truth = truth;
  }

  see(happening: Happening): void {
    switch (happening.kind) {
      case 'acknowledged':
        if (this.#isBinding(happening)) this.#keep(happening.at);
        return;
      case 'state': {
        const { before, after } = happening;
        if (before !== null && after.term > before.term) {
          const isAccepted = before.request?.acceptsLoss === true;
          this.#isGuaranteed = before.sync.guaranteed !== null && !isAccepted;
        }
        return;
      }
      case 'promoted':
        // What a failover was allowed to lose need not be kept for ever.
        if (this.#mayLose()) this.#forget(this.#missingIn(happening.from));
        return;
      default:
        return;
    }
  }

  /** What must not be lost now. */
  all(): readonly Position[] {
    return [...this.#ends].map(([branch, lsn]) => ({ branch, lsn }));
  }

  /** What this promotion gives up, and must not. */
  brokenBy(from: Position): readonly Position[] {
    return this.#mayLose() ? [] : this.#missingIn(from);
  }

  #keep({ branch, lsn }: Position): void {
    this.#ends.set(branch, Math.max(lsn, this.#ends.get(branch) ?? 0));
  }

  #forget(positions: readonly Position[]): void {
    for (const { branch } of positions) this.#ends.delete(branch);
  }

  #missingIn(from: Position): readonly Position[] {
    return this.all().filter((at) => !contains(from, at));
  }

  #mayLose(): boolean {
    return !this.#isGuaranteed && !this.#isRequired;
  }

  get #isRequired(): boolean {
    return this.#truth.spec.replication.synchronous?.durability === 'required';
  }

  /**
   * By the record: what the primary's PostgreSQL does must imply it, and this is what is checked. A
   * former primary that was asynchronous, and is thawed, promises nothing of the present term.
   */
  #isBinding({ server, isSynchronous }: Extract<Happening, { kind: 'acknowledged' }>): boolean {
    const state = this.#truth.state;
    const isGuaranteed = state?.primary === server && state.sync.guaranteed !== null;
    return isGuaranteed || (this.#isRequired && isSynchronous);
  }
}
