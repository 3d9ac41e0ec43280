/** What clients were promised: how far the WAL must be kept, on every branch. */
import { type Happening } from '../world/journal';
import { type Branch, type Position } from '../world/wal';
import { type Truth } from './checker';

export class Promises {
  readonly #truth: Truth;
  readonly #ends = new Map<Branch, number>();

  constructor(truth: Truth) {
    this.#truth = truth;
  }

  see(happening: Happening): void {
    if (happening.kind !== 'acknowledged' || !this.#isBinding(happening.isSynchronous)) return;
    const { branch, lsn } = happening.at;
    this.#ends.set(branch, Math.max(lsn, this.#ends.get(branch) ?? 0));
  }

  all(): readonly Position[] {
    return [...this.#ends].map(([branch, lsn]) => ({ branch, lsn }));
  }

  forget(positions: readonly Position[]): void {
    for (const { branch } of positions) this.#ends.delete(branch);
  }

  /** By the record: what PostgreSQL does must imply it, and this is what is checked. */
  #isBinding(isSynchronous: boolean): boolean {
    const { state, spec } = this.#truth;
    const isRequired = spec.replication.synchronous?.durability === 'required';
    return (state?.sync.guaranteed ?? null) !== null || (isRequired && isSynchronous);
  }
}
