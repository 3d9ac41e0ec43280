/** What the running server says of itself. */
import { statfs } from 'node:fs/promises';
import { type PrimaryReport, type StandbyReport, type StreamingStandby } from '../../core/protocol';
import { type Lsn } from '../../core/lsn';
import { type LocalConnection } from './local-connection';
import { OBSERVE, OBSERVE_RARELY } from './sql';

const TIMEOUT_MS = 2000;

export type RunningReport = PrimaryReport | StandbyReport;

/** What changes rarely and costs more to ask. */
export interface RareFacts {
  readonly pendingRestart: readonly string[];
  /** Room in the file system that holds the data directory. */
  readonly freeBytes?: number;
  /** Physical slots with a name of ours. */
  readonly slots: readonly SlotSeen[];
}

export interface SlotSeen {
  readonly name: string;
  readonly active: boolean;
  /** Its WAL was removed (`max_slot_wal_keep_size`): it is of no use any more. */
  readonly lost: boolean;
  /** Oldest WAL that it keeps; null when it keeps none. */
  readonly restartLsn: Lsn | null;
}

interface ObservedRow {
  readonly is_standby: boolean;
  readonly system_identifier: string;
  readonly timeline: number;
  readonly lsn: string;
  readonly received_lsn: string | null;
  readonly replayed_lsn: string;
  readonly upstream_lsn: string | null;
  readonly sync_names: string | null;
  readonly sync_in_force: boolean;
  readonly receiver: { status: string; host: string | null } | null;
  readonly standbys: readonly StreamingStandby[];
}

/** One statement, one moment: no field is from another time than its neighbour. */
export async function observeServer(
  connection: LocalConnection,
  pendingRestart: readonly string[],
): Promise<RunningReport> {
  const [row] = await connection.query<ObservedRow>(OBSERVE, { timeoutMs: TIMEOUT_MS });
  if (row === undefined) throw new Error('the observation returned no row');
  const both = { systemIdentifier: row.system_identifier, timeline: row.timeline, pendingRestart };
  if (!row.is_standby) {
    const { lsn, standbys, sync_names: syncNames, sync_in_force: isSyncInForce } = row;
    return { state: 'primary', ...both, lsn, standbys, syncNames, isSyncInForce };
  }
  return {
    state: 'standby',
    ...both,
    receivedLsn: row.received_lsn,
    replayedLsn: row.replayed_lsn,
    upstreamLsn: row.upstream_lsn,
    receiver:
      row.receiver === null ? null : { status: row.receiver.status, host: row.receiver.host ?? '' },
  };
}

export async function observeRarely(
  connection: LocalConnection,
  directory: string,
): Promise<RareFacts> {
  const [row] = await connection.query<{
    pending_restart: readonly string[];
    slots: readonly SlotSeen[];
  }>(OBSERVE_RARELY, { timeoutMs: TIMEOUT_MS });
  if (row === undefined) throw new Error('the observation returned no row');
  const { bavail, bsize } = await statfs(directory);
  return { pendingRestart: row.pending_restart, slots: row.slots, freeBytes: bavail * bsize };
}
