import { expect } from 'chai';
import fc from 'fast-check';
import { type Inventory } from '../../src/core/archive/inventory';
import { belongs, segmentsOnWay } from '../../src/core/archive/way';
import { lastSegment, SEGMENT_BYTES_DEFAULT as SIZE } from '../../src/core/archive/wal-files';
import {
  lineageOf,
  newestLineage,
  wayOf,
  type Histories,
  type Lineage,
} from '../../src/core/timelines';
import { lsnBytes } from '../../src/core/lsn';
import { left, position } from './archive-world';

const LAST = lastSegment(SIZE);

describe('the segments that lead to a timeline', () => {
  const rows: readonly {
    readonly name: string;
    readonly lineage: Lineage;
    readonly segments: Inventory;
  }[] = [
    {
      name: 'nothing has happened yet',
      lineage: { timeline: 1, history: [] },
      segments: [{ timeline: 1, from: 0, to: LAST }],
    },
    {
      name: 'a failover in mid-segment: the segment with the fork is the new one',
      lineage: { timeline: 2, history: [left(1, 10.5)] },
      segments: [
        { timeline: 1, from: 0, to: 9 },
        { timeline: 2, from: 10, to: LAST },
      ],
    },
    {
      name: 'a failover at the very end of a segment: the old one is whole',
      lineage: { timeline: 2, history: [left(1, 11)] },
      segments: [
        { timeline: 1, from: 0, to: 10 },
        { timeline: 2, from: 11, to: LAST },
      ],
    },
    {
      name: 'two failovers',
      lineage: { timeline: 3, history: [left(1, 10.5), left(2, 12.25)] },
      segments: [
        { timeline: 1, from: 0, to: 9 },
        { timeline: 2, from: 10, to: 11 },
        { timeline: 3, from: 12, to: LAST },
      ],
    },
    {
      name: 'two failovers in one segment: the one between has none of its own',
      lineage: { timeline: 3, history: [left(1, 10.25), left(2, 10.5)] },
      segments: [
        { timeline: 1, from: 0, to: 9 },
        { timeline: 3, from: 10, to: LAST },
      ],
    },
    {
      name: 'a restore that branched off before an abandoned timeline did',
      lineage: { timeline: 3, history: [left(1, 5.5)] },
      segments: [
        { timeline: 1, from: 0, to: 4 },
        { timeline: 3, from: 5, to: LAST },
      ],
    },
  ];

  for (const { name, lineage, segments } of rows) {
    it(name, () => expect(segmentsOnWay(lineage, SIZE)).to.deep.equal(segments));
  }

  it('an old primary wrote on and archived whole segments: none of them past the fork', () => {
    const lineage = { timeline: 2, history: [left(1, 10.5)] };
    const diverged = [8, 9, 10, 11, 12].map((number) => ({ timeline: 1, number }));
    expect(diverged.map((segment) => belongs(segment, lineage, SIZE))).to.deep.equal([
      ...[true, true, false, false, false],
    ]);
    // Whoever asks for the old timeline itself gets them.
    const old = { timeline: 1, history: [] };
    expect(diverged.every((segment) => belongs(segment, old, SIZE))).to.equal(true);
  });

  it('every position of every way is in exactly one of its segments, on its timeline or a later', () => {
    const lineages = fc
      .array(fc.tuple(fc.integer({ min: 1, max: 3 }), fc.nat(160)), { maxLength: 5 })
      .map((forks): Lineage => {
        const ends = forks.map(([, sixteenth]) => sixteenth / 16).toSorted((a, b) => a - b);
        let timeline = 0;
        const history = forks.map(([step], at) => left((timeline += step), ends[at]!));
        return { timeline: timeline + 1, history };
      });
    fc.assert(
      fc.property(lineages, fc.nat(200), (lineage, sixteenth) => {
        const number = Math.floor(sixteenth / 16);
        const at = lsnBytes(position(sixteenth / 16));
        const timelines = Array.from({ length: lineage.timeline }, (_, index) => index + 1);
        const found = timelines.filter((timeline) => belongs({ timeline, number }, lineage, SIZE));
        expect(found).to.have.length(1);
        const stretch = wayOf(lineage).findLast(({ fromLsn }) => lsnBytes(fromLsn) <= at);
        expect(found[0]).to.be.at.least(stretch!.timeline);
      }),
    );
  });
});

describe('what is known of timelines', () => {
  const restored: Histories = { 2: [left(1, 10.5)], 3: [left(1, 5.5)] };

  const newest: readonly {
    readonly name: string;
    readonly histories: Histories;
    readonly timeline: number;
  }[] = [
    { name: 'no history at all', histories: {}, timeline: 1 },
    {
      name: 'two failovers',
      histories: { 2: [left(1, 1)], 3: [left(1, 1), left(2, 2)] },
      timeline: 3,
    },
    { name: 'a restore branched off earlier', histories: restored, timeline: 3 },
    {
      name: 'one between was lost: the later one tells it',
      histories: { 3: [left(1, 1), left(2, 2)] },
      timeline: 3,
    },
    {
      name: 'its ancestor says otherwise',
      histories: { 2: [left(1, 1)], 3: [left(1, 1.5), left(2, 2)] },
      timeline: 2,
    },
    {
      name: 'its numbers do not rise',
      histories: { 2: [left(1, 1)], 3: [left(3, 2)] },
      timeline: 2,
    },
    {
      name: 'its positions do not rise',
      histories: { 2: [left(1, 1)], 3: [left(1, 1), left(2, 0.5)] },
      timeline: 2,
    },
  ];

  for (const { name, histories, timeline } of newest) {
    it(`the newest timeline is ${timeline}: ${name}`, () => {
      expect(newestLineage(histories)).to.deep.equal({
        timeline,
        history: histories[timeline] ?? [],
      });
    });
  }

  it('a lineage is known by its own history, or by that of a descendant', () => {
    const histories: Histories = { 4: [left(1, 1), left(2, 2)] };
    expect(lineageOf(1, {})).to.deep.equal({ timeline: 1, history: [] });
    expect(lineageOf(4, histories)?.history).to.deep.equal(histories[4]);
    expect(lineageOf(2, histories)).to.deep.equal({ timeline: 2, history: [left(1, 1)] });
    expect(lineageOf(3, histories)).to.equal(null);
  });
});
