import { expect } from 'chai';
import fc from 'fast-check';
import { countOf, longestGap, missingIds, type Attempt, type Outcome } from '../support/writes';

/** Attempts from rows of [when it ended, what became of it, who was asked]. */
const history = (...rows: readonly (readonly [number, Outcome, string?])[]): Attempt[] =>
  rows.map(([endedAtMs, outcome, server = 'a'], index) => ({
    ...{ id: index + 1, server, outcome, endedAtMs, sentAtMs: endedAtMs - 1 },
    ...(outcome === 'acknowledged'
      ? { timeline: 1, problem: null }
      : { timeline: null, problem: 'gone' }),
  }));

const ok = 'acknowledged';
const changeOfPrimary = history(
  [100, ok],
  [105, ok],
  [110, 'unknown'],
  [170, 'refused', 'b'],
  [180, ok, 'b'],
  [185, ok, 'b'],
);

describe('longest gap', () => {
  it('runs from the last acknowledged write to the next one, whatever failed between', () => {
    expect(longestGap(changeOfPrimary, { sinceMs: 100, untilMs: 186 })).to.deep.equal({
      durationMs: 75,
      fromMs: 105,
      toMs: 180,
      fromServer: 'a',
      toServer: 'b',
    });
  });

  it('counts the whole gap when the window begins in it', () => {
    expect(longestGap(changeOfPrimary, { sinceMs: 150, untilMs: 186 }).durationMs).to.equal(75);
  });

  it('leaves out a gap that was over before the window', () => {
    expect(longestGap(changeOfPrimary, { sinceMs: 181, untilMs: 186 }).durationMs).to.equal(5);
  });

  it('takes a gap that still lasts up to the end of the window', () => {
    const gap = longestGap(changeOfPrimary, { sinceMs: 100, untilMs: 150 });
    expect(gap).to.include({ durationMs: 45, fromMs: 105, toMs: 150, toServer: null });
  });

  it('sees silence after the last write as a gap', () => {
    const gap = longestGap(changeOfPrimary, { sinceMs: 500, untilMs: 1185 });
    expect(gap).to.include({ durationMs: 1000, fromMs: 185, toServer: null });
  });

  it('is the whole window when nothing was ever acknowledged', () => {
    const gap = longestGap(history([5, 'unknown']), { sinceMs: 0, untilMs: 40 });
    expect(gap).to.deep.equal({
      ...{ durationMs: 40, fromMs: 0, toMs: 40, fromServer: null, toServer: null },
    });
  });

  it('takes the first of two equal gaps', () => {
    const gap = longestGap(history([0, ok], [10, ok], [20, ok]), { sinceMs: 0, untilMs: 20 });
    expect(gap.fromMs).to.equal(0);
  });

  it('agrees with looking at every moment of the window', () => {
    const outcome = fc.constantFrom<Outcome>('acknowledged', 'refused', 'unknown');
    const steps = fc.array(fc.tuple(fc.integer({ min: 1, max: 9 }), outcome), { maxLength: 30 });
    const bound = fc.integer({ min: 0, max: 150 });
    fc.assert(
      fc.property(steps, bound, bound, (rows, one, other) => {
        const [sinceMs, untilMs] = one < other ? [one, other] : [other, one];
        let atMs = 0;
        const attempts = history(...rows.map(([ms, what]) => [(atMs += ms), what] as const));
        const { durationMs } = longestGap(attempts, { sinceMs, untilMs });
        expect(durationMs).to.equal(gapByMoments(attempts, sinceMs, untilMs));
      }),
    );
  });
});

/** The same question asked of every millisecond: how long has there been no write by now? */
function gapByMoments(attempts: readonly Attempt[], sinceMs: number, untilMs: number): number {
  const acknowledged = new Set(
    attempts.filter(({ outcome }) => outcome === ok).map(({ endedAtMs }) => endedAtMs),
  );
  let lastMs: number | null = null;
  for (let ms = 0; ms < sinceMs; ms += 1) if (acknowledged.has(ms)) lastMs = ms;
  lastMs ??= sinceMs;
  let most = 0;
  for (let ms = sinceMs; ms <= untilMs; ms += 1) {
    most = Math.max(most, ms - lastMs);
    if (acknowledged.has(ms)) lastMs = ms;
  }
  return most;
}

describe('missing ids', () => {
  const attempts = history([1, ok], [2, 'unknown'], [3, ok], [4, 'refused'], [5, ok]);

  it('are none when every acknowledged write is there', () => {
    expect(missingIds(attempts, [5, 3, 1])).to.deep.equal([]);
  });

  it('are the acknowledged ones that are not there, in order', () => {
    expect(missingIds(attempts, [3])).to.deep.equal([1, 5]);
  });

  it('say nothing of a write whose outcome is unknown', () => {
    expect(missingIds(attempts, [1, 2, 3, 5])).to.deep.equal([]);
  });

  it('are all when the table is empty', () => {
    expect(missingIds(attempts, [])).to.deep.equal([1, 3, 5]);
  });
});

describe('count of attempts', () => {
  it('is by outcome', () => {
    expect(countOf(changeOfPrimary, 'acknowledged')).to.equal(4);
    expect(countOf(changeOfPrimary, 'unknown')).to.equal(1);
    expect(countOf(changeOfPrimary, 'refused')).to.equal(1);
  });
});
