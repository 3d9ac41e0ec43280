import { expect } from 'chai';
import { plain } from '../../src/cli/output';
import { ago } from '../../src/cli/quantity-text';
import { statusLines, statusText } from '../../src/cli/status-text';
import { type ArchiveStatus } from '../../src/core/archive/status';
import { type WindowReport } from '../../src/core/archive/window-report';
import { type Divergence } from '../../src/core/protocol';
import { type Loss } from '../../src/core/state';
import { isServing, type ServerStatus, type Status } from '../../src/core/status';

const NOW = new Date('2026-01-01T12:00:00.000Z');

const server = (changes: Partial<ServerStatus>): ServerStatus => ({
  name: 'pg1',
  node: 'n1',
  address: '192.0.2.1:5432',
  role: 'primary',
  state: 'running',
  known: true,
  streaming: false,
  late: false,
  timeline: 3,
  receivedLsn: '0/5000000',
  replayedLsn: '0/5000000',
  lagBytes: null,
  dataVolume: null,
  archive: null,
  eligible: false,
  because: 'it is the primary',
  ...changes,
});

const PG2 = { name: 'pg2', node: 'n2', address: '192.0.2.2:5432', role: 'standby' } as const;

const READY: Status = {
  cluster: 'orders',
  generation: 4,
  source: { kind: 'apply', by: 'test', appliedAt: '2026-01-01T00:00:00.000Z' },
  followed: null,
  phase: 'Ready',
  paused: false,
  primary: 'pg1',
  declaredPrimary: 'pg1',
  term: 3,
  timeline: 3,
  override: null,
  pause: null,
  request: null,
  synchronous: null,
  lease: null,
  losses: [],
  servers: [server({}), server({ ...PG2, state: 'streaming', lagBytes: 0 })],
  conditions: [
    { type: 'Ready', status: 'True', reason: 'AsDeclared', message: 'the primary accepts writes' },
  ],
  backupUnderWay: null,
  lastBackup: null,
  rehearsalUnderWay: null,
  lastDrill: null,
  backups: [],
  schedules: [],
  lastChange: {
    kind: 'switchover',
    from: 'pg2',
    to: 'pg1',
    writeGapMs: 87.4,
    lostBytes: 0,
    at: '2026-01-01T11:55:30.000Z',
  },
  decision: { rule: 'steady', because: 'everything is as the spec wants it' },
};

const REFUSED: Status = {
  ...READY,
  phase: 'Degraded',
  declaredPrimary: 'pg2',
  servers: [
    server({}),
    server({ ...PG2, state: 'cloning from pg1, 120 of 300 MB (attempt 2)', lagBytes: 83_886_080 }),
  ],
  conditions: [
    {
      type: 'PrimaryAsDeclared',
      status: 'False',
      reason: 'TargetLagging',
      message:
        'pg1 stays primary, pg2 is declared: pg2 is 83886080 bytes behind, more than switchover.maxLag allows',
      since: '2026-01-01T11:59:48.000Z',
    },
  ],
  lastChange: null,
};

const measured: Divergence = {
  term: 3,
  timeline: 3,
  fromLsn: '0/5A2C1B0',
  toLsn: '0/5A2D210',
  bytes: 4192,
  transactions: 12,
  firstCommitAt: '2026-01-01T11:00:00.000Z',
  lastCommitAt: '2026-01-01T11:00:01.000Z',
  keptIn: 'diverged/3-0-5A2C1B0',
};

const loss = (term: number, changes: Partial<Loss>): Loss => ({
  term,
  server: 'pg1',
  at: '2026-01-01T11:55:30.000Z',
  estimatedBytes: 4_000,
  measured: null,
  ...changes,
});

