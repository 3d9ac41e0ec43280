/**
 * The configuration of a PostgreSQL that nobody but the instance manager can reach, on a copy that
 * will be thrown away. Nothing of the configuration in the copy is used: it names the cluster's
 * port, its archive and its upstream.
 */
import { assignments, LOG_LINE_PREFIX } from '../settings';
import { targetParameters, type RestoreTarget } from './target';

/** A server that answers queries during recovery needs at least these (manual: "Hot Standby"). */
const MINIMUMS = {
  max_connections: 'max_connections setting',
  max_worker_processes: 'max_worker_processes setting',
  max_wal_senders: 'max_wal_senders setting',
  max_prepared_transactions: 'max_prepared_xacts setting',
  max_locks_per_transaction: 'max_locks_per_xact setting',
} as const;

export type Minimums = Readonly<Record<string, number>>;

/** What the copy needs, from the output of pg_controldata in English. */
export function parseMinimums(text: string): Minimums {
  return Object.fromEntries(
    Object.entries(MINIMUMS).flatMap(([name, label]) => {
      const value = new RegExp(`^${label}: +(\\d+)$`, 'm').exec(text)?.[1];
      return value === undefined ? [] : [[name, Number(value)]];
    }),
  );
}

/** The larger value of each. */
export const raise = (minimums: Minimums, seen: Minimums): Minimums =>
  Object.entries(seen).reduce(
    (before, [name, value]) => ({ ...before, [name]: Math.max(before[name] ?? 0, value) }),
    minimums,
  );

export interface ThrowawaySettings {
  readonly socketDirectory: string;
  readonly port: number;
  readonly restoreCommand: string;
  readonly target: RestoreTarget;
  readonly minimums: Minimums;
  readonly isOpen: boolean;
  /** What the data needs to be read, such as `shared_preload_libraries` of an index type. */
  readonly parameters: Readonly<Record<string, string>>;
  /** It will be a server's data: what it writes from the target on is to be archived later. */
  readonly isKept: boolean;
}

/** `postgresql.conf`. */
export function renderThrowawaySettings(settings: ThrowawaySettings): string {
  const { socketDirectory, port, restoreCommand, target, minimums, parameters } = settings;
  const { isOpen, isKept } = settings;
  const needed = Object.entries(minimums).map(([name, value]) => [name, String(value)] as const);
  return text([
    '# Written by pgswarm for a copy that is thrown away.',
    '',
    ...assignments({ ...FRUGAL, ...parameters }),
    '',
    ...assignments({
      ...ALONE,
      ...(isKept ? KEPT : {}),
      ...Object.fromEntries(needed),
      ...targetParameters(target),
      listen_addresses: isOpen ? '*' : '',
      // Nothing that is written into it stays.
      ...(isOpen ? { default_transaction_read_only: 'on' } : {}),
      port: String(port),
      restore_command: restoreCommand,
      unix_socket_directories: socketDirectory,
    }),
  ]);
}

/**
 * `pg_hba.conf`. Closed, it is a second door: the socket lies in a directory that nobody else can enter.
 * `users` are the lines of the spec, for a copy that people may look at; as in the cluster itself they
 * open neither the superuser nor replication to the network.
 */
export const renderThrowawayHba = (users: readonly string[]): string =>
  text([
    'local all postgres peer',
    'host all postgres all reject',
    'host replication all all reject',
    ...users,
  ]);

/** It shares a machine with a server that matters more. */
const FRUGAL: Readonly<Record<string, string>> = {
  jit: 'off',
  shared_buffers: '128MB',
  temp_file_limit: '1GB',
};

/** What keeps it apart from the world, whatever anybody wishes. */
const ALONE: Readonly<Record<string, string>> = {
  archive_mode: 'off',
  autovacuum: 'off',
  hot_standby: 'on',
  lc_messages: 'C',
  log_destination: 'stderr',
  log_line_prefix: LOG_LINE_PREFIX,
  log_min_messages: 'warning',
  // Until it is consistent the log alone says how far it is.
  log_startup_progress_interval: '1s',
  log_timezone: 'UTC',
  logging_collector: 'off',
  // It would continue the subscriptions of the original.
  max_logical_replication_workers: '0',
  // The origins of logical replication in the WAL need places; slots it has none.
  max_replication_slots: '100',
  primary_conninfo: '',
  synchronous_standby_names: '',
  unix_socket_permissions: '0700',
  // It is lost with the machine: nothing has to be durable.
  fsync: 'off',
  full_page_writes: 'off',
};

/**
 * With archiving on, but nothing to archive with, PostgreSQL notes which files wait. Files are synced
 * when it has been stopped.
 */
const KEPT: Readonly<Record<string, string>> = {
  archive_mode: 'on',
  full_page_writes: 'on',
};

const text = (lines: readonly string[]): string => `${lines.join('\n')}\n`;
