import { expect } from 'chai';
import { assignmentIn } from '../../src/core/assignment';
import { type BudgetStage } from '../../src/core/budget';
import { type ArchiveReport } from '../../src/core/protocol';
import { viewOf, type Situation } from '../../src/core/situation';
import { running, spec, withReport } from '../support/world';

const ARCHIVE: ArchiveReport = {
  last: null,
  failure: null,
  waiting: 0,
  pausedLeftMs: null,
  room: null,
  window: null,
};

const trio = running({
  servers: [...spec().servers, { name: 'pg3', node: { hostname: 'n3' }, port: 5432 }],
});

interface Given {
  readonly stage: BudgetStage;
  readonly archive?: Partial<ArchiveReport> | null;
  /** For so long nothing was heard of pg3. */
  readonly awayMs: number;
  /** It streams all the same. */
  readonly isConnected?: boolean;
}

/** What pg1 and pg2, which have this little room, keep slots for. */
function slots({
  stage,
  archive = {},
  ...pg3
}: Given): Readonly<Record<string, readonly string[]>> {
  const dataVolume = { sizeBytes: 1000, freeBytes: 10, fullInMs: null, stage };
  const report = { dataVolume, archive: archive === null ? null : { ...ARCHIVE, ...archive } };
  const both = withReport(withReport(trio, 'pg1', report), 'pg2', report);
  const situation = without(both, pg3);
  const view = viewOf(situation, situation.state!);
  return Object.fromEntries(
    ['pg1', 'pg2'].map((server) => {
      const task = assignmentIn(view, server)?.task;
      return [server, task !== undefined && 'slots' in task ? task.slots : []];
    }),
  );
}

function without(
  situation: Situation,
  { awayMs, isConnected = false }: Pick<Given, 'awayMs' | 'isConnected'>,
): Situation {
  const { reports } = situation.observation;
  const { pg1, pg3 } = reports;
  const { postgres } = pg1!.report;
  if (postgres.state !== 'primary') throw new Error('pg1 is no primary');
  const standbys = postgres.standbys.filter(({ server }) => isConnected || server !== 'pg3');
  const left = { ...pg1!, report: { ...pg1!.report, postgres: { ...postgres, standbys } } };
  const gone = { ...pg3!, seenAtMs: situation.nowMs - awayMs };
  const observation = { ...situation.observation, reports: { ...reports, pg1: left, pg3: gone } };
  return { ...situation, observation };
}

describe('a slot for a server that is away', () => {
  const kept = { pg1: ['pgswarm_pg2', 'pgswarm_pg3'], pg2: ['pgswarm_pg1', 'pgswarm_pg3'] };
  const givenUp = { pg1: ['pgswarm_pg2'], pg2: ['pgswarm_pg1'] };
  const rows: readonly (Given & { readonly name: string; readonly expected: typeof kept })[] = [
    { name: 'is kept while there is room', stage: 'tight', awayMs: 3_600_000, expected: kept },
    { name: 'is given up when room is short', stage: 'short', awayMs: 60_001, expected: givenUp },
    { name: 'is given up when there is none', stage: 'full', awayMs: 60_001, expected: givenUp },
    { name: 'is kept for a minute', stage: 'full', awayMs: 60_000, expected: kept },
    {
      name: 'is kept for one that streams, though its manager is silent',
      stage: 'full',
      awayMs: 3_600_000,
      isConnected: true,
      expected: kept,
    },
    {
      name: 'is kept while WAL is not archived: giving it up would free nothing',
      stage: 'full',
      awayMs: 3_600_000,
      archive: {
        failure: { reason: 'ArchiveVolumeFull', message: 'full', file: 'x', forMs: 1 },
      },
      expected: kept,
    },
    {
      name: 'is kept while archiving is paused',
      stage: 'full',
      awayMs: 3_600_000,
      archive: { pausedLeftMs: 1000 },
      expected: kept,
    },
    {
      name: 'is kept while nothing is known of the archive',
      stage: 'full',
      awayMs: 3_600_000,
      archive: null,
      expected: kept,
    },
  ];
  for (const { name, expected, ...given } of rows) {
    it(name, () => expect(slots(given)).to.deep.equal(expected));
  }
});
