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
  [150.99, 'initialise', 'initialising pg1: all data volumes are empty'],
  [150.98, 'initialised', 'pg1 has been initialised and is the first primary'],
  [150.9, 'record-volume', 'the data volume of pg2 is complete'],
  [125, 'backup-end', 'pg2 has taken a base backup for schedule nightly'],
  [101, 'backup-end', 'pg2 has taken a base backup for schedule nightly'],
  [77, 'backup-end', 'pg2 has taken a base backup for schedule nightly'],
  [58, 'failover-begin', 'the primary pg1 is lost: its lease is over; asking who can take over'],
  [58, 'failover-promote', 'pg2 has received up to 1/2C03F148 and is promoted'],
  [53, 'backup-end', 'pg1 has taken a base backup for schedule nightly'],
  [29, 'backup-end', 'pg1 has taken a base backup for schedule nightly'],
  [9.2, 'switchover-begin', 'switchover from pg2 to pg1 begins: declared in generation 7'],
  [9.2, 'switchover-promote', 'pg2 stopped at 1/9E000028; pg1 has all of it and is promoted'],
  [9.2, 'promotion-finish', 'pg1 is primary now, pg2 was before'],
  [5, 'backup-end', 'pg2 has taken a base backup for schedule nightly'],
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
    source: {
      kind: 'file',
      path: '/etc/pgswarm/clusters/orders.yaml',
      appliedAt: ago(nowMs, 9.2 * HOUR),
    },
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

/** The same a moment after its primary has fallen silent. */
export function midFailover(cluster: ClusterDetail, nowMs: number): ClusterDetail {
  const because = 'pg1 may still write for 0.9 s; pg2 and pg3 have said how far they are';
  return {
    ...cluster,
    phase: 'Failover',
    lease: { ttlMs: 5000, leftMs: 900, peers: ['pg2', 'pg3'] },
    servers: cluster.servers.map((each) => ({
      ...each,
      streaming: false,
      lagBytes: null,
      eligible: false,
      ...(each.role === 'primary'
        ? { role: null, state: 'unknown', known: false }
        : { state: 'not streaming', because: 'the primary is being replaced' }),
    })),
    decision: { rule: 'failover-await', because },
    change: {
      id: '3.9',
      kind: 'failover',
      from: 'pg1',
      to: null,
      phase: 'electing',
      reason: 'it was last heard 4.1 s ago',
      harmless: null,
      knownLsn: '1/A43F0148',
      generation: 7,
      startedAt: ago(nowMs, 1100),
      shutdownLsn: null,
    },
    conditions: cluster.conditions.map((each) =>
      each.type === 'Ready' || each.type === 'ServersReady'
        ? {
            ...each,
            status: 'False',
            reason: each.type === 'Ready' ? 'Failover' : 'NotStreaming',
            message: each.type === 'Ready' ? because : 'pg2 and pg3 do not stream from the primary',
            since: ago(nowMs, 4100),
          }
        : each,
    ),
    events: [
      ...cluster.events,
      {
        at: ago(nowMs, 1100),
        term: 3,
        rule: 'failover-begin',
        message: 'the primary pg1 is lost: it was last heard 3.0 s ago; asking who can take over',
      },
    ],
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
