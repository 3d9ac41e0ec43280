/**
 * Goal: every rule decides when it should. Method: one row per case, a healthy pair with one thing
 * changed, and the rule that must decide. A rule that no row reaches fails the last test.
 */
import { expect } from 'chai';
import { type WindowReport } from '../../src/core/archive/window-report';
import {
  DRILL_TARGET,
  type RehearsalOutcome,
  type RehearsalTask,
} from '../../src/core/restore/rehearsal';
import { type LoadRequest, type LoadTask } from '../../src/core/backup/load';
import { type BackupRequest, type BackupTask } from '../../src/core/backup/task';
import { type VolumeRoom } from '../../src/core/budget';
import { type ArchiveReport, type Report } from '../../src/core/protocol';
import {
  type RestoreWish,
  type RestoreProgress,
  type RestoreTask,
} from '../../src/core/restore/task';
import { decide, RULES } from '../../src/core/decide';
import { type Section } from '../../src/core/rules/rule';
import { type ScheduleSpec } from '../../src/core/spec';
import { type Situation } from '../../src/core/situation';
import {
  empty,
  round,
  stoppedReport,
  switchover,
  withReport,
  withSpec,
  withState,
  withSwarm,
} from '../support/world';

const { pair, asked, checkpointing, stopping, promoting } = switchover();
const deleted = (situation: Situation, removeVolumes = false): Situation => ({
  ...situation,
  record: { ...situation.record, deletion: { removeVolumes } },
});
const LOAD: LoadRequest = {
  backup: 'd1',
  database: 'app',
  replace: false,
  by: 'grace',
  at: '2026-01-01T00:09:00.000Z',
};
const LOADING: LoadTask = { request: LOAD, begun: { server: 'pg1', bootId: 'model' } };
const SCHEDULE: ScheduleSpec = {
  name: 'nightly',
  schedule: '0 2 * * *',
  timeZone: 'UTC',
  method: 'base',
  incremental: false,
  server: null,
  suspend: false,
};
const scheduled = (situation: Situation, server = 'pg2'): Situation => {
  const { schedule, timeZone } = SCHEDULE;
  const nightly = { schedule, timeZone, nextDueAt: '2026-01-01T00:00:00.000Z', last: null };
  const backup = { ...situation.record.spec.backup, schedules: [{ ...SCHEDULE, server }] };
  return withState(withSpec(situation, { backup }), { schedules: { nightly } });
};
const later = (situation: Situation, ms: number): Situation => ({
  ...situation,
  observation: {
    ...situation.observation,
    reports: Object.fromEntries(
      Object.entries(situation.observation.reports).map(([name, { report }]) => [
        name,
        { report, seenAtMs: situation.nowMs + ms },
      ]),
    ),
    swarm: situation.observation.swarm && {
      ...situation.observation.swarm,
      seenAtMs: situation.nowMs + ms,
    },
  },
  nowMs: situation.nowMs + ms,
});

/** The situation in which `rule` decides on the way from nothing. */
function onTheWay(rule: string): Situation {
  let now = empty();
  for (let count = 0; count < 50; count += 1) {
    if (decide(now).rule === rule) return now;
    now = round(now).situation;
  }
  throw new Error(`${rule} never decides on the way`);
}

const heard = onTheWay('initialise');
const fresh = (volume: 'pg1' | 'pg2' | 'both'): Situation => {
  const kept = ['pg1', 'pg2'].filter((name) => volume === 'both' || volume === name);
  return kept.reduce(
    (situation, server) =>
      withReport(situation, server, {
        volume: {
          kind: 'tagged',
          tag: { cluster: 'orders', server, systemIdentifier: '7', volumeId: `old-${server}` },
        },
        postgres: stoppedReport('shut down', server === 'pg1' ? '0/5000000' : '0/4000000'),
      }),
    heard,
  );
};
const services = pair.observation.swarm!.services;

