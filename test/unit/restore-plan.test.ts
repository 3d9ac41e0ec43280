import { expect } from 'chai';
import { type CataloguedBackup } from '../../src/core/backup/backup';
import { parseTarget, type TargetDocument } from '../../src/core/restore/target';
import { SEGMENT_BYTES_DEFAULT } from '../../src/core/archive/wal-files';
import { type ArchiveContentsHere } from '../../src/instance/archive/archive';
import { planRestore } from '../../src/instance/restore/plan';
import { failureOf } from '../support/failure';
import { archive, HOUR_MS, left, MORNING_MS, position } from './archive-world';

const hour = (hours: number): string => new Date(MORNING_MS + hours * HOUR_MS).toISOString();

/** Half a segment and half an hour long, `at` in both. */
const stored = (
  id: string,
  at: number,
  change: Partial<CataloguedBackup> & { readonly timeline?: number } = {},
): CataloguedBackup => ({
  id,
  method: 'base',
  parent: null,
  format: 'tar',
  compression: 'none',
  cluster: 'orders',
  server: 'pg2',
  systemIdentifier: '1',
  postgresVersion: '17.6',
  wal: { timeline: change.timeline ?? 1, startLsn: position(at), stopLsn: position(at + 0.5) },
  startedAt: hour(at),
  stoppedAt: hour(at + 0.5),
  bytes: 1,
  because: '',
  spec: null,
  verification: null,
  ...change,
});

const WORLD: ArchiveContentsHere = {
  segmentBytes: SEGMENT_BYTES_DEFAULT,
  inventory: archive([1, 0, 20]),
  histories: {},
  milestones: [],
};
const BACKUPS = [stored('a', 1), stored('b', 4), stored('c', 10)];
const BRANCHED = {
  ...WORLD,
  inventory: archive([1, 0, 9], [2, 10, 20], [3, 5, 8]),
  histories: { 2: [left(1, 10.5)], 3: [left(1, 5.5)] },
};

describe('the plan of a restore', () => {
  const rows: readonly {
    readonly name: string;
    readonly target: TargetDocument;
    readonly backup?: string;
    readonly contents?: ArchiveContentsHere;
    readonly backups?: readonly CataloguedBackup[];
    /** Backups in their order, timeline, end of the WAL in segments; or words of the refusal. */
    readonly plan: readonly [readonly string[], number, number] | string;
  }[] = [
    { name: 'the newest for everything', target: { latest: true }, plan: [['c'], 1, 21] },
    {
      name: 'before the first backup',
      target: { time: hour(1.25) },
      plan: 'is before the first usable backup. On timeline 1 the earliest point is 0/1800000',
    },
    {
      name: 'after the last WAL',
      target: { lsn: position(21) },
      plan: "WAL position 0/15000000 is not in reach: the archive's WAL ends at 0/15000000",
    },
    {
      name: 'in a hole',
      target: { lsn: position(8) },
      contents: { ...WORLD, inventory: archive([1, 0, 6], [1, 9, 20]) },
      plan: 'replay ends at 0/7000000, where the archive lacks 2 segments',
    },
    {
      name: 'behind a hole of which a time tells nothing: recovery finds out',
      target: { time: hour(9) },
      contents: { ...WORLD, inventory: archive([1, 0, 6], [1, 9, 20]) },
      plan: [['b'], 1, 21],
    },
    {
      name: 'a restore point of which nobody knows: the older ones, too',
      target: { name: 'before-migration' },
      plan: [['c', 'b', 'a'], 1, 21],
    },
    {
      name: 'a restore point, and the backup for it',
      target: { name: 'before-migration' },
      backup: 'b',
      plan: [['b'], 1, 21],
    },
    {
      name: 'on the newest timeline, by its number',
      target: { latest: true },
      contents: BRANCHED,
      plan: [['b'], 3, 9],
    },
    {
      name: 'on an abandoned timeline',
      target: { lsn: position(15), timeline: 2 },
      contents: BRANCHED,
      backups: [...BACKUPS, stored('d', 12, { timeline: 2 })],
      plan: [['d'], 2, 21],
    },
    {
      name: 'on the timeline of the backup',
      target: { latest: true, timeline: 'current' },
      backup: 'a',
      contents: BRANCHED,
      plan: [['a'], 1, 10],
    },
    {
      name: 'the backup alone, of which no WAL is archived yet',
      target: { immediate: true },
      contents: { ...WORLD, inventory: archive([1, 0, 9]) },
      plan: [['c'], 1, 10.5],
    },
    {
      name: 'neither a dump nor one that is damaged',
      target: { latest: true },
      backups: [
        stored('a', 1),
        stored('b', 4, { verification: { at: hour(5), problem: 'a file is missing' } }),
        stored('c', 10, { method: 'dump', wal: null }),
      ],
      plan: [['a'], 1, 21],
    },
    { name: 'no backup', target: { latest: true }, backups: [], plan: 'there is no backup' },
  ];
  for (const { name, target: document, backup = null, plan: expected, ...world } of rows) {
    it(name, async () => {
      const parsed = parseTarget(document);
      if (parsed.kind === 'findings') throw new Error(JSON.stringify(parsed.findings));
      const { target } = parsed;
      const { contents = WORLD, backups = BACKUPS } = world;
      const planning = planRestore(
        { target, backup },
        {
          archive: { contents: async () => await Promise.resolve(contents) },
          catalogue: { list: async () => await Promise.resolve({ backups, broken: [] }) },
        },
      );
      if (typeof expected === 'string') {
        const { code, message } = await failureOf(planning);
        expect(code).to.equal('TargetUnreachable');
        expect(message).to.include(expected);
        return;
      }
      const plan = await planning;
      const [ids, timeline, segments] = expected;
      expect(plan).to.deep.include({
        backups: ids,
        target: { ...target, timeline },
        walEndsAtLsn: position(segments),
      });
    });
  }
});
