import { expect } from 'chai';
import { gapOfAll, twoWriters } from '../support/history';
import { type Attempt } from '../support/writes';

/** Acknowledged writes from rows of [when, by whom, on which timeline]. */
const history = (...rows: readonly (readonly [number, string, number])[]): Attempt[] =>
  rows.map(([endedAtMs, server, timeline], index) => ({
    ...{ id: index + 1, server, timeline, endedAtMs, sentAtMs: endedAtMs - 1 },
    ...{ outcome: 'acknowledged', problem: null },
  }));

describe('two writers', () => {
  it('are not seen in a change of primary, nor in a restart in place', () => {
    const changed = history([1, 'a', 1], [2, 'a', 1], [50, 'a', 1], [90, 'b', 2], [99, 'a', 3]);
    expect(twoWriters(changed)).to.deep.equal({
      ...{ lateWrites: 0, newLateWrites: 0, durationMs: 0, sharedTimelines: [] },
    });
  });

  it('are seen when the old primary acknowledges after the new one has begun', () => {
    const both = history([1, 'a', 1], [10, 'b', 2], [12, 'a', 1], [20, 'b', 2], [32, 'a', 1]);
    expect(twoWriters(both)).to.deep.include({ lateWrites: 2, durationMs: 20 });
  });

  it('are seen by one late write', () => {
    const both = history([1, 'a', 1], [10, 'b', 2], [12, 'a', 1]);
    expect(twoWriters(both)).to.deep.include({ lateWrites: 1, durationMs: 1 });
  });

  it('took no new work when all that came late was sent before', () => {
    const [one, other, late] = history([1, 'a', 1], [10, 'b', 2], [12, 'a', 1]);
    const sentAt = (sentAtMs: number): Attempt[] => [one!, other!, { ...late!, sentAtMs }];
    expect(twoWriters(sentAt(10))).to.deep.include({ lateWrites: 1, newLateWrites: 0 });
    expect(twoWriters(sentAt(10.5))).to.deep.include({ lateWrites: 1, newLateWrites: 1 });
  });

  it('are seen over several changes of primary', () => {
    const both = history([1, 'a', 1], [10, 'b', 2], [20, 'c', 3], [30, 'a', 1], [31, 'b', 2]);
    expect(twoWriters(both)).to.deep.include({ lateWrites: 2, durationMs: 1 });
  });

  it('are seen when two servers write the same timeline one after the other', () => {
    const both = history([1, 'a', 1], [10, 'b', 1]);
    expect(twoWriters(both)).to.deep.include({ lateWrites: 0, sharedTimelines: [1] });
  });

  it('cannot be seen in writes that nobody acknowledged', () => {
    const unknown = history([1, 'a', 1], [10, 'b', 2], [12, 'a', 1]).map((attempt) =>
      attempt.endedAtMs < 12 ? attempt : { ...attempt, outcome: 'unknown' as const },
    );
    expect(twoWriters(unknown).lateWrites).to.equal(0);
  });
});

describe('the gap of several clients', () => {
  it('is over when any of them writes', () => {
    const [one, other] = [history([0, 'a', 1], [80, 'b', 2]), history([5, 'a', 1], [60, 'b', 2])];
    const gap = gapOfAll([one, other], { sinceMs: 0, untilMs: 80 });
    expect(gap).to.deep.include({ fromMs: 5, toMs: 60 });
  });
});