const REQUEST: BackupRequest = {
  method: 'base',
  incremental: false,
  format: 'tar',
  bytesPerSecondMax: null,
  server: null,
  by: 'ann',
  at: '2026-01-01T00:00:00.000Z',
};
const DRILL: RehearsalTask['request'] = {
  kind: 'drill',
  target: DRILL_TARGET,
  backup: null,
  server: null,
  by: 'ann',
  at: '2026-01-01T00:00:00.000Z',
};

/** Begun ten minutes before the present. */
const rehearsing = (kind: 'drill' | 'preview', at = '2026-01-01T00:00:00.000Z'): RehearsalTask => ({
  request: { ...DRILL, kind },
  begun: {
    server: 'pg2',
    order: { id: 'r1', kind, target: DRILL_TARGET, backup: null, query: null },
    at,
  },
});

const SUNDAYS = { schedule: '0 5 * * 0', timeZone: 'UTC', query: null, server: null };

const OUTCOME: RehearsalOutcome = {
  backup: 'b1',
  restoredTo: { lsn: '0/4000000', at: '2026-01-01T00:00:00Z', timeline: 2 },
  durations: { unpackMs: 1000, recoverMs: 3000, checkMs: 500 },
  problem: null,
};
const UNPROVEN = { ...OUTCOME, problem: { reason: 'WalMissing', message: 'WAL is missing' } };

const TAKING: BackupTask = {
  request: REQUEST,
  begun: {
    server: 'pg2',
    order: {
      id: 'b1',
      method: 'base',
      parent: null,
      format: 'tar',
      compression: 'zstd',
      bytesPerSecondMax: null,
      because: 'asked for by ann',
    },
  },
};
const ARCHIVE: ArchiveReport = {
  last: null,
  failure: null,
  waiting: 0,
  pausedLeftMs: null,
  room: null,
  window: null,
};
const ROOM: VolumeRoom = {
  sizeBytes: 2048 * 1024 ** 2,
  freeBytes: 300 * 1024 ** 2,
  fullInMs: null,
  stage: 'ample',
};
const BROKEN: WindowReport = {
  timeline: 1,
  points: null,
  because: 'nothing leads further',
  isDisturbed: true,
};

interface Case {
  readonly name: string;
  readonly situation: Situation;
  readonly rule: string;
  readonly because?: RegExp;
}

const ORDER: RestoreWish = {
  id: 'r1',
  target: {
    point: { kind: 'time', time: '2026-01-01T00:00:00Z' },
    isExclusive: false,
    timeline: 'latest',
    action: 'pause',
  },
  backup: null,
  by: 'ann',
  at: '2026-01-01T00:10:00.000Z',
};

/** A restore of the primary of the pair. */
const restoring = (task: Partial<RestoreTask>, report: Partial<Report> = {}): Situation =>
  withReport(
    withState(pair, {
      restore: { server: 'pg1', wanted: null, current: null, decision: null, ...task },
    }),
    'pg1',
    report,
  );
const prospect = (isPossible: boolean, words: string, id = 'r1'): Partial<Report> => ({
  prospect: { id, isPossible, words },
});
const COPY: RestoreProgress = { id: 'r1', state: 'reached', lsn: '0/5000000', lastCommitAt: null };
const onCopy = (state: RestoreProgress['state'] = 'reached'): Partial<Report> => ({
  postgres: pair.observation.reports['pg2']!.report.postgres,
  restored: { ...COPY, state },
});
const asPrimary = (restored: RestoreProgress | null): Partial<Report> => ({
  obeys: { ...pair.observation.reports['pg1']!.report.obeys!, task: 'primary' },
  restored,
});

