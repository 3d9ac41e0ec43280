/**
 * The text of the configuration files that pgswarm writes into a data directory. They are the same
 * on every server of a cluster apart from names: `standby.signal` alone tells the roles apart, so
 * that a change of role changes no settings. In PostgreSQL the last line wins (manual: "Setting
 * Parameters via the Configuration File"), hence the order: defaults, the user's, the operator's.
 */
import { LIMIT_NAMES, limitsHeldBack, type Limits } from './limits';
import { REPLICATION_ROLE } from './names';
import { type ArchiveSpec, type LateSpec } from './spec';
import { renderSyncNames } from './sync';
import { type InstanceSettings, type SyncSet, type Upstream } from './protocol';

/** What an instance knows of its machine and of itself. */
export interface Machine {
  readonly server: string;
  readonly majorVersion: number;
  readonly port: number;
  readonly socketDirectory: string;
  readonly passfile: string;
  /** Size of the file system that holds the data volume. */
  readonly volumeBytes: number;
  /** How PostgreSQL hands WAL to the instance manager, and asks it for WAL. */
  readonly wal: { readonly command: string; readonly socket: string };
}

/** Names of the generated files, inside the data directory. */
export const ENTRY_FILE = 'postgresql.conf';
export const SETTINGS_FILE = 'pgswarm.conf';
export const UPSTREAM_FILE = 'pgswarm-upstream.conf';
export const SYNC_FILE = 'pgswarm-sync.conf';
export const SUMMARIES_FILE = 'pgswarm-summaries.conf';
export const LOAD_FILE = 'pgswarm-load.conf';
/** The target of a restore in place: the last one, so that it wins. */
export const RESTORE_FILE = 'pgswarm-restore.conf';
export const HBA_FILE = 'pg_hba.conf';

const MEGABYTE = 1024 * 1024;
/** A standby that is away may hold back this part of the volume in WAL, or so much, but never more. */
export const SLOT_WAL_SHARE = 0.25;
const SLOT_WAL_MEGABYTES_MIN = 1024;
const SLOT_WAL_SHARE_MAX = 0.5;

type Parameters = Readonly<Record<string, string>>;

/** Good on a small machine; the user's own values replace them. */
export function defaultParameters(machine: Machine): Parameters {
  return {
    jit: 'off',
    // The log is read by programs too.
    lc_messages: 'C',
    max_replication_slots: '16',
    // WAL kept without a slot: a standby whose slot is made a moment late still finds its place.
    wal_keep_size: '128MB',
    // One call for the file system, instead of one for each file, before a crash recovery.
    recovery_init_sync_method: 'syncfs',
    max_slot_wal_keep_size: `${slotWalMegabytes(machine.volumeBytes)}MB`,
    max_wal_senders: '16',
  };
}

/** How much WAL the slots on a volume of this size hold back; 0: the size is not known. */
export function slotWalMegabytes(volumeBytes: number): number {
  const share = (part: number): number => Math.floor((volumeBytes * part) / MEGABYTE);
  // Unknown: as if there were room.
  const most = volumeBytes === 0 ? Infinity : share(SLOT_WAL_SHARE_MAX);
  return Math.min(Math.max(share(SLOT_WAL_SHARE), SLOT_WAL_MEGABYTES_MIN), most);
}

/** Fields of the prefix of every log line; `log-line.ts` reads them again. */
export const LOG_LINE_PREFIX = '[%n|%p|%e|%b] %q<%u@%d> ';

/** The file that says that PostgreSQL is being stopped. */
export const leaveMark = (socket: string): string => `${socket}.leave`;
/** The file that says that PostgreSQL is being promoted. */
export const promoteMark = (socket: string): string => `${socket}.promote`;
/** Where the histories of all known timelines are, as PostgreSQL wants them. */
export const historiesFolder = (socket: string): string => `${socket}.histories`;

/**
 * `recover` is for a recovery that ends where the WAL ends: an answer that is missing must not be taken
 * for that. A promotion asks for a segment that nobody has, and for the histories of timelines: every question
 * delays the first write, so that these are answered without asking anybody.
 */
export function restoreCommand(
  { wal: { command, socket } }: Machine,
  verb: 'restore' | 'recover' = 'restore',
): string {
  const history = `${historiesFolder(socket)}/%f`;
  return [
    `case %f in *.history) [ -e ${history} ] || exit 1; exec cp ${history} "%p" ;; esac`,
    `[ ! -e ${promoteMark(socket)} ] || exit 1`,
    `exec ${command} ${socket} ${verb} "%f" "%p"`,
  ].join('; ');
}

