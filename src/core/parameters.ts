/**
 * Which PostgreSQL parameters are the user's. Those that decide what a server is, how it is
 * reached, where its logs go and whether a copy can be trusted belong to pgswarm: the rows say why
 * and what to use instead (manual: "Server Configuration").
 */
import { parameterText, type ParameterValue } from './defaults';
import { errorAt, fieldPath, quoted, type Finding } from './findings';

interface OwnedParameter {
  /** A name, or a family that ends in `*`. */
  readonly name: string;
  readonly reason: string;
  readonly instead: string;
}

const REMOVE = 'remove it';
const LATER = 'remove it; it is not part of this version';
const LOGS = 'remove it and read the log with `docker service logs`';
const role =
  'it says whom a standby follows, and pgswarm changes that with every change of primary';
const archive = 'every server archives its WAL, and restores from its own and its peers’ archives';
const place = 'pgswarm decides where the files of a server are';
const logs = 'the log goes to the container, in the form that pgswarm reads';
const recovery = 'it ends recovery at a point; a standby follows its primary for ever';
const crash = 'without it a crash or a copy leaves pages that are silently wrong';
const liveness = 'pgswarm sets how soon a server that is gone is noticed';
const tls = 'TLS is not part of this version';

const OWNED: readonly OwnedParameter[] = [
  { name: 'primary_conninfo', reason: role, instead: 'set `spec.primary`' },
  { name: 'primary_slot_name', reason: role, instead: 'set `spec.primary`' },
  {
    name: 'wal_receiver_create_temp_slot',
    reason: 'every standby has a slot of its own that outlives its connection',
    instead: REMOVE,
  },
  {
    name: 'sync_replication_slots',
    reason: 'pgswarm decides which slots a server has',
    instead: REMOVE,
  },
  {
    name: 'recovery_min_apply_delay',
    reason: 'a standby that is late on purpose can never become primary in time',
    instead: 'set `applyDelay` of a server under `spec.servers`',
  },
  { name: 'recovery_target*', reason: recovery, instead: REMOVE },
  { name: 'recovery_end_command', reason: recovery, instead: REMOVE },
  {
    name: 'promote_trigger_file',
    reason: 'PostgreSQL 17 does not have it',
    instead: 'set `spec.primary`',
  },
  { name: 'archive_timeout', reason: archive, instead: 'set `spec.archive.timeout`' },
  { name: 'restore_command', reason: archive, instead: REMOVE },
  { name: 'archive_*', reason: archive, instead: 'remove it; see `spec.archive`' },
  {
    name: 'synchronous_standby_names',
    reason: 'pgswarm names the standbys that are there, and changes that as they come and go',
    instead: 'set `spec.replication.synchronous`',
  },
  {
    name: 'hot_standby',
    reason: 'pgswarm asks the standbys how far they are',
    instead: 'set `hotStandby` of a server under `spec.servers`',
  },
  {
    name: 'wal_log_hints',
    reason: 'an old primary can be rewound only with it or with checksums',
    instead: 'remove it; pgswarm sets it',
  },
  {
    name: 'port',
    reason: 'PostgreSQL always listens on 5432 in its container',
    instead: 'set `port` of the server under `spec.servers`',
  },
  {
    name: 'listen_addresses',
    reason: 'the other servers and the published port must reach it',
    instead: 'say who may connect in `spec.postgres.hba`',
  },
  {
    name: 'unix_socket_*',
    reason: 'pgswarm itself connects through the socket',
    instead: REMOVE,
  },
  { name: 'data_directory', reason: place, instead: REMOVE },
  { name: 'config_file', reason: place, instead: REMOVE },
  { name: 'hba_file', reason: place, instead: 'write the lines in `spec.postgres.hba`' },
  { name: 'ident_file', reason: place, instead: REMOVE },
  { name: 'external_pid_file', reason: place, instead: REMOVE },
  {
    name: 'include*',
    reason: 'a file that is not in the spec would differ from server to server',
    instead: 'write the parameters here',
  },
  {
    name: 'cluster_name',
    reason: 'it is the name under which the primary knows a standby',
    instead: REMOVE,
  },
  { name: 'logging_collector', reason: logs, instead: LOGS },
  { name: 'log_destination', reason: logs, instead: LOGS },
  { name: 'log_line_prefix', reason: logs, instead: LOGS },
  { name: 'log_timezone', reason: logs, instead: LOGS },
  { name: 'tcp_keepalives_*', reason: liveness, instead: REMOVE },
  { name: 'wal_sender_timeout', reason: liveness, instead: REMOVE },
  { name: 'wal_receiver_timeout', reason: liveness, instead: REMOVE },
  { name: 'wal_receiver_status_interval', reason: liveness, instead: REMOVE },
  { name: 'wal_retrieve_retry_interval', reason: liveness, instead: REMOVE },
  {
    name: 'allow_alter_system',
    reason: 'what is set by hand on one server would differ from the others',
    instead: 'write the parameters here',
  },
  { name: 'event_source', reason: 'it is for Windows', instead: REMOVE },
  { name: 'syslog_*', reason: logs, instead: LOGS },
  { name: 'fsync', reason: crash, instead: 'remove it; for speed see `synchronous_commit`' },
  { name: 'full_page_writes', reason: crash, instead: REMOVE },
  { name: 'ssl', reason: tls, instead: LATER },
  { name: 'ssl_*', reason: tls, instead: LATER },
];

