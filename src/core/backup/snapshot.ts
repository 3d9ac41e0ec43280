/**
 * A snapshot is a copy of the data directory of a running server (manual: "Making a Base Backup Using
 * the Low-Level API"). What of it is left out, and which WAL makes it whole.
 */
import { compareLsn, type Lsn } from '../lsn';
import { wayOf, type Lineage } from '../timelines';
import { type BackupWal } from './backup';

/** Directories that PostgreSQL wants, but empty; the WAL is copied when it is known how much. */
const EMPTIED = [
  ...['pg_wal', 'pg_replslot', 'pg_dynshmem', 'pg_notify', 'pg_serial'],
  ...['pg_snapshots', 'pg_stat_tmp', 'pg_subtrans'],
];
/** The labels and the manifest of a copy from which this server was made are not those of this one. */
const FILES = [
  ...['postmaster.pid', 'postmaster.opts', 'backup_label', 'tablespace_map', 'backup_manifest'],
  ...['postgresql.auto.conf.tmp', 'current_logfiles.tmp'],
];
/** Temporary files and relations, and a cache that would be that of another moment. */
const TEMPORARY = /^(pgsql_tmp|pg_internal\.init|t\d+_\d+(_[a-z]+)?(\.\d+)?$)/;

/** Whether a path, from the data directory on, is none of the copy's (basebackup.c has the same list). */
export function isLeftOut(path: string): boolean {
  const names = path.split('/');
  const [first = '', ...inner] = names;
  if (inner.length > 0 && EMPTIED.includes(first)) return true;
  return FILES.includes(path) || TEMPORARY.test(names.at(-1) ?? '');
}

/** Where replay upon a copy begins. */
export type LabelStart = Pick<BackupWal, 'timeline' | 'startLsn'>;

/** From the text of `backup_label`; null when it does not say it. */
export function parseBackupLabel(text: string): LabelStart | null {
  const startLsn = /^START WAL LOCATION: ([0-9A-F]+\/[0-9A-F]+) /m.exec(text)?.[1];
  const timeline = /^START TIMELINE: (\d+)$/m.exec(text)?.[1];
  if (startLsn === undefined || timeline === undefined) return null;
  return { timeline: Number(timeline), startLsn };
}

/**
 * The WAL that makes a copy whole, by timeline, the oldest first: a standby may have followed its
 * upstream to another one meanwhile. null when the lineage does not come through the start.
 */
export function walOfCopy(
  { timeline, startLsn }: LabelStart,
  stopLsn: Lsn,
  lineage: Lineage,
): readonly BackupWal[] | null {
  const way = wayOf(lineage);
  const first = way.findIndex((stretch) => stretch.timeline === timeline);
  if (first < 0) return null;
  return way
    .slice(first)
    .map((stretch, index) => ({
      timeline: stretch.timeline,
      startLsn: index === 0 ? startLsn : stretch.fromLsn,
      stopLsn: stretch.endLsn === null ? stopLsn : earlier(stretch.endLsn, stopLsn),
    }))
    .filter((range, index) => index === 0 || compareLsn(range.startLsn, range.stopLsn) < 0);
}

const earlier = (a: Lsn, b: Lsn): Lsn => (compareLsn(a, b) <= 0 ? a : b);
