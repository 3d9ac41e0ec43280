/** S4: a data directory that may be the last copy of an acknowledged commit is never given up. */
import { type Happening } from '../world/journal';
import { contains, positionText } from '../world/wal';
import { type Checker, type Truth } from './checker';
import { Promises } from './promises';

export class LastCopy implements Checker {
  readonly invariant = 'S4';
  readonly #truth: Truth;
  readonly #promised: Promises;

  constructor(truth: Truth) {
    this.#truth = truth;
    this.#promised = new Promises(truth);
  }

  see(happening: Happening): string | null {
    this.#promised.see(happening);
    if (happening.kind !== 'discarded') return null;
    const { server, had, has } = happening;
    const others = this.#truth.servers().filter(({ name }) => name !== server);
    const lost = this.#promised
      .all()
      .filter((at) => contains(had, at) && (has === null || !contains(has, at)))
      .filter((at) => !others.some(({ end }) => end !== null && contains(end, at)));
    if (lost.length === 0) return null;
    return `${server} gave up the only copy of acknowledged commits up to ${lost.map(positionText).join(' and ')}`;
  }
}