const AFTER_FAILOVER: Status = {
  ...READY,
  phase: 'Failover',
  synchronous: { wanted: 'pg2', guaranteed: '1 of pg2, pg3' },
  request: {
    to: 'pg2',
    at: '2026-01-01T11:59:50.000Z',
    by: 'ada',
    acceptsLoss: true,
    primaryIsDead: false,
  },
  lastChange: { ...READY.lastChange!, kind: 'failover', writeGapMs: 5_120, lostBytes: 4_192 },
  losses: [
    loss(1, { measured: { ...measured, transactions: 0, bytes: 232 } }),
    loss(2, { estimatedBytes: null }),
    loss(3, { measured }),
    loss(4, {}),
  ],
};

const WINDOW: WindowReport = {
  timeline: 3,
  points: {
    earliest: { lsn: '0/300', at: '2026-01-01T10:00:00.000Z' },
    latest: { lsn: '0/500', at: '2026-01-01T11:59:00.000Z' },
  },
  because: null,
  isDisturbed: false,
};

const ARCHIVE: ArchiveStatus = {
  lastArchivedWal: null,
  lastArchivedAt: null,
  failedSince: null,
  waiting: 0,
  pausedLeftMs: null,
  freeBytes: null,
  room: null,
  recoveryWindow: null,
};

/** The paragraph behind the table of servers, each of which has one of these windows. */
function recoveryLine(...windows: readonly WindowReport[]): string {
  const servers = windows.map((recoveryWindow) =>
    server({ archive: { ...ARCHIVE, recoveryWindow } }),
  );
  const status = { ...READY, servers, lastChange: null };
  return statusText({ status, silence: null }, NOW, plain).split('\n\n').at(-1) ?? '';
}

const rows: readonly { name: string; text: () => string; expected: string }[] = [
  {
    name: 'a cluster that is ready',
    text: () => statusText({ status: READY, silence: null }, NOW, plain),
    expected: `orders  Ready  primary pg1 · term 3 · timeline 3 · generation 4

SERVER  ROLE     NODE  STATE      TL  LAG  ADDRESS
pg1     primary  n1    running    3   -    192.0.2.1:5432
pg2     standby  n2    streaming  3   0 B  192.0.2.2:5432

last change: switchover pg2 → pg1, 4 min ago, write gap 87 ms, nothing lost`,
  },
  {
    name: 'a refused switchover, and a long state in lines of 80 characters',
    text: () => statusText({ status: REFUSED, silence: null }, NOW, plain),
    expected: `orders  Degraded  primary pg1 (declared pg2) · term 3 · timeline 3 ·
  generation 4

SERVER  ROLE     NODE  STATE                         TL  LAG      ADDRESS
pg1     primary  n1    running                       3   -        192.0.2.1:5432
pg2     standby  n2    cloning from pg1, 120 of 300  3   80.0 MB  192.0.2.2:5432
                       MB (attempt 2)

not PrimaryAsDeclared: TargetLagging, since 12 s
  pg1 stays primary, pg2 is declared: pg2 is 83886080 bytes behind, more than
  switchover.maxLag allows`,
  },
  {
    name: 'an operator that does not answer',
    text: () =>
      statusText(
        { status: { ...READY, lastChange: null }, silence: 'No operator runs.' },
        NOW,
        plain,
      ),
    expected: `orders  Ready  primary pg1 · term 3 · timeline 3 · generation 4

SERVER  ROLE     NODE  STATE      TL  LAG  ADDRESS
pg1     primary  n1    running    3   -    192.0.2.1:5432
pg2     standby  n2    streaming  3   0 B  192.0.2.2:5432

No operator runs.`,
  },
  {
    name: 'a failover, what a person has asked for, and the ledger of losses',
    text: () => statusText({ status: AFTER_FAILOVER, silence: null }, NOW, plain),
    expected: `orders  Failover  primary pg1 · term 3 · timeline 3 · generation 4

SERVER  ROLE     NODE  STATE      TL  LAG  ADDRESS
pg1     primary  n1    running    3   -    192.0.2.1:5432
pg2     standby  n2    streaming  3   0 B  192.0.2.2:5432

asked for: pg2 as primary, whatever is lost, by ada, 10 s ago
synchronous: every acknowledged commit is on 1 of pg2, pg3; changing to pg2

last change: failover pg2 → pg1, 4 min ago, write gap 5120 ms, 4.1 kB lost
lost in term 2, 4 min ago: an unknown amount, pg1 has not come back
lost in term 3, 4 min ago: 12 transactions, 4.1 kB (0/5A2C1B0..0/5A2D210),
  kept in diverged/3-0-5A2C1B0 on pg1
lost in term 4, 4 min ago: about 3.9 kB, pg1 has not come back
and 1 earlier: pgswarm status orders -o json`,
  },
  {
    name: 'a pause, and a cluster in which nothing is guaranteed now',
    text: () =>
      statusText(
        {
          status: {
            ...READY,
            phase: 'Paused',
            paused: true,
            pause: { since: '2026-01-01T11:57:00.000Z', by: 'ada' },
            synchronous: { wanted: null, guaranteed: null },
            lastChange: null,
            losses: [loss(1, { measured: { ...measured, transactions: 1 } })],
          },
          silence: null,
        },
        NOW,
        plain,
      ),
    expected: `orders  Paused  primary pg1 · term 3 · timeline 3 · generation 4

SERVER  ROLE     NODE  STATE      TL  LAG  ADDRESS
pg1     primary  n1    running    3   -    192.0.2.1:5432
pg2     standby  n2    streaming  3   0 B  192.0.2.2:5432

paused by ada, 3 min ago; end it: pgswarm resume orders
synchronous: no commit is sure to be on a standby now

lost in term 1, 4 min ago: 1 transaction, 4.1 kB (0/5A2C1B0..0/5A2D210), kept
  in diverged/3-0-5A2C1B0 on pg1`,
  },
  {
    name: 'how far back there is a way, by the better archive',
    text: () =>
      recoveryLine(
        { ...WINDOW, points: null, because: 'there is no base backup' },
        { ...WINDOW, because: 'nothing leads further', isDisturbed: true },
      ),
    expected: 'recovery: to every point from 2 h ago (0/300) to 1 min ago (0/500), with gaps',
  },
  {
    name: 'that there is no way back',
    text: () => recoveryLine({ ...WINDOW, points: null, because: 'there is no base backup' }),
    expected:
      'recovery: to no point in time, there is no base backup; see pgswarm backups\n  orders',
  },
  {
    name: 'several clusters, one line each',
    text: () => statusLines([READY, { ...REFUSED, cluster: 'ledger' }], plain),
    expected: `CLUSTER  PHASE     PRIMARY             SERVERS  TERM  GENERATION
orders   Ready     pg1                 2/2      3     4
ledger   Degraded  pg1 (declared pg2)  1/2      3     4`,
  },
];

