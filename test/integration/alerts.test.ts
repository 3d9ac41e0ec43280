/**
 * Each alert, by promtool over made-up series: it fires when it should, and is quiet on the other
 * side of its bound, and before its time.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { parseDuration } from '../../src/core/quantities';
import { alertRules, MONITORING } from '../support/monitoring';
import { findPrometheus, promtool } from './support/prometheus';

/** Values by series: `0x40` stays 0 for 40 steps of 15 s; `_` is a scrape without it. */
type World = Readonly<Record<string, string>>;

interface Row {
  readonly alert: string;
  /** What it says of `orders`; null: nothing. */
  readonly says: string | null;
  readonly world: World;
  /** When it is looked at; otherwise a minute after the time that the alert waits. */
  readonly at?: string;
  /** Besides the severity. */
  readonly labels?: Readonly<Record<string, string>>;
  readonly name?: string;
}

const OPERATOR = '{cluster="orders", instance="pgswarm_operator@n1"';
/** Five hours. */
const FOR_LONG = 'x1200';
const condition = (type: string, value: string): World => ({
  [`pgswarm_cluster_condition${OPERATOR}, type="${type}"}`]: value,
});
const cluster = (name: string, value: string, labels = ''): World => ({
  [`pgswarm_cluster_${name}${OPERATOR}${labels}}`]: value,
});
const server = (name: string, value: string, labels = ''): World => ({
  [`pgswarm_server_${name}${OPERATOR}, server="pg2"${labels}}`]: value,
});
const instance = (name: string, value: string): World => ({
  [`pgswarm_instance_${name}{cluster="orders", server="pg1", instance="pgswarm-orders-pg1@n1"}`]:
    value,
});
const MEGABYTE = 1024 * 1024;
const DAY = 86_400;
const whole = { labels: {} } as const;
const PG1 = { labels: { cluster: 'orders', server: 'pg1' } } as const;
const PG2 = { labels: { cluster: 'orders', server: 'pg2' } } as const;

/** One of those that follow a condition. */
const ofCondition = (alert: string, type: string, says: string): readonly Row[] => [
  { alert, says, world: condition(type, `0${FOR_LONG}`) },
  { alert, says: null, name: 'when all is well', world: condition(type, `1${FOR_LONG}`) },
  {
    ...{ alert, says: null, name: 'before its time', world: condition(type, `0${FOR_LONG}`) },
    at: `${secondsOf(alert) - 30}s`,
  },
  {
    alert,
    says: null,
    name: 'of a condition that is not its own',
    world: condition(type === 'Ready' ? 'SpecValid' : 'Ready', `0${FOR_LONG}`),
  },
];

const NO_LEADER = 'pgswarm: no operator leads, nothing is decided and nobody would take over';
const leader = (node: string, value: string): World => ({
  [`pgswarm_operator_leader{instance="pgswarm_operator@${node}"}`]: value,
});