/** Values that PostgreSQL shows under the name of a parameter, and that no file can set. */
const PRESETS: ReadonlySet<string> = new Set(
  (
    'block_size data_checksums data_directory_mode debug_assertions huge_pages_status in_hot_standby ' +
    'integer_datetimes max_function_args max_identifier_length max_index_keys num_os_semaphores ' +
    'segment_size server_encoding server_version server_version_num shared_memory_size ' +
    'shared_memory_size_in_huge_pages wal_block_size wal_segment_size'
  ).split(' '),
);

/** A plain name, or `extension.name`; PostgreSQL does not tell capitals from small letters. */
const NAME = /^[A-Za-z_][A-Za-z0-9_]{0,62}(\.[A-Za-z_][A-Za-z0-9_]{0,62})?$/;

/** Each standby streams once, and a clone needs two more connections; any server may be primary. */
export const walSendersMin = (servers: number): number => 2 * (servers - 1) + 2;
/** One slot for each standby, and one to spare for a server that is being replaced. */
export const replicationSlotsMin = (servers: number): number => servers;

export function checkParameters(
  path: string,
  parameters: Readonly<Record<string, ParameterValue>>,
  servers: number,
): Finding[] {
  const written = new Map<string, string>();
  return Object.entries(parameters).flatMap(([name, value]) => {
    const at = fieldPath(path, name);
    const plain = name.toLowerCase();
    const twin = written.get(plain);
    written.set(plain, name);
    return [
      ...(twin === undefined ? checkName(at, name) : [sameTwice(at, name, twin)]),
      ...checkText(at, parameterText(value)),
      ...checkValue(at, plain, parameterText(value), servers),
    ];
  });
}

const sameTwice = (at: string, name: string, twin: string): Finding =>
  errorAt(
    at,
    `${quoted(name)} is the same parameter as ${quoted(twin)}: PostgreSQL does not tell capitals from small letters`,
    'keep one of them',
  );

function checkName(at: string, name: string): Finding[] {
  const plain = name.toLowerCase();
  if (!NAME.test(name)) {
    const hint = 'use the name as in postgresql.conf: letters, digits and `_`';
    return [errorAt(at, `${quoted(name)} is not a name of a parameter`, hint)];
  }
  if (PRESETS.has(plain)) {
    return [errorAt(at, `${plain} is a preset of PostgreSQL that no file can set`, REMOVE)];
  }
  const owned = OWNED.find((row) => covers(row.name, plain));
  if (owned === undefined) return [];
  return [errorAt(at, `${plain} belongs to pgswarm: ${owned.reason}`, owned.instead)];
}

const covers = (row: string, name: string): boolean =>
  row.endsWith('*') ? name.startsWith(row.slice(0, -1)) : name === row;

/** A value becomes one line of a file: it must not be able to begin another. */
function checkText(at: string, text: string): Finding[] {
  // eslint-disable-next-line no-control-regex -- control characters are what is looked for
  if (!/[\u0000-\u001f\u007f]/.test(text)) return [];
  const message = 'the value has a line break or another control character in it';
  return [errorAt(at, message, 'write it on one line')];
}

/** Parameters of which only some values are the user's. */
function checkValue(at: string, name: string, text: string, servers: number): Finding[] {
  if (name === 'wal_level' && !['replica', 'logical'].includes(text.toLowerCase())) {
    const message = `wal_level ${quoted(text)} is not enough: standbys need replica or logical`;
    return [errorAt(at, message, 'remove it, or write logical')];
  }
  if (name === 'password_encryption' && text.toLowerCase() !== 'scram-sha-256') {
    const message = `password_encryption ${quoted(text)} makes passwords that can be stolen: pgswarm allows scram-sha-256 only`;
    return [errorAt(at, message, REMOVE)];
  }
  if (name === 'max_wal_senders') return checkCount(at, name, text, walSendersMin(servers));
  if (name === 'max_replication_slots') {
    return checkCount(at, name, text, replicationSlotsMin(servers));
  }
  return [];
}

function checkCount(at: string, name: string, text: string, least: number): Finding[] {
  const hint = `use ${least} or more, or remove it`;
  if (!/^\d{1,9}$/.test(text)) {
    return [errorAt(at, `${name} ${quoted(text)} is not a number`, hint)];
  }
  if (Number(text) >= least) return [];
  return [errorAt(at, `${name} ${text} is too small: the servers need ${least}`, hint)];
}
