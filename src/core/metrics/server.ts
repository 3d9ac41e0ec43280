/** A server's part of the status as metrics. */
import { type VolumeRoom } from '../budget';
import { type ServerStatus } from '../status';
import {
  gauge,
  oneOf,
  sampled,
  secondsOf,
  timestampOf,
  type Families,
  type Sample,
} from './family';

const LABELS = ['cluster', 'server'] as const;

export const serverFamilies = {
  pgswarm_server_known: gauge('1 while it reports what it is.', ...LABELS),
  pgswarm_server_role: gauge('Its role: 1 for the present one.', ...LABELS, 'role'),
  pgswarm_server_streaming: gauge('1 while it streams from the primary.', ...LABELS),
  pgswarm_server_late: gauge('1 for a standby that is late on purpose.', ...LABELS),
  pgswarm_server_eligible: gauge('1 while a switchover to it would be begun.', ...LABELS),
  pgswarm_server_timeline: gauge('Timeline of its data.', ...LABELS),
  pgswarm_server_lag_bytes: gauge('WAL of the primary that it has not replayed.', ...LABELS),
  pgswarm_server_volume_size_bytes: gauge('Size of a volume.', ...LABELS, 'volume'),
  pgswarm_server_volume_free_bytes: gauge('Room in it.', ...LABELS, 'volume'),
  pgswarm_server_volume_full_in_seconds: gauge(
    'Time until it is full, at the present rate; absent while it does not get fuller.',
    ...LABELS,
    'volume',
  ),
  pgswarm_server_archive_last_success_timestamp_seconds: gauge(
    'When a WAL file was last archived.',
    ...LABELS,
  ),
  pgswarm_server_archive_failing_since_timestamp_seconds: gauge(
    'Since when archiving fails; absent while it does not.',
    ...LABELS,
  ),
  pgswarm_server_archive_waiting_files: gauge('WAL files that are not archived yet.', ...LABELS),
  pgswarm_server_recovery_window_start_timestamp_seconds: gauge(
    'The earliest point that its archive leads to.',
    ...LABELS,
  ),
  pgswarm_server_recovery_window_end_timestamp_seconds: gauge(
    'The latest one, when that is known.',
    ...LABELS,
  ),
  pgswarm_server_recovery_window_whole: gauge(
    '1 while every point in between can be restored.',
    ...LABELS,
  ),
} as const satisfies Families;

type ServerSample = Sample<keyof typeof serverFamilies>;

/** What was not heard of is left out, but for the fact that it was not. */
export function serverSamples(cluster: string, server: ServerStatus): readonly ServerSample[] {
  const { name, archive } = server;
  const labels = { cluster, server: name };
  return [
    ...oneOf('pgswarm_server_role', labels, {
      label: 'role',
      of: ['primary', 'standby'],
      is: server.role,
    }),
    ...sampled(labels, {
      pgswarm_server_known: server.known,
      pgswarm_server_streaming: server.role === 'primary' ? null : server.streaming,
      pgswarm_server_late: server.late,
      pgswarm_server_eligible: server.eligible,
      pgswarm_server_timeline: server.timeline,
      pgswarm_server_lag_bytes: server.lagBytes,
    }),
    ...roomSamples(labels, 'data', server.dataVolume),
    ...roomSamples(labels, 'archive', archive?.room ?? null),
    ...(archive === null ? [] : archiveSamples(labels, archive)),
  ];
}

function roomSamples(
  labels: Readonly<Record<string, string>>,
  volume: 'data' | 'archive',
  room: VolumeRoom | null,
): readonly ServerSample[] {
  if (room === null) return [];
  return sampled(
    { ...labels, volume },
    {
      pgswarm_server_volume_size_bytes: room.sizeBytes,
      pgswarm_server_volume_free_bytes: room.freeBytes,
      pgswarm_server_volume_full_in_seconds: secondsOf(room.fullInMs),
    },
  );
}

function archiveSamples(
  labels: Readonly<Record<string, string>>,
  archive: NonNullable<ServerStatus['archive']>,
): readonly ServerSample[] {
  const { lastArchivedAt, failedSince, waiting, recoveryWindow: window } = archive;
  return sampled(labels, {
    pgswarm_server_archive_last_success_timestamp_seconds: timestampOf(lastArchivedAt),
    pgswarm_server_archive_failing_since_timestamp_seconds: timestampOf(failedSince),
    pgswarm_server_archive_waiting_files: waiting,
    pgswarm_server_recovery_window_start_timestamp_seconds: timestampOf(
      window?.points?.earliest.at ?? null,
    ),
    pgswarm_server_recovery_window_end_timestamp_seconds: timestampOf(
      window?.points?.latest.at ?? null,
    ),
    pgswarm_server_recovery_window_whole:
      window === null ? null : window.points !== null && !window.isDisturbed,
  });
}