const rows: readonly Row[] = [
  {
    ...{ alert: 'PgswarmNoLeader', says: NO_LEADER, ...whole },
    world: { ...leader('n1', '0x40'), ...leader('n2', '0x40') },
    at: '2m',
  },
  {
    alert: 'PgswarmNoLeader',
    says: NO_LEADER,
    ...whole,
    name: 'when no operator is there',
    world: {},
    at: '2m',
  },
  {
    ...{ alert: 'PgswarmNoLeader', says: null, name: 'while the leadership moves' },
    world: { ...leader('n1', '1x10 0x40'), ...leader('n2', '0x12 1x40') },
    at: '5m',
  },
  {
    alert: 'PgswarmNotMeasured',
    says: 'pgswarm-orders-pg1@n1: Prometheus cannot ask it',
    world: up('0x60'),
    labels: { job: 'pgswarm', instance: 'pgswarm-orders-pg1@n1' },
  },
  { alert: 'PgswarmNotMeasured', says: null, name: 'of one that answers', world: up('1x60') },
  {
    alert: 'PgswarmNoPrimary',
    says: 'orders: no primary accepts writes',
    world: {
      ...cluster('primary_up', '0x40'),
      ...cluster('phase', '1x40', ', phase="Unavailable"'),
    },
    at: '1m',
  },
  {
    ...{ alert: 'PgswarmNoPrimary', says: null, name: 'of a failover that ends in time' },
    world: cluster('primary_up', '1x4 0 1x40'),
    at: '1m45s',
  },
  {
    ...{ alert: 'PgswarmNoPrimary', says: null, name: 'of a cluster that is being created' },
    world: { ...cluster('primary_up', '0x40'), ...cluster('phase', '1x40', ', phase="Creating"') },
    at: '5m',
  },
  ...ofCondition(
    'PgswarmNotRedundant',
    'ServersReady',
    'orders: a standby is missing, or does not follow',
  ),
  ...ofCondition(
    'PgswarmNotSynchronous',
    'Synchronous',
    'orders: commits are not on as many standbys as declared',
  ),
  {
    ...{ alert: 'PgswarmReplicationLag', says: 'orders: pg2 is 128MiB behind', ...PG2 },
    world: { ...server('lag_bytes', `${128 * MEGABYTE}x40`), ...server('late', '0x40') },
    at: '6m',
  },
  {
    ...{ alert: 'PgswarmReplicationLag', says: null, name: 'of one that is close' },
    world: { ...server('lag_bytes', `${63 * MEGABYTE}x40`), ...server('late', '0x40') },
    at: '6m',
  },
  {
    ...{ alert: 'PgswarmReplicationLag', says: null, name: 'of one that is late on purpose' },
    world: { ...server('lag_bytes', `${128 * MEGABYTE}x40`), ...server('late', '1x40') },
    at: '6m',
  },
  {
    alert: 'PgswarmDataLost',
    says: 'orders: the last change of primary has lost 2MiB of WAL',
    world: lost(2 * MEGABYTE),
  },
  { alert: 'PgswarmDataLost', says: null, name: 'when nothing was', world: lost(0) },
  { alert: 'PgswarmDataLost', says: null, name: 'two days later', world: lost(5, -2 * DAY) },
  {
    alert: 'PgswarmLeaseLost',
    says: 'orders: pg1 has stopped itself, since nobody confirmed its lease',
    ...PG1,
    world: instance('fences_total', '0x20 1x100'),
    at: '7m',
  },
  {
    ...{ alert: 'PgswarmLeaseLost', says: null, name: 'an hour later' },
    world: instance('fences_total', '0x20 1x400'),
    at: '1h',
  },
  {
    alert: 'PgswarmPostgresCrashes',
    says: 'orders: PostgreSQL on pg1 has crashed more than once',
    ...PG1,
    world: instance('postmaster_crashes_total', '0x40 1x20 2x100'),
    at: '20m',
  },
  {
    ...{ alert: 'PgswarmPostgresCrashes', says: null, name: 'of the first one' },
    world: instance('postmaster_crashes_total', '0x40 1x100'),
    at: '20m',
  },
  ...ofCondition('PgswarmArchiveFailing', 'WalArchived', 'orders: WAL is not archived'),
  ...ofCondition(
    'PgswarmRecoveryWindowGap',
    'RecoveryWindow',
    'orders: not every point since the oldest backup can be restored',
  ),
  ...ofCondition(
    'PgswarmBackupNotRecent',
    'BackupRecent',
    'orders: the last backup has failed, or one is overdue',
  ),
  {
    alert: 'PgswarmBackupTooOld',
    says: 'orders: no base backup within 8 days',
    world: backup(-8 * DAY, 1),
  },
  {
    alert: 'PgswarmBackupTooOld',
    says: 'orders: no base backup within 8 days',
    name: 'when there is none',
    world: cluster('backups', `0${FOR_LONG}`, ', method="base"'),
  },
  {
    ...{ alert: 'PgswarmBackupTooOld', says: null, name: 'of one that is a week old' },
    world: backup(-7 * DAY, 1),
  },
  ...ofCondition(
    'PgswarmDrillFailed',
    'RestoreDrill',
    'orders: the last restore drill has not brought the data back',
  ),
  {
    alert: 'PgswarmDrillTooOld',
    says: 'orders: no restore drill within 35 days',
    world: cluster('drill_last_timestamp_seconds', `${-35 * DAY}${FOR_LONG}`),
  },
  {
    ...{ alert: 'PgswarmDrillTooOld', says: null, name: 'of one that is a month old' },
    world: cluster('drill_last_timestamp_seconds', `${-30 * DAY}${FOR_LONG}`),
  },
  { alert: 'PgswarmDrillTooOld', says: null, name: 'where there was none', world: {} },
  ...(['Data', 'Archive'] as const).flatMap((volume): readonly Row[] => {
    const alert = `Pgswarm${volume}VolumeFilling`;
    const which = `${volume === 'Data' ? 'a' : 'an'} ${volume.toLowerCase()}`;
    const says = `orders: ${which} volume is getting full`;
    const label = `, volume="${volume.toLowerCase()}"`;
    const other = `, volume="${volume === 'Data' ? 'archive' : 'data'}"`;
    const at = '10m';
    return [
      ...ofCondition(alert, `${volume}Volume`, says),
      {
        ...{ alert, says, name: 'that is full in three hours', at },
        world: server('volume_full_in_seconds', '10800x60', label),
      },
      {
        ...{ alert, says: null, name: 'that is full in five hours', at },
        world: server('volume_full_in_seconds', '18000x60', label),
      },
      {
        ...{ alert, says: null, name: 'of the other kind', at },
        world: server('volume_full_in_seconds', '10800x60', other),
      },
    ];
  }),
  ...ofCondition(
    'PgswarmPrimaryNotAsDeclared',
    'PrimaryAsDeclared',
    'orders: the primary is not the one that the file declares',
  ),
  ...ofCondition(
    'PgswarmSpecRefused',
    'SpecValid',
    'orders: its file was refused, the last good one stays in force',
  ),
  ...ofCondition(
    'PgswarmSourceNotFollowed',
    'SourceFollowed',
    'orders: what is pushed to its Git repository does not reach it',
  ),
  ...ofCondition(
    'PgswarmNotUpToDate',
    'UpToDate',
    'orders: servers run with other settings, or another image, than declared',
  ),
  ...ofCondition(
    'PgswarmObjectsNotReady',
    'ObjectsReady',
    'orders: its network, secrets or services are not as declared',
  ),
  {
    alert: 'PgswarmPaused',
    says: 'orders: paused for hours, nobody would take over',
    world: cluster('paused', `1${FOR_LONG}`),
  },
  {
    ...{ alert: 'PgswarmPaused', says: null, name: 'of an hour’s work' },
    world: cluster('paused', `1x240 0${FOR_LONG}`),
    at: '1h',
  },
];

