/** Every statement that pgswarm runs on its own server. */
import { REPLICATION_ROLE } from '../../core/names';

/** Clones stream under this name, not under their server's: they are no standbys yet. */
export const CLONE_APPLICATION_NAME = 'pgswarm clone';

/** CASE keeps the functions of the other role from being called: they would raise an error. */
export const OBSERVE = `
with role as materialized (select pg_is_in_recovery() as is_standby)
select
  is_standby,
  (select system_identifier::text from pg_control_system()) as system_identifier,
  case when is_standby then
    greatest(
      (select timeline_id from pg_control_checkpoint()),
      (select min_recovery_end_timeline from pg_control_recovery()),
      (select received_tli from pg_stat_get_wal_receiver()))
  else
    -- The checkpoint's timeline is still the old one right after a promotion.
    ('x' || substr(pg_walfile_name(pg_current_wal_flush_lsn()), 1, 8))::bit(32)::int
  end as timeline,
  case when not is_standby then pg_current_wal_flush_lsn()::text end as lsn,
  -- What was replayed is in this server's WAL too; a restarted receiver starts at its segment.
  case when is_standby then
    greatest(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn())::text
  end as received_lsn,
  case when is_standby then pg_last_wal_replay_lsn()::text end as replayed_lsn,
  (select latest_end_lsn::text from pg_stat_get_wal_receiver()) as upstream_lsn,
  -- Each process reloads by itself, walsenders before they hear of their standby again.
  case when
    clock_timestamp() not between pg_conf_load_time() and pg_conf_load_time() + interval '1 s'
  then current_setting('synchronous_standby_names') end as sync_names,
  -- The checkpointer tells commits whether to wait at all. While it writes and syncs files it may
  -- not reload for long; in these two waits it has.
  exists (
    select from pg_stat_activity
     where backend_type = 'checkpointer'
       and wait_event in ('CheckpointerMain', 'CheckpointWriteDelay')) as sync_in_force,
  (select json_build_object('status', status, 'host', sender_host)
     from pg_stat_get_wal_receiver() where status is not null) as receiver,
  (select coalesce(json_agg(json_build_object(
       'server', application_name, 'state', state, 'sentLsn', sent_lsn,
       'flushedLsn', flush_lsn, 'replayedLsn', replay_lsn) order by application_name), '[]')
     from pg_stat_replication
    where usename = '${REPLICATION_ROLE}' and application_name <> '${CLONE_APPLICATION_NAME}') as standbys
from role`;

export const OBSERVE_RARELY = `
select
  -- A recovery target means nothing once the server is primary.
  (select coalesce(json_agg(name order by name), '[]') from pg_settings
    where pending_restart and name !~ '^recovery_target') as pending_restart,
  (select coalesce(json_agg(json_build_object(
       'name', slot_name, 'active', active, 'lost', coalesce(wal_status = 'lost', false),
       'restartLsn', restart_lsn) order by slot_name), '[]')
     from pg_replication_slots
    where slot_type = 'physical' and not temporary and starts_with(slot_name, 'pgswarm_')) as slots`;

export const IS_STANDBY = 'select pg_is_in_recovery() as is_standby';
/** Without waiting: the wait of pg_promote polls every 100 ms. */
export const PROMOTE = 'select pg_promote(false)';
export const CHECKPOINT = 'checkpoint';
/** Closes the segment in use; the name is that of the segment with the last record in it. */
export const SWITCH_WAL = 'select pg_walfile_name(pg_switch_wal()) as file';
export const SETTING = 'select current_setting($1) as value';

/** How far the WAL summarizer is; from PostgreSQL 17 on. */
export const SUMMARIZER = `
select
  current_setting('summarize_wal') = 'on' as "isOn",
  summarizer_pid as pid,
  pending_lsn::text as "readLsn",
  case when pg_is_in_recovery() then pg_last_wal_replay_lsn()
       else pg_current_wal_flush_lsn() end::text as "walLsn",
  (select count(distinct substr(name, 1, 8)) from pg_ls_waldir()
    where name ~ '^[0-9A-F]{24}$')::int as timelines
from pg_get_wal_summarizer_state()`;

