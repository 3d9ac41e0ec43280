import { expect } from 'chai';
import { CELLS, cellsNamed, shapeFor, type Cell } from '../matrix/cells';
import { randomCells } from '../matrix/random';
import { line, summaryRows } from '../matrix/report';
import { violations, type Result } from '../matrix/result';

const [moving] = cellsNamed(['manager-freeze']) as [Cell];
const [frozen] = cellsNamed(['node-freeze']) as [Cell];

/** A repetition in which all went well, but for what is given. */
const result = (
  changes: Partial<Result> = {},
  judged: Partial<Result['judgement']> = {},
): Result => ({
  cell: moving,
  shape: { servers: 3, sync: 'required' },
  ...{ repetition: 1, from: 'pg1', to: 'pg2', gapMs: 900, healingGapMs: null, backMs: 5000 },
  ...{ ledger: null, problems: [] },
  ...changes,
  judgement: {
    ...{ acknowledged: 1000, unknown: 4, lost: 0, absent: 2, rows: 1002 },
    ...{ lateWrites: 0, newLateWrites: 0, durationMs: 0, sharedTimelines: [] },
    ...judged,
  },
});

const asynchronous = { servers: 2, sync: 'none' } as const;

describe('the verdict on a repetition', () => {
  it('finds nothing when all went well', () => {
    expect(violations(result())).to.deep.equal([]);
    expect(line(result())).to.match(/pg1 → pg2, gap 0\.90 s, back after 5\.00 s.*ok$/);
  });

  it('finds a primary that did not move, and one that should not have', () => {
    expect(violations(result({ to: 'pg1' }))).to.match(/did not move/);
    const stays = { ...moving, primary: 'stays' } as const;
    expect(violations(result({ cell: stays }))).to.match(/pg2 took over, and must not/);
  });

  it('finds two writers, by their times and by their timeline', () => {
    expect(violations(result({}, { lateWrites: 3, durationMs: 12 }))).to.match(/12 ms: 3 late/);
    expect(violations(result({}, { sharedTimelines: [4] }))).to.match(/timeline 4/);
  });

  it('lets a thawed server acknowledge for a moment, but not with synchronous replication', () => {
    const late = { lateWrites: 3, newLateWrites: 1, durationMs: 12 };
    expect(violations(result({ cell: frozen, shape: asynchronous }, late))).to.deep.equal([]);
    expect(violations(result({ cell: frozen }, late))).to.have.length(1);
    const long = { ...late, durationMs: 51 };
    expect(violations(result({ cell: frozen, shape: asynchronous }, long))).to.have.length(1);
  });

  it('finds every lost write where replication is synchronous', () => {
    expect(violations(result({ ledger: 1 }, { lost: 1 }))).to.match(/1 acknowledged writes lost/);
    expect(violations(result({ ledger: 1, shape: asynchronous }, { lost: 1 }))).to.deep.equal([]);
  });

  it('finds a ledger that says something else than the history', () => {
    const wrong = (ledger: number | null): string[] =>
      violations(result({ shape: asynchronous, ledger }, { lost: 100, absent: 20 }));
    expect(wrong(null)).to.match(/no entry/);
    expect(wrong(89)).to.match(/ledger names 89 transactions, the history 100 to 120/);
    expect(wrong(90)).to.deep.equal([]);
    expect(wrong(133)).to.deep.equal([]);
    expect(wrong(134)).to.have.length(1);
  });

  it('finds a redundancy that came back late, or never', () => {
    expect(violations(result({ healingGapMs: 10_001 }))).to.match(/no writes for 10\.0 s/);
    expect(violations(result({ healingGapMs: 10_000 }))).to.deep.equal([]);
    expect(violations(result({ backMs: 15_001 }))).to.match(/after 15\.0 s, more than 15 s/);
    expect(violations(result({ backMs: null, problems: ['not back'] }))).to.deep.equal([
      'not back',
    ]);
  });
});

describe('the cells', () => {
  it('have names of their own', () => {
    expect(new Set(CELLS.map(({ name }) => name)).size).to.equal(CELLS.length);
    expect(() => cellsNamed(['typo'])).to.throw(/no cell typo; there are postmaster-kill/);
  });

  it('are left out where they do not fit', () => {
    const [lagging, full] = cellsNamed(['standby-lagging', 'data-full']) as [Cell, Cell];
    expect(shapeFor(lagging, { servers: 3, sync: 'required' })).to.equal(null);
    expect(shapeFor(lagging, asynchronous)).to.deep.equal(asynchronous);
    expect(shapeFor(full, asynchronous)).to.deep.include({ servers: 2, smallVolumeMb: 500 });
  });

  it('come in the same order by chance for the same seed', () => {
    expect(randomCells(CELLS, 50, 7)).to.deep.equal(randomCells(CELLS, 50, 7));
    expect(randomCells(CELLS, 50, 7)).to.not.deep.equal(randomCells(CELLS, 50, 8));
    expect(new Set(randomCells(CELLS, 200, 1)).size).to.be.greaterThan(CELLS.length / 2);
  });
});

describe('the summary', () => {
  it('has one row for a cell and shape, with the median', () => {
    const results = [900, 1100, 1000].map((gapMs) => result({ gapMs }));
    const [row, other] = summaryRows([...results, result({ shape: asynchronous })]);
    expect(row?.slice(2, 6)).to.deep.equal(['3', '1.00', '0.90', '1.10']);
    expect(other?.[1]).to.equal('2 servers, asynchronous');
  });
});
