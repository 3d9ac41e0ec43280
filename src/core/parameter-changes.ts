/**
 * What a change of a parameter takes. The servers decide by what they say of themselves
 * (`pg_settings.pending_restart`); this is what a plan can know before they have been asked.
 */
import { LIMIT_NAMES, limitOf } from './limits';
import { type SeenReport } from './observation';
import { type Situation } from './situation';

/**
 * `context = 'postmaster'` in `pg_settings`, of PostgreSQL 15 to 18 (manual: "pg_settings"); a
 * parameter of an extension may need a restart as well.
 */
export const RESTART_PARAMETERS: ReadonlySet<string> = new Set(
  (
    'archive_mode autovacuum_freeze_max_age autovacuum_max_workers ' +
    'autovacuum_multixact_freeze_max_age autovacuum_worker_slots bonjour bonjour_name cluster_name ' +
    'commit_timestamp_buffers config_file data_directory data_sync_retry debug_io_direct ' +
    'dynamic_shared_memory_type event_source external_pid_file hba_file hot_standby huge_page_size ' +
    'huge_pages ident_file ignore_invalid_pages io_max_combine_limit io_max_concurrency io_method ' +
    'jit_provider listen_addresses logging_collector max_active_replication_origins ' +
    'max_connections max_files_per_process max_locks_per_transaction max_logical_replication_workers ' +
    'max_notify_queue_pages max_pred_locks_per_transaction max_prepared_transactions ' +
    'max_replication_slots max_wal_senders max_worker_processes min_dynamic_shared_memory ' +
    'multixact_member_buffers multixact_offset_buffers notify_buffers old_snapshot_threshold port ' +
    'recovery_target recovery_target_action recovery_target_inclusive recovery_target_lsn ' +
    'recovery_target_name recovery_target_time recovery_target_timeline recovery_target_xid ' +
    'reserved_connections serializable_buffers shared_buffers shared_memory_type ' +
    'shared_preload_libraries subtransaction_buffers superuser_reserved_connections ' +
    'track_activity_query_size track_commit_timestamp transaction_buffers unix_socket_directories ' +
    'unix_socket_group unix_socket_permissions wal_buffers wal_decode_buffer_size wal_level ' +
    'wal_log_hints'
  ).split(' '),
);

/** What the servers do to bring a changed parameter into force, for a plan. */
export function effectOf(name: string, before: Parameters, after: Parameters): string {
  const plain = name.toLowerCase();
  if (plain.includes('.')) return 'reload; restart where its extension asks for one';
  if (!RESTART_PARAMETERS.has(plain)) return 'reload';
  return isLowered(plain, before, after)
    ? 'restart, the primary first'
    : 'restart, the standbys first';
}

type Parameters = Readonly<Record<string, string>>;

function isLowered(name: string, before: Parameters, after: Parameters): boolean {
  if (!LIMIT_NAMES.includes(name)) return false;
  const [from, to] = [limitOf(lower(before), name), limitOf(lower(after), name)];
  return from !== null && to !== null && to < from;
}

const lower = (parameters: Parameters): Parameters =>
  Object.fromEntries(
    Object.entries(parameters).map(([name, value]) => [name.toLowerCase(), value]),
  );

/** What the servers will say once they have been told: for a plan, before they are. */
export function afterNewParameters(situation: Situation, before: Parameters): Situation {
  const { record, state, observation } = situation;
  const after = record.spec.postgres.parameters;
  const changed = [...new Set([...Object.keys(before), ...Object.keys(after)])]
    .filter((name) => before[name] !== after[name])
    .map((name) => name.toLowerCase())
    .filter((name) => RESTART_PARAMETERS.has(name));
  const lowered = changed.filter((name) => isLowered(name, before, after));
  const seenThen = ([server, seen]: [string, SeenReport]): [string, SeenReport] => {
    const { postgres } = seen.report;
    if (!('pendingRestart' in postgres)) return [server, seen];
    const pendingRestart = [...new Set([...postgres.pendingRestart, ...changed])].toSorted();
    const heldBack = server === state?.primary ? [] : lowered;
    const settings = { heldBack, refused: null };
    const report = { ...seen.report, settings, postgres: { ...postgres, pendingRestart } };
    return [server, { ...seen, report }];
  };
  const reports = Object.fromEntries(Object.entries(observation.reports).map(seenThen));
  return { ...situation, observation: { ...observation, reports } };
}
