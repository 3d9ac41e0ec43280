import { expect } from 'chai';
import { chooseBackup, type RestorableArchive } from '../../src/core/archive/choose-backup';
import { SEGMENT_BYTES_DEFAULT } from '../../src/core/archive/wal-files';
import { parseTarget, type TargetDocument } from '../../src/core/restore/target';
import { archive, backup, HOUR_MS, left, MORNING_MS, position } from './archive-world';

const hour = (hours: number): string => new Date(MORNING_MS + hours * HOUR_MS).toISOString();

/** Backups at 1, 4 and 10; each ends half an hour and one and a half segments later. */
const WORLD: RestorableArchive = {
  segmentBytes: SEGMENT_BYTES_DEFAULT,
  inventory: archive([1, 0, 20]),
  backups: [backup('a', 1), backup('b', 4), backup('c', 10)],
  histories: {},
  milestones: [],
};

const HOLE = { ...WORLD, inventory: archive([1, 0, 6], [1, 9, 20]) };
const HOLE_AT_END = { ...WORLD, inventory: archive([1, 0, 14], [1, 16, 20]) };
const FAILOVER = {
  ...WORLD,
  inventory: archive([1, 0, 12], [2, 10, 20]),
  backups: [backup('a', 1), backup('b', 4), backup('old', 9.5)],
  histories: { 2: [left(1, 10.5)] },
};
const BRANCHED = {
  ...WORLD,
  inventory: archive([1, 0, 9], [2, 10, 20], [3, 5, 8]),
  backups: [backup('a', 1), backup('b', 6), backup('c', 12, { timeline: 2 })],
  histories: { 2: [left(1, 10.5)], 3: [left(1, 5.5)] },
};

const RANGE =
  'On timeline 1 the earliest point is 0/2800000 (2026-11-21T08:30:00.000Z), the last is 0/15000000';

