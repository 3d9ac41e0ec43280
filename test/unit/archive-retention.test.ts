import { expect } from 'chai';
import fc from 'fast-check';
import { reachOf, type BackupReach, type BaseBackup } from '../../src/core/archive/backups';
import { subtract, type Inventory } from '../../src/core/archive/inventory';
import { retain, type Retention, type RetentionRules } from '../../src/core/archive/retention';
import { type RetainedArchive } from '../../src/core/archive/wal-retention';
import { SEGMENT_BYTES_DEFAULT } from '../../src/core/archive/wal-files';
import { lineageOf, type Histories } from '../../src/core/timelines';
import { archive, backup, HOUR_MS, left, MORNING_MS } from './archive-world';

interface World {
  readonly inventory: Inventory;
  readonly backups: readonly BaseBackup[];
  readonly histories?: Histories;
  readonly inUse?: readonly string[];
  readonly young?: RetainedArchive['young'];
  readonly rules: Partial<RetentionRules>;
  /** Hours after the morning; backup 3 ended half an hour after hour 3. */
  readonly hour?: number;
}

function decide(world: World): Retention {
  const { inventory, backups, histories = {}, inUse = [], young = [], rules, hour = 24 } = world;
  return retain(
    { segmentBytes: SEGMENT_BYTES_DEFAULT, inventory, backups, histories, inUse, young },
    { keep: null, maxAgeMs: null, walWithoutBackup: 'keep', ...rules },
    MORNING_MS + hour * HOUR_MS,
  );
}

const ALL = archive([1, 0, 30]);
const hourly = [backup('a', 1), backup('b', 4), backup('c', 7), backup('d', 10)];