const RESTORES: readonly Case[] = [
  {
    name: 'a point is asked for',
    situation: restoring({ wanted: ORDER }),
    rule: 'restore-look',
    because: /pg1 looks how to restore to 2026-01-01T00:00:00Z/,
  },
  {
    name: 'the archive does not lead there',
    situation: restoring({ wanted: ORDER }, prospect(false, 'it is before the first backup')),
    rule: 'restore-refused',
    because: /before the first backup/,
  },
  {
    name: 'the archive leads there',
    situation: restoring({ wanted: ORDER }, prospect(true, 'from backup b1')),
    rule: 'restore-begin',
  },
  {
    name: 'an answer to another question',
    situation: restoring({ wanted: ORDER }, prospect(true, 'from backup b1', 'r0')),
    rule: 'restore-look',
  },
  {
    name: 'the primary is down because it is restored: that is no failover',
    situation: restoring({ current: ORDER }, { postgres: stoppedReport('shut down') }),
    rule: 'restore-wait',
    because: /about to be restored/,
  },
  {
    name: 'the point is reached: a person decides',
    situation: restoring({ current: ORDER }, onCopy()),
    rule: 'restore-wait',
    because: /--accept/,
  },
  {
    name: 'there is no more WAL before the point: nothing can be accepted',
    situation: restoring({ current: ORDER, decision: 'accept' }, onCopy('ended')),
    rule: 'restore-wait',
    because: /try another point/,
  },
  {
    name: 'accepted',
    situation: restoring({ current: ORDER, decision: 'accept' }, onCopy()),
    rule: 'restore-accept',
  },
  {
    name: 'primary again, but what was set aside is still there',
    situation: restoring({ current: ORDER, decision: 'accepted' }, asPrimary(COPY)),
    rule: 'restore-wait',
  },
  {
    name: 'primary again, and nothing is set aside',
    situation: restoring({ current: ORDER, decision: 'accepted' }, asPrimary(null)),
    rule: 'restore-finish',
  },
  {
    name: 'taken back, and on its way',
    situation: restoring({ current: ORDER, decision: 'undo' }, asPrimary(COPY)),
    rule: 'restore-wait',
    because: /goes back/,
  },
  {
    name: 'taken back, and there again',
    situation: restoring({ current: ORDER, decision: 'undo' }, asPrimary(null)),
    rule: 'restore-undone',
  },
];

