/** S3: with synchronous replication no acknowledged commit is lost by a failover. */
import { type Happening } from '../world/journal';
import { contains, lsnText, type Position } from '../world/wal';
import { type Checker, type Truth } from './checker';
import { Promises } from './promises';

export class Durability implements Checker {
  readonly invariant = 'S3';
  readonly #truth: Truth;
  readonly #promised: Promises;
  /** Whether the present term began with a guarantee in force. */
  #isGuaranteed = false;

  constructor(truth: Truth) {
    this.#truth = truth;
    this.#promised = new Promises(truth);
  }

  see(happening: Happening): string | null {
    this.#promised.see(happening);
    if (happening.kind === 'state') {
      const { before, after } = happening;
      if (before !== null && after.term > before.term) {
        const isAccepted = before.request?.acceptsLoss === true;
        this.#isGuaranteed = before.sync.guaranteed !== null && !isAccepted;
      }
    }
    return happening.kind === 'promoted' ? this.#promoted(happening.server, happening.from) : null;
  }

  #promoted(server: string, from: Position): string | null {
    const lost = this.#promised.all().filter((at) => !contains(from, at));
    const isRequired = this.#truth.spec.replication.synchronous?.durability === 'required';
    if (lost.length > 0 && (this.#isGuaranteed || isRequired)) {
      const ends = lost.map(({ branch, lsn }) => `${lsnText(lsn)} on timeline ${branch.timeline}`);
      return `${server} is promoted at ${lsnText(from.lsn)} on timeline ${from.branch.timeline} without commits that were acknowledged, up to ${ends.join(' and ')}`;
    }
    // Without a guarantee a loss is allowed, and is not looked for again.
    this.#promised.forget(lost);
    return null;
  }
}