describe('the backup for a restore', () => {
  const rows: readonly {
    readonly name: string;
    readonly draft: TargetDocument & { readonly backup?: string };
    readonly world?: RestorableArchive;
    readonly timeline?: number;
    /** The chosen one, then the older ones to be tried. */
    readonly chosen?: readonly string[];
    readonly caveat?: string;
    readonly refused?: string;
  }[] = [
    { name: 'all WAL: the newest', draft: { latest: true }, chosen: ['c'] },
    { name: 'immediately: the newest', draft: { immediate: true }, chosen: ['c'] },
    {
      name: 'immediately, an older one by name',
      draft: { immediate: true, backup: 'a' },
      chosen: ['a'],
    },
    { name: 'a time between two: the older', draft: { time: hour(9) }, chosen: ['b'] },
    { name: 'the moment in which one ended: that one', draft: { time: hour(4.5) }, chosen: ['b'] },
    {
      name: 'a time before the first one ended',
      draft: { time: hour(1.25) },
      refused: `${hour(1.25)} is before the first usable backup. ${RANGE}`,
    },
    {
      name: 'a time behind all that is known',
      draft: { time: hour(15) },
      chosen: ['c'],
      caveat: `whether ${hour(15)} is in reach is not known: the archive's WAL ends at 0/15000000`,
    },
    {
      name: 'the same when WAL of a later time is there',
      draft: { time: hour(15) },
      world: {
        ...WORLD,
        milestones: [{ timeline: 1, lsn: position(20), atMs: MORNING_MS + 16 * HOUR_MS }],
      },
      chosen: ['c'],
    },
    {
      name: 'a time behind WAL that is not there',
      draft: { time: hour(15) },
      world: {
        ...WORLD,
        milestones: [{ timeline: 1, lsn: position(22), atMs: MORNING_MS + 14 * HOUR_MS }],
      },
      refused: `${hour(15)} is not in reach: the archive's WAL ends at 0/15000000. ${RANGE}`,
    },
    {
      name: 'what is known of another timeline does not count',
      draft: { time: hour(9) },
      world: {
        ...WORLD,
        milestones: [{ timeline: 2, lsn: position(40), atMs: MORNING_MS + 8 * HOUR_MS }],
      },
      chosen: ['b'],
    },
    { name: 'a position between two', draft: { lsn: position(9) }, chosen: ['b'] },
    { name: 'WAL position at which one ended', draft: { lsn: position(5.5) }, chosen: ['b'] },
    { name: 'a position just before that', draft: { lsn: position(5.4) }, chosen: ['a'] },
    { name: 'the last position', draft: { lsn: position(20.99) }, chosen: ['c'] },
    {
      name: 'WAL position behind it',
      draft: { lsn: position(21) },
      refused: `WAL position 0/15000000 is not in reach: the archive's WAL ends at 0/15000000. ${RANGE}`,
    },
    {
      name: 'a position in a hole',
      draft: { lsn: position(8) },
      world: HOLE,
      refused:
        'WAL position 0/8000000 is not in reach: replay ends at 0/7000000, where the archive lacks ' +
        `2 segments from 000000010000000000000007 to 000000010000000000000008. ${RANGE}; between ` +
        '0/7000000 and 0/B800000 (2026-11-21T17:30:00.000Z) there is a hole: the archive lacks ' +
        '2 segments from 000000010000000000000007 to 000000010000000000000008',
    },
    {
      name: 'a position before the hole',
      draft: { lsn: position(6.5) },
      world: HOLE,
      chosen: ['b'],
    },
    {
      name: 'a position behind the hole',
      draft: { lsn: position(12) },
      world: HOLE,
      chosen: ['c'],
    },
    {
      name: 'a time that may lie in a hole',
      draft: { time: hour(9) },
      world: HOLE,
      chosen: ['b'],
      caveat:
        `whether ${hour(9)} is in reach is not known: replay ends at 0/7000000, where the ` +
        'archive lacks 2 segments from 000000010000000000000007 to 000000010000000000000008',
    },
    {
      name: 'all WAL, with a hole in it: said',
      draft: { latest: true },
      world: HOLE_AT_END,
      chosen: ['c'],
      caveat: 'replay ends at 0/F000000, where the archive lacks segment 00000001000000000000000F',
    },
    {
      name: 'a transaction: the newest first, then the older ones',
      draft: { xid: 745 },
      chosen: ['c', 'b', 'a'],
      caveat:
        "whether transaction 745 is in reach is not known: the archive's WAL ends at 0/15000000",
    },
    {
      name: 'a restore point, and the backup for it',
      draft: { name: 'before-migration', backup: 'b' },
      chosen: ['b'],
      caveat:
        'whether restore point "before-migration" is in reach is not known: ' +
        "the archive's WAL ends at 0/15000000",
    },
    {
      name: 'a backup that nobody has',
      draft: { latest: true, backup: 'z' },
      refused: `there is no backup z in the archive. ${RANGE}`,
    },
    {
      name: 'a backup that ends behind the target',
      draft: { lsn: position(6), backup: 'c' },
      refused: `c ends behind WAL position 0/6000000. ${RANGE}`,
    },
    {
      name: 'no backup at all',
      draft: { latest: true },
      world: { ...WORLD, backups: [] },
      refused: 'there is no backup in the archive. No point of timeline 1 can be reached',
    },
    {
      name: 'no usable backup',
      draft: { latest: true },
      world: { ...WORLD, inventory: archive([1, 12, 20]) },
      refused:
        'no backup leads to timeline 1; of the newest one: c itself needs WAL that is missing in the ' +
        'archive: 2 segments from 00000001000000000000000A to 00000001000000000000000B. ' +
        'No point of timeline 1 can be reached',
    },
    {
      name: 'one that cannot be used, by name',
      draft: { latest: true, backup: 'c' },
      world: { ...WORLD, inventory: archive([1, 0, 10], [1, 12, 20]) },
      refused:
        'c cannot be used: c itself needs WAL that is missing in the archive: ' +
        'segment 00000001000000000000000B. ' +
        'On timeline 1 the earliest point is 0/2800000 (2026-11-21T08:30:00.000Z), ' +
        'the last is 0/B000000',
    },
    {
      name: 'after a failover: over the fork, not by the old primary',
      draft: { lsn: position(15) },
      world: FAILOVER,
      timeline: 2,
      chosen: ['b'],
    },
    {
      name: 'what the old primary wrote after the failover: by its timeline',
      draft: { lsn: position(12.5), timeline: 1 },
      world: FAILOVER,
      chosen: ['old'],
    },
    {
      name: 'after a restore that branched off: none of the abandoned timeline',
      draft: { latest: true },
      world: BRANCHED,
      timeline: 3,
      chosen: ['a'],
    },
    {
      name: 'the abandoned timeline by its number',
      draft: { lsn: position(15), timeline: 2 },
      world: BRANCHED,
      timeline: 2,
      chosen: ['c'],
    },
    {
      name: 'a position of the abandoned timeline without its number',
      draft: { lsn: position(15) },
      world: BRANCHED,
      refused:
        "WAL position 0/F000000 is not in reach: the archive's WAL ends at 0/9000000. On timeline 3 " +
        'the earliest point is 0/2800000 (2026-11-21T08:30:00.000Z), the last is 0/9000000',
    },
    {
      name: 'a timeline that nobody knows',
      draft: { latest: true, timeline: 7 },
      refused:
        'no backup leads to timeline 7; of the newest one: the way to timeline 7 is not known: there ' +
        'is no 00000007.history in the archive. No point of timeline 7 can be reached',
    },
  ];

  for (const { name, draft, world = WORLD, timeline = 1, caveat = null, ...expected } of rows) {
    it(name, () => {
      const { backup: id = null, ...document } = draft;
      const parsed = parseTarget(document);
      if (parsed.kind === 'findings') throw new Error(JSON.stringify(parsed.findings));
      const choice = chooseBackup({ target: parsed.target, backup: id }, world);
      if (choice.kind === 'refused') {
        expect(choice.because).to.equal(expected.refused);
        return;
      }
      const ids = [choice.backup, ...choice.older].map(({ id }) => id);
      expect({ ids, timeline: choice.timeline, caveat: choice.caveat }).to.deep.equal({
        ids: expected.chosen,
        timeline,
        caveat,
      });
    });
  }
});
