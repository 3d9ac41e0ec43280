/** What a data directory that does not run says of itself. */
import { join } from 'node:path';
import { OperatingError } from '../../core/errors';
import { LIMIT_NAMES, type Limits } from '../../core/limits';
import { compareLsn, type Lsn } from '../../core/lsn';
import { type ControlData } from '../../core/protocol';
import { runProgram } from './programs';
import { recordEnd } from './wal-record';

const LABELS = {
  systemIdentifier: 'Database system identifier',
  clusterState: 'Database cluster state',
  checkpointLsn: 'Latest checkpoint location',
  redoLsn: "Latest checkpoint's REDO location",
  timeline: "Latest checkpoint's TimeLineID",
  minRecoveryLsn: 'Minimum recovery ending location',
  minRecoveryTimeline: "Min recovery ending loc's timeline",
  segmentBytes: 'Bytes per WAL segment',
  max_connections: 'max_connections setting',
  max_locks_per_transaction: 'max_locks_per_xact setting',
  max_prepared_transactions: 'max_prepared_xacts setting',
  max_wal_senders: 'max_wal_senders setting',
  max_worker_processes: 'max_worker_processes setting',
} as const;

export type ControlFields = Readonly<Record<keyof typeof LABELS, string>>;

/** The fields of pg_controldata's output (run with English messages) that pgswarm needs. */
export function parseControlData(text: string): ControlFields {
  const values = new Map(
    text.split('\n').map((line) => {
      const at = line.indexOf(':');
      return [line.slice(0, at), line.slice(at + 1).trim()];
    }),
  );
  const fields = Object.entries(LABELS).map(([field, label]) => {
    const value = values.get(label);
    if (value === undefined) {
      throw new OperatingError(
        'refused',
        'ControlDataUnknown',
        `pg_controldata says no "${label}"`,
      );
    }
    return [field, value];
  });
  return Object.fromEntries(fields) as ControlFields;
}

/**
 * Control data with `endLsn`. After the clean stop of a primary the shutdown checkpoint is the
 * last record, and its end is exactly what `pg_last_wal_replay_lsn()` of a standby says once it has
 * replayed it. After the stop of a standby it is where its replay was. After a crash it is only the
 * least that is known: the WAL may go on.
 */
export async function readControlData(
  dataDirectory: string,
  binDirectory: string,
): Promise<ControlData> {
  const fields = await readControlFields(dataDirectory, binDirectory);
  const { systemIdentifier, clusterState, checkpointLsn } = fields;
  const timeline = Number(fields.timeline);
  const checkpointEnd = await recordEnd(
    join(dataDirectory, 'pg_wal'),
    { timeline, segmentBytes: Number(fields.segmentBytes) },
    checkpointLsn,
  );
  return {
    systemIdentifier,
    // Until the first checkpoint after a promotion only the other one is of the new timeline.
    timeline: Math.max(timeline, Number(fields.minRecoveryTimeline)),
    clusterState,
    checkpointLsn: fields.redoLsn,
    endLsn: furthest(checkpointEnd ?? checkpointLsn, fields.minRecoveryLsn),
  };
}

export async function readControlFields(
  dataDirectory: string,
  binDirectory: string,
): Promise<ControlFields> {
  const text = await runProgram('pg_controldata', ['-D', dataDirectory], { binDirectory });
  return parseControlData(text);
}

/** Whether its checksum is right: of a running server it may have been copied while it was written. */
export async function isControlWhole(
  dataDirectory: string,
  binDirectory: string,
): Promise<boolean> {
  const said: string[] = [];
  const onLine = (line: string): void => void said.push(line);
  const text = await runProgram('pg_controldata', ['-D', dataDirectory], { binDirectory, onLine });
  // A warning, on standard output or, in later versions, on standard error.
  return !/CRC checksum/.test(`${text}\n${said.join('\n')}`);
}

/** Of the primary whose WAL is in this directory, as far as it was replayed. */
export async function readLimits(dataDirectory: string, binDirectory: string): Promise<Limits> {
  const fields: Readonly<Record<string, string>> = await readControlFields(
    dataDirectory,
    binDirectory,
  );
  return Object.fromEntries(LIMIT_NAMES.map((name) => [name, Number(fields[name])]));
}

const furthest = (a: Lsn, b: Lsn): Lsn => (compareLsn(a, b) >= 0 ? a : b);
