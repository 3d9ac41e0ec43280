import { expect } from 'chai';
import { withRecord, type WalBeyond } from '../../src/adapters/postgres/diverged-wal';
import { parseRewindProgress } from '../../src/adapters/postgres/rewind';
import {
  beyondFork,
  forkOf,
  historyFile,
  parseTimelineHistory,
  type Fork,
  type Lineage,
  type Stretch,
} from '../../src/core/timelines';
import { segmentsOf } from '../../src/core/archive/wal-files';

const SEGMENT_BYTES = 16 * 1024 * 1024;

/** `[1, '0/100'], [2, '0/200'], 3`: on timeline 3, through 1 and 2. */
function lineage(...way: readonly (readonly [number, string] | number)[]): Lineage {
  const history = way.flatMap((each) =>
    typeof each === 'number' ? [] : [{ timeline: each[0], endLsn: each[1] }],
  );
  return { timeline: Number(way.at(-1)), history };
}

describe('a timeline history file', () => {
  it('says where each timeline was left', () => {
    const text =
      '1\t0/3000060\tno recovery target specified\n\n# a comment\n' +
      '2\tA/14B2D8F0\tbefore 2026-11-21 14:00:00+00\n';
    expect(parseTimelineHistory(text)).to.deep.equal([
      { timeline: 1, endLsn: '0/3000060' },
      { timeline: 2, endLsn: 'A/14B2D8F0' },
    ]);
    expect(parseTimelineHistory('')).to.deep.equal([]);
  });

  it('is named for its timeline', () => {
    expect(historyFile(26)).to.equal('0000001A.history');
  });
});

describe('the fork of two servers', () => {
  const rows: readonly {
    readonly name: string;
    readonly own: Lineage;
    readonly upstream: Lineage;
    readonly fork: Fork | 'endless' | 'unrelated';
    readonly beyond?: readonly Stretch[];
  }[] = [
    {
      name: 'on the first timeline, both',
      own: lineage(1),
      upstream: lineage(1),
      fork: 'endless',
    },
    {
      name: 'on the same later timeline',
      own: lineage([1, '0/100'], 2),
      upstream: lineage([1, '0/100'], 2),
      fork: 'endless',
    },
    {
      name: 'an old primary and its successor',
      own: lineage(1),
      upstream: lineage([1, '0/100'], 2),
      fork: { timeline: 1, endLsn: '0/100' },
      beyond: [{ timeline: 1, fromLsn: '0/100', endLsn: null }],
    },
    {
      name: 'an old primary, two changes later',
      own: lineage([1, '0/100'], 2),
      upstream: lineage([1, '0/100'], [2, '0/200'], [3, '0/300'], 4),
      fork: { timeline: 2, endLsn: '0/200' },
      beyond: [{ timeline: 2, fromLsn: '0/200', endLsn: null }],
    },
    {
      name: 'two that were both promoted: the one that left first ends it',
      own: lineage([1, '0/150'], 2),
      upstream: lineage([1, '0/100'], 3),
      fork: { timeline: 1, endLsn: '0/100' },
      beyond: [
        { timeline: 1, fromLsn: '0/100', endLsn: '0/150' },
        { timeline: 2, fromLsn: '0/150', endLsn: null },
      ],
    },
    {
      name: 'the same number for two timelines: they began at different places',
      own: lineage([1, '0/80'], 2),
      upstream: lineage([1, '0/100'], 2),
      fork: { timeline: 1, endLsn: '0/80' },
      beyond: [{ timeline: 2, fromLsn: '0/80', endLsn: null }],
    },
    {
      name: 'an upstream that was never promoted',
      own: lineage([1, '0/100'], 2),
      upstream: lineage(1),
      fork: { timeline: 1, endLsn: '0/100' },
      beyond: [{ timeline: 2, fromLsn: '0/100', endLsn: null }],
    },
    {
      name: 'nothing in common',
      own: lineage(5),
      upstream: lineage([1, '0/100'], 2),
      fork: 'unrelated',
    },
  ];
  for (const { name, own, upstream, fork, beyond } of rows) {
    it(name, () => {
      expect(forkOf(own, upstream)).to.deep.equal(fork);
      if (typeof fork === 'object') expect(beyondFork(own, fork)).to.deep.equal(beyond);
    });
  }
});

describe('what pg_waldump shows', () => {
  const stretch: Stretch = { timeline: 2, fromLsn: '0/3000060', endLsn: null };
  const record = (manager: string, lsn: string, text: string): string =>
    `rmgr: ${manager} len (rec/tot):     34/    34, tx:        745, lsn: ${lsn}, ` +
    `prev 0/03000028, desc: ${text}`;
  const read = (...lines: readonly string[]): WalBeyond =>
    lines.reduce<WalBeyond>((before, line) => withRecord(before, line, stretch, SEGMENT_BYTES), {
      ...{ isWhole: true, ends: [], commits: 0, prepared: 0 },
      ...{ firstCommitAt: null, lastCommitAt: null },
    });

  it('commits are counted, with the times of the first and the last', () => {
    const seen = read(
      record('Heap       ', '0/03000060', 'INSERT off 2 flags 0x00'),
      record('Transaction', '0/030000A0', 'COMMIT 2026-11-21 14:28:25.249132 UTC; inval msgs: x'),
      record('Transaction', '0/030000C8', 'ABORT 2026-11-21 14:28:26 UTC'),
      record('Transaction', '0/030000F0', 'PREPARE gid one: 2026-11-21 14:28:27 UTC'),
      record('Transaction', '0/03000118', 'COMMIT_PREPARED 747: 2026-11-21 14:28:28 UTC'),
    );
    expect(seen).to.deep.equal({
      isWhole: true,
      ends: [{ timeline: 2, fromLsn: '0/3000060', endLsn: '0/3000140' }],
      commits: 2,
      prepared: 1,
      firstCommitAt: '2026-11-21T14:28:25.249132Z',
      lastCommitAt: '2026-11-21T14:28:28Z',
    });
  });

  it('a record before the position, and any other line, is passed over', () => {
    const seen = read(
      'first record is after 0/3000060, at 0/3000068, skipping over 8 bytes',
      record('Transaction', '0/03000028', 'COMMIT 2026-11-21 14:28:25 UTC'),
    );
    expect(seen).to.deep.include({ ends: [], commits: 0 });
  });
});

describe('segments of WAL', () => {
  it('hold a range, the last one in part', () => {
    const range = { timeline: 10, fromLsn: '0/3FFFF00', endLsn: '0/5000028' };
    expect(segmentsOf(range, SEGMENT_BYTES)).to.deep.equal([
      { name: '0000000A0000000000000003', usedBytes: SEGMENT_BYTES },
      { name: '0000000A0000000000000004', usedBytes: SEGMENT_BYTES },
      { name: '0000000A0000000000000005', usedBytes: 0x28 },
    ]);
  });
});

describe('the progress of pg_rewind', () => {
  it('is shown in megabytes', () => {
    expect(parseRewindProgress('  12288/30720 kB (40%) copied')).to.equal('12 of 30 MB');
    expect(parseRewindProgress('pg_rewind: connected to server')).to.equal(null);
  });
});
