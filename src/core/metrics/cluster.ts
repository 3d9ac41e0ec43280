/**
 * A cluster's status as metrics: whatever `pgswarm status` decides is only counted here. The labels
 * are names out of the spec, or words of ours, so there is a bound to how many series there can be.
 */
import { type BackupStatus, type ServerStatus, type Status } from '../status';
import { serverFamilies, serverSamples } from './server';
import {
  gauge,
  oneOf,
  sampled,
  secondsOf,
  timestampOf,
  type Families,
  type Sample,
} from './family';

export const clusterFamilies = {
  pgswarm_cluster_phase: gauge(
    'The phase of the cluster: 1 for the present one.',
    'cluster',
    'phase',
  ),
  pgswarm_cluster_condition: gauge('A condition: 1 while it is True.', 'cluster', 'type'),
  pgswarm_cluster_primary_up: gauge('1 while the primary accepts writes.', 'cluster'),
  pgswarm_cluster_primary_info: gauge(
    'The server that is primary by the record.',
    'cluster',
    'server',
  ),
  pgswarm_cluster_decision_info: gauge('The rule that decides now.', 'cluster', 'rule'),
  pgswarm_cluster_paused: gauge('1 while a person has paused the operator.', 'cluster'),
  pgswarm_cluster_generation: gauge('Generation of the spec.', 'cluster'),
  pgswarm_cluster_term: gauge('Term: one more at every change of primary.', 'cluster'),
  pgswarm_cluster_timeline: gauge('Timeline of the primary.', 'cluster'),
  pgswarm_cluster_lease_seconds: gauge('Length of the primary’s leases.', 'cluster'),
  pgswarm_cluster_lease_left_seconds: gauge('Time until the last lease is over.', 'cluster'),
  pgswarm_cluster_synchronous_guaranteed: gauge(
    '1 while every acknowledged commit is on standbys, 0 while a failover may lose some.',
    'cluster',
  ),
  pgswarm_cluster_last_change_timestamp_seconds: gauge(
    'When the primary last changed.',
    'cluster',
    'kind',
  ),
  pgswarm_cluster_last_change_write_gap_seconds: gauge(
    'How long nobody accepted writes in that change.',
    'cluster',
    'kind',
  ),
  pgswarm_cluster_last_change_lost_bytes: gauge('WAL lost in that change.', 'cluster', 'kind'),
  pgswarm_cluster_losses: gauge('Entries in the loss ledger.', 'cluster'),
  pgswarm_cluster_losses_bytes: gauge('WAL lost in all of them.', 'cluster'),
  pgswarm_cluster_backups: gauge('Backups without a problem.', 'cluster', 'method'),
  pgswarm_cluster_backups_broken: gauge('Backups in which something is wrong.', 'cluster'),
  pgswarm_cluster_backup_last_success_timestamp_seconds: gauge(
    'End of the newest backup without a problem.',
    'cluster',
    'method',
  ),
  pgswarm_cluster_backup_last_success_bytes: gauge('Its size.', 'cluster', 'method'),
  pgswarm_cluster_backup_last_success_duration_seconds: gauge(
    'How long it took.',
    'cluster',
    'method',
  ),
  pgswarm_cluster_backup_last_failed: gauge('1 when the last backup has failed.', 'cluster'),
  pgswarm_cluster_backup_next_due_timestamp_seconds: gauge(
    'When the next backup by schedule is due.',
    'cluster',
  ),
  pgswarm_cluster_drill_last_timestamp_seconds: gauge('The last restore drill.', 'cluster'),
  pgswarm_cluster_drill_last_duration_seconds: gauge(
    'How long it took to have the data back.',
    'cluster',
  ),
  pgswarm_cluster_drill_last_failed: gauge('1 when it has not brought the data back.', 'cluster'),
  ...serverFamilies,
} as const satisfies Families;

type ClusterSample = Sample<keyof typeof clusterFamilies>;

const PHASES: Readonly<Record<Status['phase'], true>> = {
  Creating: true,
  Switchover: true,
  Failover: true,
  Ready: true,
  Degraded: true,
  Unavailable: true,
  Paused: true,
  Deleting: true,
};

const BACKUP_METHODS: Readonly<Record<BackupStatus['method'], true>> = {
  base: true,
  dump: true,
  snapshot: true,
};