/** What pgswarm relies on. A spec that sets one of these is refused. */
export function ownedParameters(
  machine: Machine,
  user: Parameters,
  archive: ArchiveSpec,
  late: LateSpec | undefined,
): Parameters {
  const { command, socket } = machine.wal;
  return {
    // Above 128 it looks like the work of a signal: the archiver leaves at once, and asks again after
    // the next start. Without a question to anybody: every switchover waits for this.
    archive_command: `[ ! -e ${leaveMark(socket)} ] || exit 130; exec ${command} ${socket} archive "%f" "%p"`,
    // On a standby, too: each archive alone can restore the cluster.
    archive_mode: 'always',
    archive_timeout: `${Math.round(archive.timeoutMs / 1000)}s`,
    cluster_name: machine.server,
    hot_standby: late?.hotStandby === false ? 'off' : 'on',
    listen_addresses: '*',
    log_destination: 'stderr',
    log_line_prefix: LOG_LINE_PREFIX,
    log_timezone: 'UTC',
    logging_collector: 'off',
    password_encryption: 'scram-sha-256',
    port: String(machine.port),
    recovery_target_timeline: 'latest',
    restore_command: restoreCommand(machine),
    tcp_keepalives_count: '3',
    tcp_keepalives_idle: '5',
    tcp_keepalives_interval: '2',
    unix_socket_directories: machine.socketDirectory,
    wal_level: user['wal_level'] === 'logical' ? 'logical' : 'replica',
    // pg_rewind needs it where data checksums are off, as in an adopted cluster.
    wal_log_hints: 'on',
    // A frozen standby must not hold up a stop for the default of 60 s.
    wal_sender_timeout: '5s',
    wal_receiver_timeout: '5s',
    wal_receiver_status_interval: '1s',
    // The default of 5 s can delay a promotion and a rejoin by as much.
    wal_retrieve_retry_interval: '100ms',
    ...(late === undefined ? {} : { recovery_min_apply_delay: `${late.applyDelayMs}ms` }),
    ...(machine.majorVersion >= 17 ? { allow_alter_system: 'off' } : {}),
  };
}

/** Every name that `ownedParameters` may set: a spec that sets one of them is refused. */
export const OWNED_PARAMETER_NAMES: readonly string[] = Object.keys(
  ownedParameters(
    {
      server: '',
      majorVersion: 17,
      port: 0,
      socketDirectory: '',
      passfile: '',
      volumeBytes: 0,
      wal: { command: '', socket: '' },
    },
    {},
    { compression: 'none', timeoutMs: 0 },
    undefined,
  ),
).filter((name) => name !== 'wal_level');

/** Whoever is fed from the archives asks for the next segment so often while nobody has it. */
const SHIPPED_EVERY = '1s';

export const GENERATED = '# Written by pgswarm from the spec. Changes made here are lost.';

/** `postgresql.conf`: nothing but the generated files. */
export function renderEntry(): string {
  return lines([
    GENERATED,
    `include '${SETTINGS_FILE}'`,
    `include_if_exists '${UPSTREAM_FILE}'`,
    `include_if_exists '${SYNC_FILE}'`,
    `include_if_exists '${SUMMARIES_FILE}'`,
    `include_if_exists '${LOAD_FILE}'`,
    `include_if_exists '${RESTORE_FILE}'`,
  ]);
}

/** `pgswarm.conf`: everything but the upstream; a standby waits with lower limits than `primary`'s. */
export function renderSettings(
  settings: InstanceSettings,
  machine: Machine,
  primary: Limits = {},
): string {
  const user = userParameters(settings);
  const held = heldBackBy(settings, machine, primary);
  return lines([
    GENERATED,
    '',
    "# pgswarm's defaults",
    ...assignments(defaultParameters(machine)),
    '',
    '# spec.postgres.parameters',
    ...assignments(user),
    '',
    '# what pgswarm relies on',
    ...assignments(ownedParameters(machine, user, settings.archive, settings.late)),
    ...(Object.keys(held).length === 0 ? [] : ['', '# until the primary has lower ones']),
    ...assignments(mapValues(held, String)),
  ]);
}

/** The limits that a standby of this primary does not take from the settings yet. */
export const heldBackBy = (settings: InstanceSettings, machine: Machine, primary: Limits): Limits =>
  limitsHeldBack({ ...defaultParameters(machine), ...userParameters(settings) }, primary);

/**
 * `pgswarm.conf` from before, for a start as a standby: PostgreSQL does not start with a limit that the
 * primary has higher by now.
 */
export function withLimitsOf(primary: Limits, text: string): string {
  const raised = limitsHeldBack(limitsIn(text), primary);
  if (Object.keys(raised).length === 0) return text;
  return `${text}${lines(['', '# what the primary has', ...assignments(mapValues(raised, String))])}`;
}

/** Those that the text sets; the last line of a name counts. */
const limitsIn = (text: string): Parameters =>
  Object.fromEntries(
    text.split('\n').flatMap((line) => {
      const [, name = '', value = ''] = /^(\w+) = '(.*)'$/.exec(line) ?? [];
      return LIMIT_NAMES.includes(name) ? [[name, value]] : [];
    }),
  );

const userParameters = ({ parameters }: InstanceSettings): Parameters =>
  Object.fromEntries(
    Object.entries(parameters).map(([name, value]) => [name.toLowerCase(), value]),
  );

