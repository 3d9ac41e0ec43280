/** S3: with synchronous replication no acknowledged commit is lost by a failover. */
import { type Happening } from '../world/journal';
import { positionText } from '../world/wal';
import { type Checker, type Truth } from './checker';
import { Promises } from './promises';

export class Durability implements Checker {
  readonly invariant = 'S3';
  readonly #promised: Promises;

  constructor(truth: Truth) {
    this.#promised = new Promises(truth);
  }

  see(happening: Happening): string | null {
    const what = happening.kind === 'promoted' ? this.#promoted(happening) : null;
    this.#promised.see(happening);
    return what;
  }

  #promoted({ server, from }: Extract<Happening, { kind: 'promoted' }>): string | null {
    const lost = this.#promised.brokenBy(from);
    if (lost.length === 0) return null;
    return `${server} is promoted at ${positionText(from)} without commits that were acknowledged, up to ${lost.map(positionText).join(' and ')}`;
  }
}