/** The files as they are now, not as they were read; the view reads them again. */
export const HBA_ERRORS = `
select 'line ' || line_number as line, error from pg_hba_file_rules
 where error is not null order by line_number`;

/** Reserves WAL at once, so that a clone can start from it. */
export const CREATE_SLOT = `
select pg_create_physical_replication_slot($1, true)
 where not exists (select from pg_replication_slots where slot_name = $1)`;
export const DROP_SLOT = `
select pg_drop_replication_slot(slot_name)
  from pg_replication_slots where slot_name = $1 and not active`;

export const ADVANCE_SLOT = `
select pg_replication_slot_advance(slot_name, $2::pg_lsn)
  from pg_replication_slots where slot_name = $1 and not active`;

export const ROLE = `
select rolpassword, rolcanlogin, rolreplication from pg_authid where rolname = $1`;
export const DATABASE_OWNER = `
select pg_get_userbyid(datdba) as owner from pg_database where datname = $1`;
/** Every session but the own one; superusers' too. */
export const END_SESSIONS = `
select pg_terminate_backend(pid)
  from pg_stat_activity where datname = $1 and pid <> pg_backend_pid()`;
/** What pg_rewind needs of its source (manual: "pg_rewind", Notes), and a preview of the present. */
export const REPLICATION_FUNCTIONS = [
  'pg_switch_wal()',
  'pg_ls_dir(text, boolean, boolean)',
  'pg_stat_file(text, boolean)',
  'pg_read_binary_file(text)',
  'pg_read_binary_file(text, bigint, bigint, boolean)',
] as const;
export const MAY_EXECUTE = 'select has_function_privilege($1, $2, $3) as granted';

/** What a base backup of this server will meet. */
export const BACKUP_FACTS = `
select
  (select system_identifier::text from pg_control_system()) as system_identifier,
  split_part(current_setting('server_version'), ' ', 1) as version,
  (select sum(pg_database_size(oid))::text from pg_database) as database_bytes,
  (select coalesce(json_agg(spcname order by spcname), '[]') from pg_tablespace
    where spcname not in ('pg_default', 'pg_global')) as tablespaces`;

/** Those that are dumped: nobody can connect to the others, or they are the same everywhere. */
export const DATABASES = `
select oid::text as folder, datname as name from pg_database
 where datallowconn and not datistemplate order by oid`;

/** A name that may hold any character (manual: "Identifiers and Key Words"). */
export const quoteName = (name: string): string => `"${name.replaceAll('"', '""')}"`;

/** Keeps WAL from here on for as long as the session lasts. */
export const HOLD_WAL = `
select pg_create_physical_replication_slot('pgswarm_backup_' || pg_backend_pid(), true, true)`;
export const BEGIN_BACKUP = 'select pg_backup_start($1, true)';
/** Whether a session is still the one that holds the WAL, and what the server is by now. */
export const BACKUP_GOES_ON = `
select
  exists (
    select from pg_replication_slots where temporary and active_pid = pg_backend_pid()) as "isHeld",
  pg_is_in_recovery() as "isStandby"`;
/** Nothing is waited for: the WAL is copied from this server itself. */
export const END_BACKUP = `
select lsn::text, labelfile as label, spcmapfile as tablespaces from pg_backup_stop(false)`;
/** That on which the WAL of an ended backup stops, or a descendant of it. */
export const TIMELINE = `
select case when pg_is_in_recovery() then
    (select min_recovery_end_timeline from pg_control_recovery())
  else ('x' || substr(pg_walfile_name(pg_current_wal_flush_lsn()), 1, 8))::bit(32)::int
  end as timeline`;