const mapValues = (values: Limits, text: (value: number) => string): Parameters =>
  Object.fromEntries(Object.entries(values).map(([name, value]) => [name, text(value)]));

/**
 * `pgswarm-upstream.conf`: where a standby streams from, if it does. A primary keeps its last one,
 * where it does no harm (manual: "Standby Servers": all of it is used in standby mode only).
 */
export function renderUpstream(upstream: Upstream, machine: Machine): string {
  return lines([
    GENERATED,
    ...assignments(
      upstream.slot === null
        ? {
            primary_conninfo: '',
            primary_slot_name: '',
            wal_retrieve_retry_interval: SHIPPED_EVERY,
          }
        : {
            primary_conninfo: renderConnection(upstream, machine, machine.server),
            primary_slot_name: upstream.slot,
          },
    ),
  ]);
}

/** `pgswarm-sync.conf`: for whom a commit waits; without effect while the server is a standby. */
export function renderSync(sync: SyncSet | null): string {
  return lines([GENERATED, ...assignments({ synchronous_standby_names: renderSyncNames(sync) })]);
}

/** `pgswarm-summaries.conf`: WAL is not summarized while that would be in the way. */
export const renderSummaries = (isLeftOut: boolean): string =>
  lines([GENERATED, ...assignments(isLeftOut ? { summarize_wal: 'off' } : {})]);

/**
 * `pgswarm-load.conf`: without room for WAL new transactions are read-only, unless they say that they
 * are not: somebody who makes room has to write.
 */
export const renderLoad = (isRefused: boolean): string =>
  lines([GENERATED, ...assignments(isRefused ? { default_transaction_read_only: 'on' } : {})]);

/**
 * libpq's connection string to an upstream; dead peers are noticed within about 5 s. With an address
 * nothing is looked up: libpq does that blocking, and a walreceiver that waits for an answer about a
 * name that is gone holds up a promotion for seconds (manual: "libpq: hostaddr").
 */
export function renderConnection(
  upstream: Upstream,
  machine: Machine,
  applicationName: string,
): string {
  const parts: Readonly<Record<string, string | number>> = {
    host: upstream.host,
    ...(upstream.address === undefined ? {} : { hostaddr: upstream.address }),
    port: upstream.port,
    user: REPLICATION_ROLE,
    passfile: machine.passfile,
    application_name: applicationName,
    sslmode: 'prefer',
    connect_timeout: 3,
    tcp_user_timeout: 5000,
    keepalives: 1,
    keepalives_idle: 2,
    keepalives_interval: 1,
    keepalives_count: 3,
  };
  return Object.entries(parts)
    .map(([name, value]) => `${name}=${quoteConnectionValue(String(value))}`)
    .join(' ');
}

/**
 * `pg_hba.conf`: the first line that matches decides (manual: "The pg_hba.conf File"), so the
 * user's lines can neither open the superuser nor the replication role to the network.
 */
export function renderHba(settings: InstanceSettings): string {
  const replicas = [settings.subnet, '127.0.0.1/32', '::1/128'];
  return lines([
    GENERATED,
    hbaLine('local', 'all', 'postgres', '', 'peer'),
    hbaLine('local', 'all', 'all', '', 'scram-sha-256'),
    ...replicas.map((net) =>
      hbaLine('host', 'replication,all', REPLICATION_ROLE, net, 'scram-sha-256'),
    ),
    hbaLine('host', 'replication,all', REPLICATION_ROLE, 'all', 'reject'),
    hbaLine('host', 'replication', 'all', 'all', 'reject'),
    hbaLine('host', 'all', 'postgres', 'all', 'reject'),
    '',
    '# spec.postgres.hba',
    ...settings.hba,
  ]);
}

/** For a copy that is looked at: nobody gets in but through the networks of the operators. */
export function renderIsolatedHba(networks: readonly string[]): string {
  return lines([
    GENERATED,
    hbaLine('local', 'all', 'postgres', '', 'peer'),
    ...networks.map((network) => hbaLine('host', 'all', 'all', network, 'scram-sha-256')),
  ]);
}

function hbaLine(...columns: readonly string[]): string {
  return columns
    .map((text, index) => text.padEnd([5, 15, 19, 18, 0][index] ?? 0))
    .join(' ')
    .trimEnd();
}

/** Lines of a configuration file, by name. */
export function assignments(parameters: Parameters): readonly string[] {
  return Object.entries(parameters)
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, value]) => `${name} = ${quoteSetting(value)}`);
}

/** Manual: "Parameter Names and Values"; a newline must be written as an escape. */
function quoteSetting(value: string): string {
  const escaped = value.replaceAll('\\', '\\\\').replaceAll("'", "''").replaceAll('\n', '\\n');
  return `'${escaped}'`;
}

/** Manual: "Keyword/Value Connection Strings". */
function quoteConnectionValue(value: string): string {
  if (/^[\w./:-]+$/.test(value)) return value;
  return `'${value.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`;
}

const lines = (each: readonly string[]): string => `${each.join('\n')}\n`;