describe('status for people', () => {
  for (const { name, text, expected } of rows) {
    it(`shows ${name}`, () => expect(text()).to.equal(expected));
  }

  it('keeps its tables within 80 characters', () => {
    const [, , ...table] = statusText({ status: REFUSED, silence: null }, NOW, plain).split('\n');
    expect(Math.max(...table.map((line) => line.length))).to.be.at.most(80);
  });

  it('calls a cluster ready to be used though its archive fails, and not though a standby does', () => {
    const without = (type: 'WalArchived' | 'ServersReady'): Status => ({
      ...READY,
      phase: 'Degraded',
      conditions: [{ type, status: 'False', reason: 'Broken', message: 'it is broken' }],
    });
    expect(isServing(without('WalArchived'))).to.equal(true);
    expect(isServing(without('ServersReady'))).to.equal(false);
    expect(isServing({ ...READY, phase: 'Switchover' })).to.equal(false);
  });

  for (const [since, expected] of [
    ['2026-01-01T12:00:01.000Z', '0 s'],
    ['2026-01-01T11:59:01.000Z', '59 s'],
    ['2026-01-01T11:59:00.000Z', '1 min'],
    ['2026-01-01T06:30:00.000Z', '5 h'],
    ['2025-12-30T11:00:00.000Z', '2 d'],
  ] as const) {
    it(`says ${expected} of ${since}`, () => expect(ago(since, NOW)).to.equal(expected));
  }
});