const CASES: readonly Case[] = [
  { name: 'a spec without a record', situation: empty(), rule: 'declare' },
  {
    name: 'Swarm never answered',
    situation: { ...pair, observation: { ...pair.observation, swarm: null } },
    rule: 'swarm-unseen',
  },
  {
    name: 'Swarm answered a long time ago',
    situation: withSwarm(pair, { seenAtMs: pair.nowMs - 61_000 }),
    rule: 'swarm-unseen',
  },
  {
    name: 'a second server accepts writes in this term',
    situation: withReport(pair, 'pg2', {
      postgres: pair.observation.reports['pg1']!.report.postgres,
    }),
    rule: 'second-primary',
    because: /pg2 accepts writes, but pg1 is the primary/,
  },
  {
    name: 'the primary was taken out of the spec: its service stays',
    situation: withSpec(pair, { primary: 'pg2', servers: pair.record.spec.servers.slice(1) }),
    rule: 'primary-not-among-servers',
    because: /pg1 is the primary, but not among the servers.*declare pg2/,
  },
  { name: 'nothing in Swarm', situation: round(empty()).situation, rule: 'network-create' },
  {
    name: 'the network has another subnet',
    situation: withSwarm(pair, {
      networks: [
        {
          id: 'x',
          name: 'pgswarm-orders',
          cluster: 'orders',
          driver: 'overlay',
          subnets: ['10.9.9.0/24'],
        },
      ],
    }),
    rule: 'network-differs',
    because: /10\.9\.9\.0\/24.*10\.0\.200\.0\/24/,
  },
  { name: 'no secrets', situation: withSwarm(pair, { secrets: [] }), rule: 'secrets-create' },
  {
    name: 'a node that does not exist',
    situation: withSpec(pair, {
      servers: [
        pair.record.spec.servers[0]!,
        { name: 'pg2', node: { hostname: 'n9' }, port: 5432 },
      ],
    }),
    rule: 'node-unresolved',
    because: /n9/,
  },
  {
    name: 'a service removed by hand',
    situation: withSwarm(pair, { services: services.slice(0, 1) }),
    rule: 'services-create',
    because: /pg2 has no service/,
  },
  {
    name: 'a service edited by hand',
    situation: withSwarm(pair, {
      services: services.map((service) => ({
        ...service,
        spec: JSON.parse(
          JSON.stringify(service.spec).replace('"Replicas":1', '"Replicas":0'),
        ) as unknown,
      })),
    }),
    rule: 'service-update',
    because: /pg2 differs: replicas/,
  },
  {
    name: 'a service of no server',
    situation: withSwarm(pair, {
      services: [...services, { id: 'old', name: 'pgswarm-orders-pg9', version: 1, spec: {} }],
    }),
    rule: 'service-remove',
  },
  { name: 'instances not heard', situation: withReport(heard, 'pg2', null), rule: 'await-servers' },
  { name: 'all volumes empty', situation: heard, rule: 'initialise' },
  {
    name: 'initdb under way',
    situation: withState(heard, { initialising: 'pg1' }),
    rule: 'await-initialise',
  },
  { name: 'initdb done', situation: onTheWay('initialised'), rule: 'initialised' },
  {
    name: 'a foreign volume before the first primary',
    situation: withReport(heard, 'pg2', {
      volume: { kind: 'foreign', detail: 'it holds PG_VERSION' },
    }),
    rule: 'volume-unusable',
    because: /pg2 on n2 is refused: it holds PG_VERSION/,
  },
  {
    name: 'kept volumes, declared one is ahead',
    situation: fresh('both'),
    rule: 'adopt-kept-volumes',
  },
  {
    name: 'kept volumes, the other one is ahead',
    situation: withSpec(fresh('both'), { primary: 'pg2' }),
    rule: 'kept-volumes-refused',
    because: /pg1 has later data/,
  },
  {
    name: 'kept volume on the standby only',
    situation: fresh('pg2'),
    rule: 'kept-volumes-refused',
    because: /holds no data, but that of pg2 does/,
  },
  {
    name: 'kept volume of another server',
    situation: withReport(fresh('pg1'), 'pg2', {
      volume: {
        kind: 'tagged',
        tag: { cluster: 'orders', server: 'pg9', systemIdentifier: '7', volumeId: 'x' },
      },
    }),
    rule: 'kept-volumes-refused',
    because: /belongs to server pg9/,
  },
  { name: 'a clone is complete', situation: onTheWay('record-volume'), rule: 'record-volume' },
  {
    name: 'a known volume is empty',
    situation: withReport(pair, 'pg2', {
      volume: { kind: 'empty' },
      postgres: stoppedReport('shut down'),
    }),
    rule: 'volume-refused',
    because: /pgswarm\.orders\.pg2\.data on n2 is empty.*pgswarm reclone orders pg2/,
  },
  {
    name: 'the primary is silent',
    situation: withReport(pair, 'pg1', null),
    rule: 'primary-silent',
  },
  {
    name: 'the standby is silent',
    situation: withReport(pair, 'pg2', null),
    rule: 'standby-not-streaming',
    because: /pg2 on n2 has not/,
  },
  {
    name: 'an archive that has failed for long',
    situation: withReport(pair, 'pg2', {
      archive: {
        ...ARCHIVE,
        waiting: 3,
        failure: {
          file: '000000010000000000000003',
          reason: 'ArchiveVolumeFull',
          message: 'no room',
          forMs: 20_000,
        },
      },
    }),
    rule: 'archive-failing',
    because: /pg2 has archived nothing for 20s, 3 files are waiting: no room/,
  },
  {
    name: 'an archive that fails for a moment',
    situation: withReport(pair, 'pg2', {
      archive: {
        ...ARCHIVE,
        failure: { file: 'x', reason: 'ArchiveVolumeFull', message: 'no room', forMs: 14_999 },
      },
    }),
    rule: 'steady',
  },
  {
    name: 'archiving is paused by a person',
    situation: withReport(pair, 'pg1', { archive: { ...ARCHIVE, pausedLeftMs: 60_000 } }),
    rule: 'archive-paused',
    because: /archiving on pg1 is paused for 1m more/,
  },
  {
    name: 'a data volume is about to be full',
    situation: withReport(pair, 'pg2', {
      dataVolume: { ...ROOM, fullInMs: 1_800_000, stage: 'tight' },
    }),
    rule: 'data-volume-filling',
    because:
      /^data volume pgswarm\.orders\.pg2\.data on n2: 300MB of 2GB are free, at this rate it is full in about 30m$/,
  },
  {
    name: 'an archive volume is short of room',
    situation: withReport(pair, 'pg1', {
      archive: { ...ARCHIVE, room: { ...ROOM, stage: 'short' } },
    }),
    rule: 'archive-volume-filling',
    because: /^archive volume pgswarm\.orders\.pg1\.archive on n1: 300MB of 2GB are free$/,
  },
  {
    name: 'the primary refuses writes for lack of room, and nobody else has more',
    situation: withReport(pair, 'pg1', { dataVolume: { ...ROOM, stage: 'full' } }),
    rule: 'volume-full',
    because: /data on n1 is full/,
  },
  {
    name: 'the last backup has failed',
    situation: withState(pair, {
      lastBackup: { id: 'b1', server: 'pg2', at: pair.now, problem: 'no room' },
    }),
    rule: 'backup-not-recent',
    because: /no room; take one: pgswarm backup orders/,
  },
  {
    name: 'the time of a pause of the archive is over',
    situation: withState(pair, { archivePauses: { pg1: { until: pair.now, by: 'ada' } } }),
    rule: 'archive-pause-over',
    because: /on pg1$/,
  },
  {
    name: 'archiving is paused by a person who is known',
    situation: withReport(
      withState(pair, { archivePauses: { pg1: { until: '2126-01-01', by: 'ada' } } }),
      'pg1',
      { archive: { ...ARCHIVE, pausedLeftMs: 60_000 } },
    ),
    rule: 'archive-paused',
    because: /pg1 is paused by ada for 1m more; end it: pgswarm archive resume orders/,
  },
  {
    name: 'no archive leads from a backup to all WAL since',
    situation: withReport(pair, 'pg1', { archive: { ...ARCHIVE, window: BROKEN } }),
    rule: 'recovery-window-broken',
    because: /nothing leads further; a new backup/,
  },
  {
    name: 'one archive has a gap, and the other one has none',
    situation: withReport(
      withReport(pair, 'pg1', { archive: { ...ARCHIVE, window: BROKEN } }),
      'pg2',
      { archive: { ...ARCHIVE, window: { ...BROKEN, because: null, isDisturbed: false } } },
    ),
    rule: 'steady',
  },
  {
    name: 'a backup is asked for: the standby takes it',
    situation: withState(pair, { backup: { request: REQUEST, begun: null } }),
    rule: 'backup-begin',
    because: /pg2 can take backup 20260101T001000Z/,
  },
  {
    name: 'a backup is asked for of a server that does not run',
    situation: withReport(
      withState(pair, { backup: { request: { ...REQUEST, server: 'pg2' }, begun: null } }),
      'pg2',
      { postgres: stoppedReport('shut down in recovery') },
    ),
    rule: 'standby-not-streaming',
  },
  {
    name: 'a schedule is new',
    situation: withSpec(pair, { backup: { ...pair.record.spec.backup, schedules: [SCHEDULE] } }),
    rule: 'schedules-follow',
    because: /nightly, next at 2026-01-01T02:00:00.000Z/,
  },
  { name: 'a schedule is due', situation: scheduled(pair), rule: 'schedule-due' },
  {
    name: 'a schedule is due, and its server does not run',
    situation: withReport(scheduled(pair), 'pg2', {
      postgres: stoppedReport('shut down in recovery'),
    }),
    rule: 'standby-not-streaming',
  },
  {
    name: 'a schedule is due, and nobody knows its server',
    situation: scheduled(pair, 'pg9'),
    rule: 'schedule-waits',
    because: /nightly is due since 2026-01-01T00:00:00.000Z and waits for pg9/,
  },
  {
    name: 'a backup is being taken',
    situation: withReport(withState(pair, { backup: TAKING }), 'pg2', {
      backup: { id: 'b1', state: 'running', words: '40 % are written' },
    }),
    rule: 'backup-waits',
    because: /pg2 takes backup b1: 40 % are written/,
  },
  {
    name: 'what is said of an earlier backup ends no other one',
    situation: withReport(withState(pair, { backup: TAKING }), 'pg2', {
      backup: { id: 'b0', state: 'done', words: '' },
    }),
    rule: 'backup-waits',
    because: /it has not begun yet/,
  },
  {
    name: 'a dump is to be loaded: the primary begins',
    situation: withState(pair, { load: { request: LOAD, begun: null } }),
    rule: 'load-begin',
    because: /pg1 can load database app from backup d1/,
  },
  {
    name: 'a dump is being loaded',
    situation: withState(pair, { load: LOADING }),
    rule: 'load-waits',
    because: /pg1 loads database app from backup d1: it has not begun yet/,
  },
  {
    name: 'a dump has been loaded',
    situation: withReport(withState(pair, { load: LOADING }), 'pg1', {
      load: { id: LOAD.at, state: 'done', words: 'loaded' },
    }),
    rule: 'load-end',
    because: /database app from backup d1 has been loaded on pg1/,
  },
  {
    name: 'a backup has failed',
    situation: withReport(withState(pair, { backup: TAKING }), 'pg2', {
      backup: { id: 'b1', state: 'failed', words: 'no room' },
    }),
    rule: 'backup-end',
    because: /backup b1 on pg2 has failed: no room/,
  },
  ...RESTORES,
  {
    name: 'a restore drill is asked for: the standby makes it',
    situation: withState(pair, { rehearsal: { request: DRILL, begun: null } }),
    rule: 'rehearsal-begin',
    because: /pg2 can make a restore drill/,
  },
  {
    name: 'a restore drill is under way',
    situation: withReport(withState(pair, { rehearsal: rehearsing('drill') }), 'pg2', {
      rehearsal: { id: 'r1', state: 'running', words: 'unpacking b1', outcome: null },
    }),
    rule: 'rehearsal-waits',
    because: /a restore drill on pg2: unpacking b1/,
  },
  {
    name: 'a restore drill has brought the data back',
    situation: withReport(withState(pair, { rehearsal: rehearsing('drill') }), 'pg2', {
      rehearsal: { id: 'r1', state: 'ended', words: '', outcome: OUTCOME },
    }),
    rule: 'rehearsal-end',
    because:
      /a restore drill on pg2 has brought the data back in 4s of backup b1, up to 0\/4000000/,
  },
  {
    name: 'what is said of an earlier restore drill ends no other one',
    situation: withReport(withState(pair, { rehearsal: rehearsing('drill') }), 'pg2', {
      rehearsal: { id: 'r0', state: 'ended', words: '', outcome: OUTCOME },
    }),
    rule: 'rehearsal-waits',
    because: /it has not begun yet/,
  },
  {
    name: 'a restore drill was given up for something more important',
    situation: withReport(withState(pair, { rehearsal: rehearsing('drill') }), 'pg2', {
      rehearsal: {
        id: 'r1',
        state: 'given up',
        words: 'the server is to be stopped',
        outcome: null,
      },
    }),
    rule: 'rehearsal-again',
    because: /a restore drill on pg2 was given up: the server is to be stopped/,
  },
  {
    name: 'a preview is kept',
    situation: withReport(withState(pair, { rehearsal: rehearsing('preview') }), 'pg2', {
      rehearsal: { id: 'r1', state: 'ready', words: 'restored', outcome: OUTCOME },
    }),
    rule: 'rehearsal-waits',
    because: /a preview of the end of the WAL on pg2: restored/,
  },
  {
    name: 'a preview is kept for two hours',
    situation: withReport(
      withState(pair, { rehearsal: rehearsing('preview', '2025-12-31T22:00:00.000Z') }),
      'pg2',
      { rehearsal: { id: 'r1', state: 'ready', words: 'restored', outcome: OUTCOME } },
    ),
    rule: 'rehearsal-end',
    because: /a preview of the end of the WAL on pg2 is over/,
  },
  {
    name: 'restore drills are to be made by schedule',
    situation: withSpec(pair, { backup: { ...pair.record.spec.backup, drill: SUNDAYS } }),
    rule: 'drill-schedule',
    because: /the next one at 2026-01-04T05:00:00.000Z/,
  },
  {
    name: 'a restore drill is due',
    situation: withState(
      withSpec(pair, { backup: { ...pair.record.spec.backup, drill: SUNDAYS } }),
      { drillSchedule: { ...SUNDAYS, nextDueAt: '2025-12-28T05:00:00.000Z', last: null } },
    ),
    rule: 'drill-due',
    because: /a restore drill is due since 2025-12-28T05:00:00.000Z/,
  },
  {
    name: 'the last restore drill has failed',
    situation: withState(pair, {
      lastDrill: { ...UNPROVEN, id: 'r1', server: 'pg2', at: '2026-01-01T00:00:00.000Z' },
    }),
    rule: 'drill-failed',
    because:
      /the last restore drill, on pg2 at 2026-01-01T00:00:00.000Z, has failed: WAL is missing/,
  },
  {
    name: 'a person keeps the standby stopped',
    situation: withState(pair, { fenced: ['pg2'] }),
    rule: 'fenced-server',
  },
  {
    name: 'a person keeps the primary stopped: nobody takes over',
    situation: withReport(withState(pair, { fenced: ['pg1'] }), 'pg1', {
      postgres: stoppedReport('shut down'),
    }),
    rule: 'primary-fenced',
  },
  {
    name: 'a person wants a restart',
    situation: withState(pair, { restart: { id: 'r1', servers: ['pg2', 'pg1'] } }),
    rule: 'restart-waits',
  },
  {
    name: 'a standby has been restarted',
    situation: withReport(
      withState(pair, { restart: { id: 'r1', servers: ['pg2', 'pg1'] } }),
      'pg2',
      { restartedFor: 'r1' },
    ),
    rule: 'restart-next',
    because: /pg1 is next/,
  },
  { name: 'another primary is declared', situation: asked, rule: 'switchover-begin' },
  {
    name: 'another primary is declared, but it is silent',
    situation: withReport(asked, 'pg2', null),
    rule: 'standby-not-streaming',
  },
  {
    name: 'another primary is declared, but it lags',
    situation: withReport(asked, 'pg2', {
      postgres: {
        ...pair.observation.reports['pg2']!.report.postgres,
        replayedLsn: '0/1000000',
      } as never,
    }),
    rule: 'switchover-refused',
    because: /33554432 bytes behind/,
  },
  {
    name: 'the same request was given up a moment ago',
    situation: withState(asked, {
      refusal: { generation: 2, to: 'pg2', because: 'it was slow', at: asked.now, attempts: 1 },
    }),
    rule: 'switchover-refused',
    because: /it was slow; it is tried again at 2026-01-01T00:11:00/,
  },
  {
    name: 'the CHECKPOINT is not done',
    situation: withReport(checkpointing, 'pg1', { checkpointedFor: null }),
    rule: 'switchover-await-checkpoint',
  },
  { name: 'the CHECKPOINT is done', situation: checkpointing, rule: 'switchover-stop' },
  {
    name: 'the target is gone before anything was stopped',
    situation: later(withReport(checkpointing, 'pg2', null), 10_001),
    rule: 'switchover-give-up',
  },
  {
    name: 'the target is silent for a moment before anything was stopped',
    situation: later(withReport(checkpointing, 'pg2', null), 9_999),
    rule: 'switchover-await-checkpoint',
  },
  {
    name: 'a new leader has not heard the target yet',
    situation: {
      ...withReport(checkpointing, 'pg2', null),
      observation: {
        ...withReport(checkpointing, 'pg2', null).observation,
        leadingSinceMs: checkpointing.nowMs - 1_000,
      },
    },
    rule: 'switchover-await-checkpoint',
  },
  { name: 'stopped, and replayed by the target', situation: stopping, rule: 'switchover-promote' },
  {
    name: 'stopped, but the target lacks the last byte',
    situation: withReport(stopping, 'pg2', {
      postgres: {
        ...stopping.observation.reports['pg2']!.report.postgres,
        replayedLsn: '0/2FFFFFF',
      } as never,
    }),
    rule: 'switchover-await-stop',
  },
  {
    name: 'the target lacks the last byte for too long',
    situation: later(
      withReport(stopping, 'pg2', {
        postgres: {
          ...stopping.observation.reports['pg2']!.report.postgres,
          replayedLsn: '0/2FFFFFF',
        } as never,
      }),
      10_001,
    ),
    rule: 'switchover-undo',
    because: /pg2 did not catch up within 10 s: pg1 goes on/,
  },
  {
    name: 'the target has become one that is late on purpose, though it has replayed all of it',
    situation: withSpec(stopping, {
      servers: stopping.record.spec.servers.map((each) =>
        each.name === 'pg2'
          ? { ...each, late: { replication: 'streaming', hotStandby: true, applyDelayMs: 60_000 } }
          : each,
      ),
    }),
    rule: 'switchover-undo',
    because: /^pg2 is late on purpose by now: pg1 goes on/,
  },
  {
    name: 'the old primary crashed instead of stopping',
    situation: withReport(stopping, 'pg1', { postgres: stoppedReport('in production') }),
    rule: 'switchover-undo',
    because: /did not stop in order \(in production\)/,
  },
  {
    name: 'named, not yet promoted',
    situation: withReport(promoting, 'pg2', {
      postgres: pair.observation.reports['pg2']!.report.postgres,
    }),
    rule: 'promotion-await',
  },
  { name: 'promoted', situation: promoting, rule: 'promotion-finish' },
  { name: 'deleted', situation: deleted(pair), rule: 'delete-service', because: /pg1/ },
  {
    name: 'deleted, still stopping',
    situation: withSwarm(deleted(pair), {
      services: [],
      tasks: [
        {
          id: 't1',
          service: 'pgswarm-orders-pg1',
          nodeId: 'id-n1',
          state: 'running',
          desiredState: 'remove',
          error: null,
          createdAt: '',
        },
      ],
    }),
    rule: 'delete-await-stop',
  },
  {
    name: 'deleted with its volumes',
    situation: withSwarm(deleted(pair, true), { services: [] }),
    rule: 'delete-volumes',
  },
  {
    name: 'deleted, only the network is left',
    situation: withSwarm(deleted(pair), { services: [] }),
    rule: 'delete-network',
  },
  {
    name: 'deleted, only secrets are left',
    situation: withSwarm(deleted(pair), { services: [], networks: [] }),
    rule: 'delete-secrets',
  },
  {
    name: 'deleted, nothing is left',
    situation: withSwarm(deleted(pair), { services: [], networks: [], secrets: [] }),
    rule: 'delete-records',
  },
  { name: 'a healthy pair', situation: pair, rule: 'steady' },
];

