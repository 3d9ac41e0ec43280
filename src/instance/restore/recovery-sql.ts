/** What a recovery, and what it has brought back, is asked. */

/** After a promotion the position stays that of the last record that was replayed. */
export const OBSERVE_RECOVERY = `
with role as materialized (select pg_is_in_recovery() as is_recovering)
select
  is_recovering,
  case when is_recovering then pg_get_wal_replay_pause_state() end as pause,
  pg_last_wal_replay_lsn()::text as lsn,
  to_char(pg_last_xact_replay_timestamp() at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.USZ') as at,
  case when is_recovering then
    greatest(
      (select timeline_id from pg_control_checkpoint()),
      (select min_recovery_end_timeline from pg_control_recovery()))
  else
    ('x' || substr(pg_walfile_name(pg_current_wal_flush_lsn()), 1, 8))::bit(32)::int
  end as timeline
from role`;

export interface RecoveryRow {
  readonly is_recovering: boolean;
  readonly pause: string | null;
  readonly lsn: string | null;
  readonly at: string | null;
  readonly timeline: number | null;
}

export const DATABASES = `
select datname as database, pg_database_size(oid)::text as bytes
  from pg_database where datallowconn order by datname`;

export const HAS_AMCHECK = `
select exists (select from pg_available_extensions where name = 'amcheck') as is_available`;

/**
 * Everything that holds rows of its own: of a partitioned table the partitions, and the catalogs,
 * too. What is unlogged is empty after every recovery, and a foreign table is elsewhere.
 */
export const TABLES = `
select c.oid::regclass::text as name
  from pg_class c
 where c.relkind in ('r', 'm') and c.relpersistence = 'p' and c.relispopulated
 order by 1`;