describe('retention', () => {
  const rows: readonly (World & {
    readonly name: string;
    readonly keeps: readonly string[];
    /** `timeline: lowest segment that stays`. */
    readonly below: Readonly<Record<number, number>>;
    /** A few of the reasons. */
    readonly reasons?: Readonly<Record<string, string>>;
    readonly walReasons?: Readonly<Record<number, string>>;
  })[] = [
    {
      name: 'without a rule everything stays',
      inventory: ALL,
      backups: hourly,
      rules: {},
      keeps: ['a', 'b', 'c', 'd'],
      below: { 1: 1 },
      reasons: { a: 'no rule says when backups go', d: 'it is the newest usable backup' },
    },
    {
      name: 'by number',
      inventory: ALL,
      backups: hourly,
      rules: { keep: 2 },
      keeps: ['c', 'd'],
      below: { 1: 7 },
      reasons: {
        b: 'the newest 2 usable ones stay without it',
        c: 'it is one of the newest 2 usable ones',
      },
      walReasons: { 1: 'c needs it from 000000010000000000000007 on' },
    },
    {
      name: 'the newest usable one stays even when none is wanted',
      inventory: ALL,
      backups: hourly,
      rules: { keep: 0 },
      keeps: ['d'],
      below: { 1: 10 },
    },
    {
      name: 'by age: the one before the oldest young one leads to the points between',
      inventory: ALL,
      backups: hourly,
      rules: { maxAgeMs: 4 * HOUR_MS },
      hour: 11,
      keeps: ['b', 'c', 'd'],
      below: { 1: 4 },
      reasons: {
        a: 'no point of the last 4h needs it',
        b: 'it alone leads to the points from 4h ago on',
        c: 'it is younger than 4h',
      },
    },
    {
      name: 'by age, all of them old',
      inventory: ALL,
      backups: hourly,
      rules: { maxAgeMs: HOUR_MS },
      hour: 500,
      keeps: ['d'],
      below: { 1: 10 },
    },
    {
      name: 'by number and age: what either of them wants',
      inventory: ALL,
      backups: hourly,
      rules: { keep: 3, maxAgeMs: HOUR_MS },
      hour: 500,
      keeps: ['b', 'c', 'd'],
      below: { 1: 4 },
      reasons: {
        a: 'the newest 3 usable ones stay without it, and no point of the last 1h needs it',
      },
    },
    {
      name: 'one that is being restored from',
      inventory: ALL,
      backups: hourly,
      inUse: ['a'],
      rules: { keep: 1 },
      keeps: ['a', 'd'],
      below: { 1: 1 },
      reasons: { a: 'it is being restored from' },
    },
    {
      name: 'what a kept increment builds on',
      inventory: ALL,
      backups: [
        backup('full', 1),
        backup('one', 4, { parent: 'full' }),
        backup('side', 6, { parent: 'full' }),
        backup('two', 8, { parent: 'one' }),
      ],
      rules: { keep: 1 },
      keeps: ['full', 'one', 'two'],
      below: { 1: 1 },
      reasons: { full: 'two, which stays, builds on it', one: 'two, which stays, builds on it' },
    },
    {
      name: 'one that cannot be used does not count, and stays while an older one does',
      inventory: archive([1, 0, 7], [1, 9, 30]),
      backups: hourly,
      rules: { keep: 2 },
      keeps: ['b', 'c', 'd'],
      below: { 1: 4 },
      reasons: {
        c:
          'it may become usable yet: c itself needs WAL that is missing in the archive: ' +
          'segment 000000010000000000000008',
      },
    },
    {
      name: 'one that cannot be used and is older than all that stay',
      inventory: archive([1, 0, 1], [1, 3, 30]),
      backups: hourly,
      rules: { keep: 2 },
      keeps: ['c', 'd'],
      below: { 1: 7 },
      reasons: {
        a:
          'it is older than every usable one that stays, and not usable: a itself needs WAL that is ' +
          'missing in the archive: segment 000000010000000000000002',
      },
    },
    {
      name: 'none can be used: everything stays, it may be mended from a peer',
      inventory: archive([1, 20, 30]),
      backups: hourly,
      rules: { keep: 1 },
      keeps: ['a', 'b', 'c', 'd'],
      below: { 1: 0 },
      walReasons: { 1: 'all of it stays: no backup is usable' },
    },
    {
      name: 'no backup: WAL stays, however old',
      inventory: ALL,
      backups: [],
      young: [{ timeline: 1, number: 20 }],
      rules: { maxAgeMs: HOUR_MS },
      keeps: [],
      below: { 1: 0 },
    },
    {
      name: 'no backup, and WAL is to go by age: where its age is known',
      inventory: archive([1, 0, 9], [2, 10, 30]),
      backups: [],
      histories: { 2: [left(1, 10.5)] },
      young: [{ timeline: 2, number: 20 }],
      rules: { maxAgeMs: HOUR_MS, walWithoutBackup: 'expire' },
      keeps: [],
      below: { 1: 0, 2: 20 },
      walReasons: { 2: 'there is no backup, and it is older than 1h' },
    },
    {
      name: 'a failover: the WAL of the old timeline goes when no backup begins on it',
      inventory: archive([1, 0, 12], [2, 10, 30]),
      backups: [backup('a', 2), backup('b', 15, { timeline: 2 })],
      histories: { 2: [left(1, 10.5)] },
      rules: { keep: 1 },
      keeps: ['b'],
      below: { 1: 13, 2: 15 },
      walReasons: { 1: 'no backup that stays leads to timeline 1' },
    },
    {
      name: 'two failovers: the kept backup begins on the first timeline',
      inventory: archive([1, 0, 10], [2, 10, 20], [3, 20, 30]),
      backups: [backup('a', 1), backup('b', 4)],
      histories: { 2: [left(1, 10.5)], 3: [left(1, 10.5), left(2, 20.5)] },
      rules: { keep: 1 },
      keeps: ['b'],
      below: { 1: 4, 2: 10, 3: 20 },
    },
    {
      name: 'a restore branched off: the newest usable one is the one before the branch',
      inventory: archive([1, 0, 9], [2, 10, 30], [3, 5, 8]),
      backups: [backup('a', 0), backup('b', 2), backup('c', 12, { timeline: 2 })],
      histories: { 2: [left(1, 10.5)], 3: [left(1, 5.5)] },
      rules: { keep: 1 },
      keeps: ['b', 'c'],
      below: { 1: 2, 2: 10, 3: 5 },
      reasons: {
        b: 'it is the newest usable backup',
        c: 'it may become usable yet: c was taken on timeline 2, which does not lead to timeline 3',
      },
    },
    {
      name: 'the abandoned timeline goes when all that stay are newer than its backups',
      inventory: archive([1, 0, 9], [2, 10, 20], [3, 5, 60]),
      backups: [backup('a', 2), backup('c', 12, { timeline: 2 }), backup('d', 40, { timeline: 3 })],
      histories: { 2: [left(1, 10.5)], 3: [left(1, 5.5)] },
      rules: { keep: 1 },
      keeps: ['d'],
      below: { 1: 10, 2: 21, 3: 40 },
    },
    {
      name: 'WAL of a timeline whose history is lost',
      inventory: archive([1, 0, 30], [4, 12, 20]),
      backups: hourly,
      rules: { keep: 1 },
      keeps: ['d'],
      below: { 1: 10, 4: 0 },
      walReasons: { 4: 'all of it stays: where timeline 4 comes from is not known' },
    },
    {
      name: 'WAL of a timeline whose history cannot be true',
      inventory: archive([2, 10, 30], [3, 12, 20]),
      backups: [backup('a', 15, { timeline: 2 })],
      histories: { 2: [left(1, 10.5)], 3: [left(1, 12.5), left(2, 11.5)] },
      rules: { keep: 1 },
      keeps: ['a'],
      below: { 2: 15, 3: 0 },
    },
    {
      name: 'a backup of a timeline whose history is lost: whatever it may need',
      inventory: archive([1, 0, 30], [4, 3, 20]),
      backups: [backup('a', 1), backup('x', 5, { timeline: 4 }), backup('b', 4)],
      rules: { keep: 1 },
      keeps: ['b', 'x'],
      below: { 1: 4, 4: 5 },
    },
  ];

  for (const { name, keeps, below, reasons = {}, walReasons = {}, ...world } of rows) {
    it(name, () => {
      const { backups, wal } = decide(world);
      const kept = backups.filter(({ verdict }) => verdict === 'keep').map(({ id }) => id);
      expect(kept).to.deep.equal(keeps);
      expect(Object.fromEntries(wal.map((each) => [each.timeline, each.below]))).to.deep.equal(
        below,
      );
      const told = new Map(backups.map(({ id, because }) => [id, because]));
      for (const [id, because] of Object.entries(reasons)) {
        expect(told.get(id), id).to.equal(because);
      }
      for (const { timeline, because } of wal) {
        expect(because).to.equal(walReasons[timeline] ?? because);
      }
    });
  }

  it('never takes a segment or a parent that a kept backup needs, on any timeline', () => {
    const histories: Histories = {
      2: [left(1, 10.5)],
      3: [left(1, 5.5)],
      4: [left(1, 10.5), left(2, 14.25)],
    };
    const worlds = fc.record({
      missing: fc.array(fc.record({ timeline: fc.integer({ min: 1, max: 4 }), at: fc.nat(25) }), {
        maxLength: 6,
      }),
      starts: fc.array(fc.tuple(fc.nat(20), fc.integer({ min: 1, max: 4 }), fc.option(fc.nat(5))), {
        maxLength: 6,
      }),
      keep: fc.option(fc.nat(3)),
      maxAge: fc.option(fc.nat(20)),
      hour: fc.nat(30),
      inUse: fc.option(fc.nat(5)),
    });
    fc.assert(
      fc.property(worlds, ({ missing, starts, keep, maxAge, hour, inUse }) => {
        const inventory = subtract(
          archive([1, 0, 25], [2, 10, 25], [3, 5, 25], [4, 14, 25]),
          archive(...missing.map(({ timeline, at }) => [timeline, at, at] as const)),
        );
        const backups = starts.map(([at, timeline, parent], index) =>
          backup(`b${index}`, at, { timeline, parent: parent === null ? null : `b${parent}` }),
        );
        const world = { inventory, backups, histories, hour };
        const rules = { keep, maxAgeMs: maxAge === null ? null : maxAge * HOUR_MS };
        const used = inUse === null ? [] : [`b${inUse}`];
        const { backups: verdicts, wal } = decide({ ...world, inUse: used, rules });
        const staying = backups.filter(({ id }) =>
          verdicts.some((each) => each.id === id && each.verdict === 'keep'),
        );
        const rest = subtract(
          inventory,
          archive(
            ...wal.flatMap(({ timeline: t, below: b }) => (b > 0 ? [[t, 0, b - 1] as const] : [])),
          ),
        );
        const reach = (timeline: number, i: Inventory, b: readonly BaseBackup[]): BackupReach[] =>
          reachOf(
            { segmentBytes: SEGMENT_BYTES_DEFAULT, inventory: i, backups: b },
            lineageOf(timeline, histories)!,
          ).filter(({ backup: { id } }) => staying.some((each) => each.id === id));
        let isAnyUsable = false;
        for (const timeline of [1, 2, 3, 4]) {
          const before = reach(timeline, inventory, backups);
          expect(reach(timeline, rest, staying)).to.deep.equal(before);
          if (timeline === 4) isAnyUsable = before.some(({ kind }) => kind === 'usable');
        }
        const wasAnyUsable = reachOf(
          { segmentBytes: SEGMENT_BYTES_DEFAULT, inventory, backups },
          lineageOf(4, histories)!,
        ).some(({ kind }) => kind === 'usable');
        expect(isAnyUsable).to.equal(wasAnyUsable);
        for (const id of used) {
          expect(verdicts.find((v) => v.id === id)?.verdict ?? 'keep').to.equal('keep');
        }
      }),
      { numRuns: 200 },
    );
  });
});