/** Sections with a file of cases of their own: failover, sync-rules, maintenance, configuration. */
const ELSEWHERE: readonly Section[] = [
  'failover',
  'contract',
  'synchronous',
  'maintenance',
  'configuration',
];

describe('decide', () => {
  for (const { name, situation, rule, because } of CASES) {
    it(`${rule}: ${name}`, () => {
      const decision = decide(situation);
      expect(decision.rule, decision.because).to.equal(rule);
      if (because !== undefined) expect(decision.because).to.match(because);
    });
  }

  it('has a case for every rule, and no two rules with one id', () => {
    const ids = RULES.map(({ id }) => id);
    expect(new Set(ids).size).to.equal(ids.length);
    const own = RULES.filter(({ section }) => !ELSEWHERE.includes(section))
      .map(({ id }) => id)
      .filter((id) => id !== 'volume-full');
    const missing = own.filter((id) => !CASES.some(({ rule }) => rule === id));
    expect(missing).to.deep.equal([]);
  });

  it('raises a condition for what waits, even when another rule acts', () => {
    const [pg1] = pair.record.spec.servers;
    const pg2 = { name: 'pg2', node: { hostname: 'n9' }, port: 5432 };
    const lost = withSwarm(withSpec(pair, { servers: [pg1!, pg2] }), { services: [] });
    const { rule, findings } = decide(lost);
    expect(rule).to.equal('services-create');
    expect(findings.map(({ condition }) => condition?.reason)).to.deep.equal(['NodeUnresolved']);
  });
});
