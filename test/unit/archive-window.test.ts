import { expect } from 'chai';
import fc from 'fast-check';
import { type BackupReach, type BaseBackup } from '../../src/core/archive/backups';
import { type Inventory } from '../../src/core/archive/inventory';
import { SEGMENT_BYTES_DEFAULT } from '../../src/core/archive/wal-files';
import { windowOf, type RecoveryWindow } from '../../src/core/archive/window';
import { lsnBytes, type Lsn } from '../../src/core/lsn';
import { type Histories } from '../../src/core/timelines';
import { archive, backup, left, position } from './archive-world';

interface World {
  readonly inventory: Inventory;
  readonly backups: readonly BaseBackup[];
  readonly histories?: Histories;
  readonly timeline?: number;
}

const look = ({ inventory, backups, histories = {}, timeline = 1 }: World): RecoveryWindow =>
  windowOf({ segmentBytes: SEGMENT_BYTES_DEFAULT, inventory, backups }, histories, timeline);

/** `a to 8`, `a to 8, 2/8-9 missing`, or why not. */
function tell(reach: BackupReach): string {
  if (reach.kind === 'unusable') return reach.because;
  const { backup: of, untilLsn, hole } = reach;
  const missing = hole === null ? '' : `, ${hole.timeline}/${hole.from}-${hole.to} missing`;
  return `${of.id} to ${inSegments(untilLsn)}${missing}`;
}

const inSegments = (lsn: Lsn): number => Number(lsnBytes(lsn)) / SEGMENT_BYTES_DEFAULT;

const FAILOVER: Histories = { 2: [left(1, 10.5)] };