/** Everything that there is to measure of one cluster. */
export function clusterSamples(status: Status): readonly ClusterSample[] {
  const { cluster, servers } = status;
  return [
    ...oneOf('pgswarm_cluster_phase', { cluster }, phaseOf(status)),
    ...status.conditions.map(({ type, status: is }): ClusterSample => {
      const labels = { cluster, type };
      return { name: 'pgswarm_cluster_condition', labels, value: Number(is === 'True') };
    }),
    ...sampled({ cluster, rule: status.decision.rule }, { pgswarm_cluster_decision_info: 1 }),
    ...(status.primary === null
      ? []
      : sampled({ cluster, server: status.primary }, { pgswarm_cluster_primary_info: 1 })),
    ...sampled(
      { cluster },
      {
        pgswarm_cluster_primary_up: servers.some((server) => isPrimary(server, status)),
        pgswarm_cluster_paused: status.paused,
        pgswarm_cluster_generation: status.generation,
        pgswarm_cluster_term: status.term,
        pgswarm_cluster_timeline: status.timeline,
        pgswarm_cluster_lease_seconds: secondsOf(status.lease?.ttlMs ?? null),
        pgswarm_cluster_lease_left_seconds: secondsOf(status.lease?.leftMs ?? null),
        pgswarm_cluster_synchronous_guaranteed:
          status.synchronous === null ? null : status.synchronous.guaranteed !== null,
      },
    ),
    ...changeSamples(status),
    ...backupSamples(status),
    ...drillSamples(status),
    ...servers.flatMap((server) => serverSamples(cluster, server)),
  ];
}

const phaseOf = ({ phase }: Status): Parameters<typeof oneOf>[2] => ({
  label: 'phase',
  of: Object.keys(PHASES),
  is: phase,
});

/** A server that only takes itself for the primary does not count. */
const isPrimary = ({ name, role }: ServerStatus, { primary }: Status): boolean =>
  name === primary && role === 'primary';

function changeSamples({ cluster, lastChange, losses }: Status): readonly ClusterSample[] {
  const lost = losses.map(({ measured, estimatedBytes }) => measured?.bytes ?? estimatedBytes ?? 0);
  return [
    ...(lastChange === null
      ? []
      : sampled(
          { cluster, kind: lastChange.kind },
          {
            pgswarm_cluster_last_change_timestamp_seconds: timestampOf(lastChange.at),
            pgswarm_cluster_last_change_write_gap_seconds: secondsOf(lastChange.writeGapMs),
            pgswarm_cluster_last_change_lost_bytes: lastChange.lostBytes,
          },
        )),
    ...sampled(
      { cluster },
      {
        pgswarm_cluster_losses: losses.length,
        pgswarm_cluster_losses_bytes: lost.reduce((sum, bytes) => sum + bytes, 0),
      },
    ),
  ];
}

function backupSamples({
  cluster,
  backups,
  lastBackup,
  schedules,
}: Status): readonly ClusterSample[] {
  const due = schedules.flatMap(({ nextDueAt }) => nextDueAt ?? []).toSorted();
  return [
    ...Object.keys(BACKUP_METHODS).flatMap((method) => {
      const good = backups.filter((each) => each.method === method && each.problem === null);
      const newest = good.toSorted((a, b) => a.stoppedAt.localeCompare(b.stoppedAt)).at(-1);
      return sampled(
        { cluster, method },
        { pgswarm_cluster_backups: good.length, ...newestBackup(newest) },
      );
    }),
    ...sampled(
      { cluster },
      {
        pgswarm_cluster_backups_broken: backups.filter(({ problem }) => problem !== null).length,
        pgswarm_cluster_backup_last_failed:
          lastBackup === null ? null : lastBackup.problem !== null,
        pgswarm_cluster_backup_next_due_timestamp_seconds: timestampOf(due[0] ?? null),
      },
    ),
  ];
}

function newestBackup(
  newest: BackupStatus | undefined,
): Readonly<Partial<Record<ClusterSample['name'], number | null>>> {
  if (newest === undefined) return {};
  const { startedAt, stoppedAt, bytes } = newest;
  return {
    pgswarm_cluster_backup_last_success_timestamp_seconds: timestampOf(stoppedAt),
    pgswarm_cluster_backup_last_success_bytes: bytes,
    pgswarm_cluster_backup_last_success_duration_seconds:
      (Date.parse(stoppedAt) - Date.parse(startedAt)) / 1000,
  };
}

function drillSamples({ cluster, lastDrill }: Status): readonly ClusterSample[] {
  if (lastDrill === null) return [];
  const { unpackMs, recoverMs, checkMs } = lastDrill.durations;
  return sampled(
    { cluster },
    {
      pgswarm_cluster_drill_last_timestamp_seconds: timestampOf(lastDrill.at),
      pgswarm_cluster_drill_last_duration_seconds: (unpackMs + recoverMs + checkMs) / 1000,
      pgswarm_cluster_drill_last_failed: lastDrill.problem !== null,
    },
  );
}
