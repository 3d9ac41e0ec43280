/** What an instance manager knows of itself as metrics, with or without an operator to ask. */
import { type Lsn, lsnBytes } from '../lsn';
import { type PostgresReport, type Report } from '../protocol';
import {
  counter,
  gauge,
  histogram,
  oneOf,
  sampled,
  secondsOf,
  type Families,
  type Sample,
} from './family';

/** A segment is compressed and synced; on a slow volume that takes seconds. */
const ARCHIVE_SECONDS = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];
/** Up to the time in which an answer is waited for, and beyond: all operators are asked then. */
const REQUEST_SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.5, 3];

/** Held by the instance, and read when somebody asks. */
export const instanceFamilies = {
  pgswarm_instance_up: gauge('1 while its PostgreSQL runs and answers.'),
  pgswarm_instance_healthy: gauge('1 while PostgreSQL runs if it should.'),
  pgswarm_instance_role: gauge('What PostgreSQL is: 1 for the present role.', 'role'),
  pgswarm_instance_term: gauge('The term that it obeys.'),
  pgswarm_instance_timeline: gauge('Timeline of its data.'),
  pgswarm_instance_wal_position_bytes: gauge(
    'Where its WAL is: written as a primary, replayed as a standby.',
  ),
  pgswarm_instance_wal_received_position_bytes: gauge('Up to where a standby has received WAL.'),
  pgswarm_instance_lease_left_seconds: gauge(
    'Time until it may not accept writes any more; absent while it needs no lease.',
  ),
  pgswarm_instance_leader_silence_seconds: gauge('Time since a leader has last answered.'),
  pgswarm_instance_archive_waiting_files: gauge('WAL files that are not archived yet.'),
} as const satisfies Families;

/** Counted as they happen. */
export const instanceEventFamilies = {
  pgswarm_instance_postmaster_starts_total: counter('Starts of PostgreSQL.'),
  pgswarm_instance_postmaster_crashes_total: counter('How often it has ended by itself.'),
  pgswarm_instance_fences_total: counter(
    'How often a lease ran out, and PostgreSQL was stopped for it.',
  ),
  pgswarm_instance_archive_duration_seconds: histogram(
    'WAL files that were stored in the archive: the time until each was safe.',
    ARCHIVE_SECONDS,
  ),
  pgswarm_instance_archived_bytes_total: counter('WAL in them, before compression.'),
  pgswarm_instance_archive_failures_total: counter('Attempts to archive a file that failed.'),
  pgswarm_instance_operator_request_duration_seconds: histogram(
    'Reports that a leader has answered: the time until it had.',
    REQUEST_SECONDS,
  ),
  pgswarm_instance_operator_request_failures_total: counter('Reports that no leader has answered.'),
} as const satisfies Families;

export interface InstanceSeen {
  readonly report: Pick<Report, 'postgres' | 'obeys' | 'archive'>;
  readonly isHealthy: boolean;
  readonly leaseLeftMs: number | null;
  readonly contactAgeMs: number | null;
}

type InstanceSample = Sample<keyof typeof instanceFamilies>;

export function instanceSamples(seen: InstanceSeen): readonly InstanceSample[] {
  const { postgres, obeys, archive } = seen.report;
  const { role, timeline, position, received } = runningOf(postgres);
  return [
    ...oneOf('pgswarm_instance_role', {}, { label: 'role', of: ['primary', 'standby'], is: role }),
    ...sampled(
      {},
      {
        pgswarm_instance_up: role !== null,
        pgswarm_instance_healthy: seen.isHealthy,
        pgswarm_instance_term: obeys?.term ?? null,
        pgswarm_instance_timeline: timeline,
        pgswarm_instance_wal_position_bytes: bytesOf(position),
        pgswarm_instance_wal_received_position_bytes: bytesOf(received),
        pgswarm_instance_lease_left_seconds: secondsOf(seen.leaseLeftMs),
        pgswarm_instance_leader_silence_seconds: secondsOf(seen.contactAgeMs),
        pgswarm_instance_archive_waiting_files: archive?.waiting ?? null,
      },
    ),
  ];
}

interface Running {
  readonly role: 'primary' | 'standby' | null;
  readonly timeline: number | null;
  readonly position: Lsn | null;
  readonly received: Lsn | null;
}

function runningOf(postgres: PostgresReport): Running {
  switch (postgres.state) {
    case 'primary':
      return {
        role: 'primary',
        timeline: postgres.timeline,
        position: postgres.lsn,
        received: null,
      };
    case 'standby':
      return {
        role: 'standby',
        timeline: postgres.timeline,
        position: postgres.replayedLsn,
        received: postgres.receivedLsn,
      };
    default:
      return { role: null, timeline: null, position: null, received: null };
  }
}

const bytesOf = (lsn: Lsn | null): number | null => (lsn === null ? null : Number(lsnBytes(lsn)));