describe('the recovery window', () => {
  const rows: readonly (World & {
    readonly name: string;
    readonly tells: readonly string[];
    /** Earliest, latest; then the gaps, from and to. */
    readonly window: readonly (number | null)[];
  })[] = [
    {
      name: 'nothing archived yet',
      inventory: [],
      backups: [],
      tells: [],
      window: [null, null],
    },
    {
      name: 'one backup, and all WAL since',
      inventory: archive([1, 0, 9]),
      backups: [backup('a', 2)],
      tells: ['a to 10'],
      window: [3.5, 10],
    },
    {
      name: 'a hole between two backups',
      inventory: archive([1, 0, 5], [1, 8, 20]),
      backups: [backup('b', 11), backup('a', 2)],
      tells: ['a to 6, 1/6-7 missing', 'b to 21'],
      window: [3.5, 21, 6, 12.5],
    },
    {
      name: 'a hole that begins where the next backup ends: no gap',
      inventory: archive([1, 0, 5], [1, 8, 20]),
      backups: [backup('a', 2), backup('b', 4, { stopLsn: position(6) })],
      tells: ['a to 6, 1/6-7 missing', 'b to 6, 1/6-7 missing'],
      window: [3.5, 6],
    },
    {
      name: 'two holes: the window ends at the second one',
      inventory: archive([1, 0, 5], [1, 8, 14], [1, 16, 20]),
      backups: [backup('a', 2), backup('b', 9)],
      tells: ['a to 6, 1/6-7 missing', 'b to 15, 1/15-15 missing'],
      window: [3.5, 15, 6, 10.5],
    },
    {
      name: 'two backups before one hole, two after it: one gap',
      inventory: archive([1, 0, 5], [1, 8, 20]),
      backups: [backup('a', 1), backup('b', 3), backup('c', 9), backup('d', 12)],
      tells: ['a to 6, 1/6-7 missing', 'b to 6, 1/6-7 missing', 'c to 21', 'd to 21'],
      window: [2.5, 21, 6, 10.5],
    },
    {
      name: 'no WAL at all',
      inventory: [],
      backups: [backup('a', 2)],
      tells: [
        'a itself needs WAL that is missing in the archive: 2 segments from ' +
          '000000010000000000000002 to 000000010000000000000003',
      ],
      window: [null, null],
    },
    {
      name: 'no WAL but what is stored with the backup: up to its end',
      inventory: archive([1, 0, 2]),
      backups: [backup('a', 2, { hasOwnWal: true })],
      tells: ['a to 3.5'],
      window: [3.5, 3.5],
    },
    {
      name: 'the last segment of a backup is stored with it alone, and later ones are there',
      inventory: archive([1, 0, 2], [1, 4, 9]),
      backups: [backup('a', 2, { hasOwnWal: true })],
      tells: ['a to 3.5, 1/3-3 missing'],
      window: [3.5, 3.5],
    },
    {
      name: 'a hole in what is stored with the backup is none',
      inventory: archive([1, 0, 1], [1, 3, 9]),
      backups: [backup('a', 2, { hasOwnWal: true })],
      tells: ['a to 10'],
      window: [3.5, 10],
    },
    {
      name: 'a hole in the WAL of the first of two backups',
      inventory: archive([1, 0, 2], [1, 4, 20]),
      backups: [backup('a', 2), backup('b', 9)],
      tells: [
        'a itself needs WAL that is missing in the archive: segment 000000010000000000000003',
        'b to 21',
      ],
      window: [10.5, 21],
    },
    {
      name: 'a backup that ends exactly with a segment needs no more than that',
      inventory: archive([1, 2, 3]),
      backups: [backup('a', 2, { stopLsn: position(4) })],
      tells: ['a to 4'],
      window: [4, 4],
    },
    {
      name: 'a failover in mid-segment',
      inventory: archive([1, 0, 9], [2, 10, 15]),
      backups: [backup('a', 2), backup('b', 12, { timeline: 2 })],
      histories: FAILOVER,
      timeline: 2,
      tells: ['a to 16', 'b to 16'],
      window: [3.5, 16],
    },
    {
      name: 'the segment with the fork is there of the old timeline only',
      inventory: archive([1, 0, 12], [2, 11, 15]),
      backups: [backup('a', 2)],
      histories: FAILOVER,
      timeline: 2,
      tells: ['a to 10, 2/10-10 missing'],
      window: [3.5, 10],
    },
    {
      name: 'nothing of the new timeline is archived yet: not a hole, the end',
      inventory: archive([1, 0, 12]),
      backups: [backup('a', 2)],
      histories: FAILOVER,
      timeline: 2,
      tells: ['a to 10'],
      window: [3.5, 10],
    },
    {
      name: 'the old primary wrote on: its own timeline goes further',
      inventory: archive([1, 0, 12], [2, 10, 15]),
      backups: [backup('a', 2)],
      histories: FAILOVER,
      timeline: 1,
      tells: ['a to 13'],
      window: [3.5, 13],
    },
    {
      name: 'a backup of the old primary, ended after the fork',
      inventory: archive([1, 0, 12], [2, 10, 15]),
      backups: [backup('a', 2), backup('b', 9.5)],
      histories: FAILOVER,
      timeline: 2,
      tells: [
        'a to 16',
        'b ends at 0/B000000 on timeline 1, but timeline 2 left that one at 0/A800000 already',
      ],
      window: [3.5, 16],
    },
    {
      name: 'a backup of a standby that followed a failover while it ran',
      inventory: archive([1, 0, 9], [2, 10, 15]),
      backups: [backup('a', 9.25, { timeline: 2 })],
      histories: FAILOVER,
      timeline: 2,
      tells: ['a to 16'],
      window: [10.75, 16],
    },
    {
      name: 'two failovers, one segment of the first new timeline lost',
      inventory: archive([1, 0, 9], [2, 10, 10], [2, 12, 13], [3, 14, 20]),
      backups: [backup('a', 2)],
      histories: { 2: [left(1, 10.5)], 3: [left(1, 10.5), left(2, 14.5)] },
      timeline: 3,
      tells: ['a to 11, 2/11-11 missing'],
      window: [3.5, 11],
    },
    {
      name: 'a restore that branched off earlier: backups of the abandoned timeline do not count',
      inventory: archive([1, 0, 9], [2, 10, 30], [3, 5, 8]),
      backups: [backup('a', 2), backup('b', 6), backup('c', 12, { timeline: 2 })],
      histories: { 2: [left(1, 10.5)], 3: [left(1, 5.5)] },
      timeline: 3,
      tells: [
        'a to 9',
        'b ends at 0/7800000 on timeline 1, but timeline 3 left that one at 0/5800000 already',
        'c was taken on timeline 2, which does not lead to timeline 3',
      ],
      window: [3.5, 9],
    },
    {
      name: 'the history of the timeline is lost',
      inventory: archive([1, 0, 9], [2, 10, 15]),
      backups: [backup('a', 2)],
      timeline: 2,
      tells: ['the way to timeline 2 is not known: there is no 00000002.history in the archive'],
      window: [null, null],
    },
    {
      name: 'an increment, and one whose full backup is gone',
      inventory: archive([1, 0, 20]),
      backups: [
        backup('full', 1),
        backup('one', 3, { parent: 'full' }),
        backup('two', 5, { parent: 'one' }),
        backup('orphan', 7, { parent: 'gone' }),
        backup('child', 9, { parent: 'orphan' }),
        backup('self', 11, { parent: 'self' }),
      ],
      tells: [
        'full to 21',
        'one to 21',
        'two to 21',
        'orphan is an increment of gone, which is not there',
        'child builds on orphan, and orphan is an increment of gone, which is not there',
        'self is an increment of self, which is not there',
      ],
      window: [2.5, 21],
    },
  ];

  for (const { name, tells, window, ...world } of rows) {
    it(name, () => {
      const { earliest, latestLsn, gaps, backups } = look(world);
      expect(backups.map(tell)).to.deep.equal(tells);
      expect([
        earliest === null ? null : inSegments(earliest.lsn),
        latestLsn === null ? null : inSegments(latestLsn),
        ...gaps.flatMap(({ fromLsn, toLsn }) => [inSegments(fromLsn), inSegments(toLsn)]),
      ]).to.deep.equal(window);
    });
  }

  it('names what is missing behind its end', () => {
    const { hole } = look({ inventory: archive([1, 0, 5], [1, 8, 9]), backups: [backup('a', 2)] });
    expect(hole).to.deep.equal({ timeline: 1, from: 6, to: 7 });
  });

  it('leads exactly to the points to which one can walk, segment by segment', () => {
    const worlds = fc.record({
      missing: fc.array(fc.record({ timeline: fc.constantFrom(1, 2), number: fc.nat(20) })),
      starts: fc.uniqueArray(fc.integer({ min: 0, max: 17 }), { minLength: 1, maxLength: 4 }),
    });
    fc.assert(
      fc.property(worlds, ({ missing, starts }) => {
        const has = (timeline: number, number: number): boolean =>
          number <= 20 &&
          !missing.some((each) => each.timeline === timeline && each.number === number);
        const numbers = Array.from({ length: 21 }, (_, number) => number);
        const all = [1, 2].flatMap((timeline) =>
          numbers.filter((number) => has(timeline, number)).map((n) => [timeline, n, n] as const),
        );
        const timelineOf = (number: number): number => (number < 10 ? 1 : 2);
        const backups = starts.map((at) =>
          backup(`b${at}`, at, { timeline: at + 1.5 <= 10.5 ? 1 : 2 }),
        );
        const window = look({
          inventory: archive(...all),
          backups,
          histories: FAILOVER,
          timeline: 2,
        });
        const walked = backups.map(({ startLsn, stopLsn }) => {
          let number = Math.floor(inSegments(startLsn));
          while (has(timelineOf(number), number)) number += 1;
          return { stop: inSegments(stopLsn), until: number };
        });
        const usable = walked.filter(({ stop, until }) => until >= stop);
        const reachable = (at: number): boolean =>
          usable.some(({ stop, until }) => stop <= at && at <= until);
        const [first, last] = [window.earliest?.lsn, window.latestLsn];
        for (let at = 0; at <= 22; at += 0.25) {
          const isIn =
            first != null &&
            last !== null &&
            inSegments(first) <= at &&
            at <= inSegments(last) &&
            !window.gaps.some(
              ({ fromLsn, toLsn }) => inSegments(fromLsn) < at && at < inSegments(toLsn),
            );
          expect(isIn, `position ${at}`).to.equal(reachable(at));
        }
      }),
    );
  });
});