/** How long an alert waits. */
function secondsOf(alert: string): number {
  const text = alertRules().find((rule) => rule.alert === alert)?.for ?? '';
  const parsed = parseDuration(text);
  if (parsed.kind === 'problem') throw new Error(`${alert} waits for no time: ${text}`);
  return parsed.value / 1000;
}

function lost(bytes: number, atSeconds = 0): World {
  const kind = ', kind="failover"';
  return {
    ...cluster('last_change_lost_bytes', `${bytes}x40`, kind),
    ...cluster('last_change_timestamp_seconds', `${atSeconds}x40`, kind),
  };
}

function up(value: string): World {
  return { 'up{job="pgswarm", instance="pgswarm-orders-pg1@n1"}': value };
}

function backup(atSeconds: number, count: number): World {
  const base = ', method="base"';
  return {
    ...cluster('backups', `${count}${FOR_LONG}`, base),
    ...cluster('backup_last_success_timestamp_seconds', `${atSeconds}${FOR_LONG}`, base),
  };
}

describe('the alerts', function () {
  this.timeout(60_000);
  const programs = findPrometheus() ?? '';
  let folder: string;

  before(function () {
    if (programs === '') {
      console.log('    skipped: needs Prometheus');
      this.skip();
    }
    folder = mkdtempSync(join(tmpdir(), 'pgswarm-alerts-'));
  });
  after(() => rmSync(folder, { recursive: true, force: true }));

  for (const { alert, labels: severityAnd } of alertRules()) {
    it(`${alert} fires and is quiet as it should`, async () => {
      const own = rows.filter((row) => row.alert === alert);
      expect(own.some(({ says }) => says !== null)).to.equal(true);
      expect(own.some(({ says }) => says === null)).to.equal(true);
      const { annotations } = alertRules().find((rule) => rule.alert === alert)!;
      const tests = own.map(
        ({
          says,
          world,
          at = `${secondsOf(alert) + 60}s`,
          labels = { cluster: 'orders' },
          name,
        }) => ({
          name: `${alert} ${name ?? ''}`,
          interval: '15s',
          input_series: Object.entries(world).map(([series, values]) => ({ series, values })),
          alert_rule_test: [
            {
              ...{ eval_time: at, alertname: alert },
              exp_alerts:
                says === null
                  ? []
                  : [
                      {
                        exp_labels: { ...labels, ...severityAnd },
                        exp_annotations: { ...annotations, summary: says },
                      },
                    ],
            },
          ],
        }),
      );
      const file = join(folder, `${alert}.json`);
      const rule_files = [join(MONITORING, 'alerts.yml')];
      writeFileSync(file, JSON.stringify({ rule_files, evaluation_interval: '15s', tests }));
      await promtool(programs, ['test', 'rules', file]);
    });
  }
});
