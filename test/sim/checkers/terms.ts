/** S2: terms only grow, and each has one primary. */
import { type Happening } from '../world/journal';
import { type Checker } from './checker';

export class Terms implements Checker {
  readonly invariant = 'S2';
  readonly #primaries = new Map<number, string | null>();

  see(happening: Happening): string | null {
    if (happening.kind === 'promoted') return this.#promoted(happening.server);
    if (happening.kind !== 'state') return null;
    const { before, after } = happening;
    if (before !== null && after.term < before.term) {
      return `the term went back from ${before.term} to ${after.term}`;
    }
    if (before !== null && after.leaderEpoch < before.leaderEpoch) {
      return `the leader's epoch went back from ${before.leaderEpoch} to ${after.leaderEpoch}`;
    }
    const known = this.#primaries.get(after.term);
    this.#primaries.set(after.term, after.primary);
    return known === undefined || known === after.primary
      ? null
      : `term ${after.term} has two primaries: ${known ?? 'nobody'} and ${after.primary ?? 'nobody'}`;
  }

  #promoted(server: string): string | null {
    const isNamed = [...this.#primaries.values()].includes(server);
    return isNamed ? null : `${server} is promoted and was never named primary`;
  }
}
