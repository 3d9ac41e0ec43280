/**
 * Goal: the protocol keeps its invariants whatever goes wrong, and the cluster is whole again when
 * nothing does any more. Method: deterministic simulation; the same seed is the same history.
 * PGSWARM_SIM_SEEDS says how many; `npm test` runs 5,000.
 */
import { expect } from 'chai';
import { harvest } from './farm';
import { runSeed } from './run';

const SEEDS = Number(process.env['PGSWARM_SIM_SEEDS'] ?? 20);
const MINUTE = 60_000;

describe('simulated clusters', () => {
  it('have the same history for the same seed', async () => {
    const history = async (): Promise<readonly string[]> => {
      const lines: string[] = [];
      await runSeed(5, { servers: 3, trace: (...line) => lines.push(line.join(' ')) });
      return lines;
    };
    expect(await history()).to.deep.equal(await history());
  }).timeout(MINUTE);

  it(`keep S1 to S7 and reach L1 with ${String(SEEDS)} seeds`, async () => {
    const onViolation = (): void => undefined;
    const { violations, seeds } = await harvest({
      from: 1,
      seeds: SEEDS,
      servers: null,
      onViolation,
    });
    expect(violations, 'npm run sim -- --replay SEED --trace').to.deep.equal([]);
    expect(seeds).to.equal(SEEDS);
  }).timeout(60 * MINUTE);
});
