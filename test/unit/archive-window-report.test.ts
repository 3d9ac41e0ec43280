import { expect } from 'chai';
import { type BaseBackup } from '../../src/core/archive/backups';
import { type Inventory } from '../../src/core/archive/inventory';
import { SEGMENT_BYTES_DEFAULT } from '../../src/core/archive/wal-files';
import { bestWindow, windowReport, type WindowReport } from '../../src/core/archive/window-report';
import { type Histories } from '../../src/core/timelines';
import { archive, backup, left, MORNING_MS, position } from './archive-world';

const report = (
  inventory: Inventory,
  backups: readonly BaseBackup[],
  { histories = {}, timeline = 1 }: { histories?: Histories; timeline?: number } = {},
): WindowReport =>
  windowReport({ segmentBytes: SEGMENT_BYTES_DEFAULT, inventory, backups }, histories, timeline);

describe('the recovery window of a report', () => {
  const rows: readonly {
    readonly name: string;
    readonly report: WindowReport;
    /** Earliest and latest, in segments. */
    readonly points: readonly [number, number] | null;
    readonly because: RegExp | null;
    readonly isDisturbed: boolean;
  }[] = [
    {
      name: 'WAL, and no backup',
      report: report(archive([1, 0, 9]), []),
      points: null,
      because: /^there is no base backup$/,
      isDisturbed: false,
    },
    {
      name: 'a backup with its own WAL, whose last segment is not archived yet',
      report: report(archive([1, 0, 2]), [backup('a', 2, { hasOwnWal: true })]),
      points: [3.5, 3.5],
      because: null,
      isDisturbed: false,
    },
    {
      name: 'WAL of the only backup is missing, and later WAL is there',
      report: report(archive([1, 4, 9]), [backup('a', 2)]),
      points: null,
      because: /^a itself needs WAL that is missing/,
      isDisturbed: true,
    },
    {
      name: 'a hole at the end',
      report: report(archive([1, 0, 9], [1, 11, 12]), [backup('a', 2)]),
      points: [3.5, 10],
      because: /^nothing leads further \(missing: segment 00000001000000000000000A\)$/,
      isDisturbed: true,
    },
    {
      name: 'a hole before the second backup',
      report: report(archive([1, 0, 5], [1, 8, 20]), [backup('a', 2), backup('b', 11)]),
      points: [3.5, 21],
      because: /^nothing leads to what is between .*missing: 2 segments from .*6 to .*7\)$/,
      isDisturbed: true,
    },
    {
      name: 'five holes: the last ones are told',
      report: report(
        archive(...[0, 5, 10, 15, 20, 25].map((from) => [1, from, from + 3] as const)),
        [0, 5, 10, 15, 20, 25].map((at) => backup(`b${at}`, at)),
      ),
      points: [1.5, 29],
      because: /^5 gaps; the last ones: ([^;]+; ){2}[^;]+$/,
      isDisturbed: true,
    },
    {
      name: 'over a failover',
      report: report(archive([1, 0, 9], [2, 10, 12]), [backup('a', 2)], {
        histories: { 2: [left(1, 10.5)] },
        timeline: 2,
      }),
      points: [3.5, 13],
      because: null,
      isDisturbed: false,
    },
  ];
  for (const { name, report: seen, points, because, isDisturbed } of rows) {
    it(name, () => {
      const [earliest, latest] = points ?? [];
      expect(seen.points?.earliest.lsn).to.equal(earliest && position(earliest));
      expect(seen.points?.latest.lsn).to.equal(latest && position(latest));
      if (because === null) expect(seen.because).to.equal(null);
      else expect(seen.because).to.match(because);
      expect(seen.isDisturbed).to.equal(isDisturbed);
    });
  }

  it('tells when the oldest backup ended, and of the end only what is known of it', () => {
    const own = backup('a', 2, { hasOwnWal: true });
    const at = new Date(MORNING_MS + 2.5 * 3_600_000).toISOString();
    const ends = ({ points }: WindowReport): unknown => [points?.earliest.at, points?.latest.at];
    expect(ends(report(archive([1, 0, 9]), [own]))).to.deep.equal([at, null]);
    expect(ends(report(archive(), [own]))).to.deep.equal([at, at]);
  });

  it('of several servers: the present timeline, then one without a gap, then the furthest', () => {
    const old = report(archive([1, 0, 30]), [backup('a', 2)]);
    const histories = { 2: [left(1, 10.5)] };
    const after = (to: number, backups = [backup('a', 2)], lost: readonly number[] = []) =>
      report(
        archive([1, 0, 9], [2, 10, lost[0] === undefined ? to : lost[0] - 1], [2, to, to]),
        backups,
        { histories, timeline: 2 },
      );
    const [short, long, broken, none] = [
      after(12),
      after(14),
      after(20, undefined, [15]),
      after(20, []),
    ];
    expect(broken.isDisturbed).to.equal(true);
    expect(bestWindow([])).to.equal(null);
    expect(bestWindow([old, none, broken, short, long])).to.equal(long);
    expect(bestWindow([old, none, broken])).to.equal(broken);
    expect(bestWindow([old, none])).to.equal(none);
  });
});
