/** Which dumps and damaged backups go, beside the base backups of archive-retention.test.ts. */
import { expect } from 'chai';
import { lackingFiles } from '../../src/core/archive/lacking-files';
import { SEGMENT_BYTES_DEFAULT as segmentBytes } from '../../src/core/archive/wal-files';
import { backupVerdicts, walFloors } from '../../src/core/backup/pruning';
import { type BackupSummary } from '../../src/core/backup/task';
import { type RetentionSpec } from '../../src/core/spec';
import { archive, HOUR_MS, MORNING_MS, position } from './archive-world';

const time = (hour: number): string => new Date(MORNING_MS + hour * HOUR_MS).toISOString();

/** `at`: hour and segment. */
const base = (id: string, at: number, changes: Partial<BackupSummary> = {}): BackupSummary => ({
  id,
  method: 'base',
  parent: null,
  format: 'tar',
  compression: 'zstd',
  server: 'pg2',
  wal: { timeline: 1, startLsn: position(at + 0.5), stopLsn: position(at + 1.5) },
  startedAt: time(at),
  stoppedAt: time(at + 0.5),
  bytes: 1,
  because: 'a test',
  verification: null,
  retention: null,
  ...changes,
});
const dump = (id: string, at: number, changes: Partial<BackupSummary> = {}): BackupSummary =>
  base(id, at, { method: 'dump', wal: null, ...changes });
const snapshot = (id: string, at: number, changes: Partial<BackupSummary> = {}): BackupSummary =>
  base(id, at, { method: 'snapshot', format: 'plain', ...changes });
const DAMAGED = { verification: { at: time(0), problem: 'a byte is wrong' } };

describe('pruning', () => {
  const rows: readonly {
    readonly name: string;
    readonly rules: Partial<RetentionSpec>;
    readonly backups: readonly BackupSummary[];
    readonly inUse?: readonly string[];
    readonly goes: readonly string[];
  }[] = [
    {
      name: 'nothing goes without a rule',
      rules: {},
      backups: [base('a', 1), dump('b', 2), dump('c', 3), base('d', 4)],
      goes: [],
    },
    {
      name: 'dumps and base backups are counted for themselves',
      rules: { keep: 1 },
      backups: [base('a', 1), base('b', 2), dump('c', 3), dump('d', 4), dump('e', 5)],
      goes: ['a', 'c', 'd'],
    },
    {
      name: 'the newest dump stays however old it is',
      rules: { maxAgeMs: 2 * HOUR_MS },
      backups: [dump('a', 1), dump('b', 2)],
      goes: ['a'],
    },
    {
      name: 'a young dump stays beyond the count',
      rules: { keep: 1, maxAgeMs: 2 * HOUR_MS },
      backups: [dump('a', 20), dump('b', 22), dump('c', 23)],
      goes: ['a'],
    },
    {
      name: 'a damaged one counts for no rule',
      rules: { keep: 1 },
      backups: [
        dump('a', 1),
        dump('b', 2),
        dump('c', 3, DAMAGED),
        base('d', 4),
        base('e', 5, DAMAGED),
      ],
      goes: ['a'],
    },
    {
      name: 'a damaged one goes when all that stay are younger',
      rules: { keep: 1 },
      backups: [base('a', 1, DAMAGED), base('b', 2), base('c', 3), dump('d', 1, DAMAGED)],
      goes: ['a', 'b'],
    },
    {
      name: 'a damaged one stays while others build on it',
      rules: { keep: 1 },
      backups: [base('a', 1, DAMAGED), base('b', 2, { parent: 'a' }), base('c', 3)],
      goes: ['b'],
    },
    {
      name: 'what is in use stays',
      rules: { keep: 1 },
      backups: [base('a', 1), base('b', 2), dump('c', 3), dump('d', 4)],
      inUse: ['a', 'c'],
      goes: [],
    },
    {
      name: 'snapshots and base backups are counted together',
      rules: { keep: 2 },
      backups: [snapshot('a', 1), base('b', 2), snapshot('c', 3), dump('d', 4)],
      goes: ['a'],
    },
    {
      name: 'a damaged snapshot goes when all that stay are younger, of whichever kind',
      rules: { keep: 1 },
      backups: [snapshot('a', 1, DAMAGED), base('b', 2), snapshot('c', 3, DAMAGED)],
      goes: ['a'],
    },
  ];
  for (const { name, rules, backups, inUse = [], goes } of rows) {
    it(name, () => {
      const kept = { segmentBytes, inventory: archive([1, 0, 30]), histories: {}, backups };
      const verdicts = backupVerdicts(kept, inUse, {
        rules: { keep: null, maxAgeMs: null, ...rules },
        nowMs: MORNING_MS + 24 * HOUR_MS,
      });
      expect(verdicts.map(({ id }) => id)).to.deep.equal(backups.map(({ id }) => id));
      const doomed = verdicts.filter(({ verdict }) => verdict === 'delete');
      expect(doomed.map(({ id }) => id)).to.deep.equal(goes);
    });
  }

  const floorsOf = (...backups: readonly BackupSummary[]): ReturnType<typeof walFloors> =>
    walFloors({ segmentBytes, inventory: archive([1, 0, 30]), histories: {}, backups }, null);

  it('lets go of the WAL before the first base backup that is there, and of none without one', () => {
    expect(floorsOf(base('b', 7), base('a', 4), dump('c', 1))[0]?.below).to.equal(4);
    expect(floorsOf(dump('c', 1))[0]?.below).to.equal(0);
    expect(floorsOf(base('a', 4, DAMAGED))[0]?.below).to.equal(0);
  });

  it('is not undone by the peers', () => {
    const lacking = lackingFiles({
      segmentBytes,
      own: archive([1, 8, 10]),
      histories: {},
      peers: [{ ranges: archive([1, 0, 12]), histories: {} }],
      floors: [{ timeline: 1, below: 7 }],
    });
    expect(lacking.map((file) => file.kind === 'segment' && file.segment.slice(-2))).to.deep.equal([
      '07',
      '0B',
      '0C',
    ]);
  });
});
