/**
 * Goal: a judge that never finds anything is worth nothing. Method: every rule of the protocol that
 * an invariant rests on is broken once, and the invariant's judge must see it.
 */
import { expect } from 'chai';
import { MUTANTS, type Mutant } from './mutants';
import { runSeed, type Violation } from './run';

async function firstViolation(mutant: Mutant): Promise<Violation | null> {
  const restore = mutant.install();
  try {
    for (let seed = 1; seed <= mutant.seedsMax; seed += 1) {
      const { violation } = await runSeed(seed, { ...mutant, trace: null });
      if (violation !== null) return violation;
    }
    return null;
  } finally {
    restore();
  }
}

describe('a protocol that is wrong', function () {
  this.timeout(300_000);

  for (const mutant of MUTANTS) {
    it(`is caught by ${mutant.invariant} when ${mutant.name}`, async () => {
      const violation = await firstViolation(mutant);
      expect(violation?.invariant).to.equal(mutant.invariant);
      if (process.env['PGSWARM_SIM_VERBOSE']) console.log(violation);
    });
  }
});
