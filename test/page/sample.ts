/** What an operator could say of a cluster in the middle of its life: everything has something to show. */
import { type ArchiveStatus } from '../../src/core/archive/status';
import { summaryOf, type ClusterDetail, type Overview } from '../../src/core/overview';
import { type ClusterEvent } from '../../src/core/state';
import { type BackupStatus, type Condition, type ServerStatus } from '../../src/core/status';
import { running } from '../support/world';
import { decide } from '../../src/core/decide';
import { viewOf } from '../../src/core/situation';
import { statusOf } from '../../src/core/status';

const GB = 1024 ** 3;
const MINUTE = 60_000;
const HOUR = 60 * MINUTE;

const ago = (nowMs: number, ms: number): string => new Date(nowMs - ms).toISOString();

/** The conditions of a healthy cluster, as the real table has them. */
function healthyConditions(): readonly Condition[] {
  const situation = running();
  if (situation.state === null) throw new Error('the model has made no record');
  return statusOf(viewOf(situation, situation.state), decide(situation)).conditions.map((each) => ({
    ...each,
    status: 'True',
  }));
}

const archive = (nowMs: number, oldestMs: number): ArchiveStatus => ({
  lastArchivedWal: '0000000300000001000000A4',
  lastArchivedAt: ago(nowMs, 34_000),
  failedSince: null,
  waiting: 0,
  pausedLeftMs: null,
  freeBytes: 71 * GB,
  room: { sizeBytes: 100 * GB, freeBytes: 71 * GB, fullInMs: null, stage: 'ample' },
  recoveryWindow: {
    timeline: 3,
    points: {
      earliest: { lsn: '0/2C000120', at: ago(nowMs, oldestMs) },
      latest: { lsn: '1/A4000000', at: null },
    },
    because: null,
    isDisturbed: false,
  },
});

export function server(nowMs: number, changes: Partial<ServerStatus>): ServerStatus {
  return {
    name: 'pg1',
    node: 'n1',
    address: '10.9.0.11:5432',
    role: 'standby',
    state: 'streaming',
    known: true,
    streaming: true,
    late: false,
    timeline: 3,
    receivedLsn: '1/A43F0148',
    replayedLsn: '1/A43F0148',
    lagBytes: 0,
    dataVolume: { sizeBytes: 80 * GB, freeBytes: 46 * GB, fullInMs: null, stage: 'ample' },
    archive: archive(nowMs, 6.4 * 24 * HOUR),
    eligible: true,
    because: 'it streams and is close enough behind',
    ...changes,
  };
}

const backup = (
  nowMs: number,
  days: number,
  changes: Partial<BackupStatus> = {},
): BackupStatus => ({
  id: `backup-${days}`,
  method: 'base',
  parent: null,
  format: 'tar',
  compression: 'zstd',
  server: 'pg2',
  wal: { timeline: 3, startLsn: '1/2C000028', stopLsn: '1/2C000120' },
  startedAt: ago(nowMs, days * 24 * HOUR + 4 * MINUTE),
  stoppedAt: ago(nowMs, days * 24 * HOUR),
  bytes: 3.4 * GB,
  because: 'schedule nightly',
  retention: 'kept because it is among the last 7',
  on: ['pg1', 'pg2'],
  verifiedAt: ago(nowMs, days * 24 * HOUR - 9 * MINUTE),
  problem: null,
  ...changes,
});

const EVENTS: readonly (readonly [hours: number, rule: string, message: string])[] = [
  [151, 'declare', 'the cluster was declared'],
  [150.9, 'initialise', 'pg1 was initialised as the first primary'],
  [150.8, 'volumes', 'pg2 was cloned from pg1'],
  [125, 'backup-done', 'pg2 has taken the backup of schedule nightly'],
  [101, 'backup-done', 'pg2 has taken the backup of schedule nightly'],
  [77, 'backup-done', 'pg2 has taken the backup of schedule nightly'],
  [58, 'failover-promote', 'failover from pg1 to pg2: the lease of pg1 is over; nothing was lost'],
  [57.9, 'servers-rejoined', 'pg1 follows pg2 after a rewind'],
  [53, 'backup-done', 'pg1 has taken the backup of schedule nightly'],
  [29, 'backup-done', 'pg1 has taken the backup of schedule nightly'],
  [9.2, 'switchover-begin', 'switchover from pg2 to pg1 begins: declared in generation 7'],
  [9.19, 'switchover-done', 'pg1 is the primary; 136 ms without writes'],
  [5, 'backup-done', 'pg2 has taken the backup of schedule nightly'],
];

export const eventsAt = (nowMs: number): readonly ClusterEvent[] =>
  EVENTS.map(([hours, rule, message]) => ({
    at: ago(nowMs, hours * HOUR),
    term: 3,
    rule,
    message,
  }));

/** A trio: pg1 is the primary, pg2 is waited for, pg3 is not. */
export function detail(nowMs: number, changes: Partial<ClusterDetail> = {}): ClusterDetail {
  return {
    cluster: 'orders',
    generation: 7,
    phase: 'Ready',
    paused: false,
    primary: 'pg1',
    declaredPrimary: 'pg1',
    term: 3,
    timeline: 3,
    override: null,
    pause: null,
    request: null,
    synchronous: { wanted: '1 of pg2, pg3', guaranteed: '1 of pg2, pg3' },
    lease: { ttlMs: 5000, leftMs: 4200, peers: ['pg2', 'pg3'] },
    losses: [],
    servers: [
      server(nowMs, {
        role: 'primary',
        state: 'running',
        streaming: false,
        lagBytes: null,
        eligible: false,
        because: 'it is the primary',
      }),
      server(nowMs, { name: 'pg2', node: 'n2', address: '10.9.0.12:5432', lagBytes: 0 }),
      server(nowMs, {
        name: 'pg3',
        node: 'n3',
        address: '10.9.0.13:5432',
        lagBytes: 41_200,
        receivedLsn: '1/A43E6058',
        archive: archive(nowMs, 4.2 * 24 * HOUR),
      }),
    ],
    conditions: healthyConditions(),
    lastChange: {
      kind: 'switchover',
      from: 'pg2',
      to: 'pg1',
      writeGapMs: 136,
      lostBytes: 0,
      at: ago(nowMs, 9.19 * HOUR),
    },
    backupUnderWay: null,
    lastBackup: null,
    rehearsalUnderWay: null,
    lastDrill: null,
    backups: [5.2, 4.2, 3.2, 2.2, 1.2, 0.2].map((days) =>
      backup(nowMs, days, days > 2 ? {} : { on: ['pg1', 'pg2', 'pg3'] }),
    ),
    schedules: [
      {
        name: 'nightly',
        schedule: '0 2 * * *',
        timeZone: 'UTC',
        suspended: false,
        nextDueAt: new Date(nowMs + 19 * HOUR).toISOString(),
        lastDueAt: ago(nowMs, 5 * HOUR),
        lastBegunAt: ago(nowMs, 5 * HOUR),
      },
    ],
    decision: { rule: 'steady', because: 'everything is as the spec wants it' },
    events: eventsAt(nowMs),
    change: null,
    synchronousStandbys: ['pg2', 'pg3'],
    steps: [],
    findings: [],
    ...changes,
  };
}

/** One cluster, shown in full. */
export function overviewOf(cluster: ClusterDetail, nowMs: number): Overview {
  return {
    at: new Date(nowMs).toISOString(),
    clusters: [summaryOf(cluster.cluster, cluster)],
    cluster,
  };
}
