/** Statements that run on the server that this one follows, with the rights of its replication role. */

export const UPSTREAM_APPLICATION_NAME = 'pgswarm rejoin';

/** With the functions that pg_rewind needs, too (`REPLICATION_FUNCTIONS`): no other right is asked for. */
export const UPSTREAM_SIZE = `
select
  (select coalesce(sum(file.size), 0)
     from pg_ls_dir('base', true, false) database,
          pg_ls_dir('base/' || database, true, false) name,
          pg_stat_file('base/' || database || '/' || name, true) file)::text as data_bytes,
  (select count(*) * pg_size_bytes(current_setting('wal_segment_size'))
     from pg_ls_dir('pg_wal', true, false) name where length(name) = 24)::text as wal_bytes`;

/**
 * A segment's place in the WAL is in the last 16 digits of its name, its timeline in the first 8. One
 * of a later timeline is sent in its place (walsender.c, `WalSndSegmentOpen`), an older one never.
 */
export const HAS_SEGMENT = `
select exists (select from pg_ls_dir('pg_wal', true, false) name
                where length(name) = 24 and right(name, 16) = right($1, 16)
                  and name collate "C" >= $1) as found`;

export const CHECKPOINT_TIMELINE = 'select timeline_id as timeline from pg_control_checkpoint()';
