import { expect } from 'chai';
import { describeRoom, limitsOf, roomOf, type BudgetStage } from '../../src/core/budget';

const MB = 1024 ** 2;
const GB = 1024 ** 3;

describe('the budget of a volume', () => {
  describe('begins its stages, by the size of the volume,', () => {
    for (const [sizeBytes, full, short, tight] of [
      [500 * MB, 64 * MB, 96 * MB, 128 * MB],
      [20 * GB, 0.4 * GB, 1 * GB, 2 * GB],
      [2000 * GB, 1 * GB, 5 * GB, 10 * GB],
    ] as const) {
      it(`${sizeBytes / GB} GB, where it should`, () => {
        const limits = limitsOf(sizeBytes);
        expect(limits.full).to.be.closeTo(full, 1);
        expect(limits.short).to.be.closeTo(short, 1);
        expect(limits.tight).to.be.closeTo(tight, 1);
      });
    }
  });

  // A volume of 500 MB: stages begin at 64, 96 and 128 MB.
  for (const [freeMb, rate, before, stage] of [
    [400, null, 'ample', 'ample'],
    [128, 0, 'ample', 'ample'],
    [127, null, 'ample', 'tight'],
    [95, null, 'ample', 'short'],
    [63, null, 'ample', 'full'],
    [0, null, 'ample', 'full'],
    // Only with clearly more room a stage is over; then those below it are looked at.
    [95, null, 'full', 'full'],
    [97, null, 'full', 'short'],
    [143, null, 'short', 'short'],
    [145, null, 'short', 'tight'],
    [191, null, 'tight', 'tight'],
    [193, null, 'tight', 'ample'],
    [193, null, 'full', 'ample'],
    // What was worse before counts for what is less bad, too.
    [150, null, 'full', 'tight'],
    // Within an hour: 400 MB at 0.2 MB a second.
    [400, 0.2 * MB, 'ample', 'tight'],
    [400, 0.1 * MB, 'ample', 'ample'],
    [400, 0.1 * MB, 'tight', 'tight'],
    [400, 0.07 * MB, 'tight', 'ample'],
    // Fast growth brings the stages forward, by five seconds of it.
    [100, 8 * MB, 'ample', 'full'],
    [400, 1000 * MB, 'ample', 'tight'],
  ] as const satisfies readonly (readonly [number, number | null, BudgetStage, BudgetStage])[]) {
    it(`${freeMb} MB free, growing by ${rate ?? '?'} B/s, ${before} before: ${stage}`, () => {
      const seen = { sizeBytes: 500 * MB, freeBytes: freeMb * MB, bytesPerSecond: rate };
      expect(roomOf(seen, before).stage).to.equal(stage);
    });
  }

  it('is told in words', () => {
    const room = { sizeBytes: 20 * GB, freeBytes: 1.25 * GB, stage: 'tight' as const };
    expect(describeRoom({ ...room, fullInMs: null })).to.equal('1280MB of 20GB are free');
    expect(describeRoom({ ...room, fullInMs: 2_430_000 })).to.equal(
      '1280MB of 20GB are free, at this rate it is full in about 41m',
    );
  });
});
