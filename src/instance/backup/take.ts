/**
 * Takes a base backup of this server's own PostgreSQL: over TCP, since only there the replication
 * role is let in, but within the machine. A standby is backed up like a primary.
 */
import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { readText, writeDurably } from '../../adapters/postgres/durable-files';
import { type LocalConnection } from '../../adapters/postgres/local-connection';
import { runProgram } from '../../adapters/postgres/programs';
import { BACKUP_FACTS, CLONE_APPLICATION_NAME } from '../../adapters/postgres/sql';
import { type BackupOrder, type CataloguedBackup } from '../../core/backup/backup';
import {
  baseBackupArguments,
  expectedBytes,
  parseBaseBackupProgress,
  storedCompression,
  type BackupProgress,
} from '../../core/backup/base-backup';
import { parseManifest, type Manifest } from '../../core/backup/manifest';
import { bytesOf } from '../../core/backup/stored-list';
import { OperatingError } from '../../core/errors';
import {
  ENTRY_FILE,
  HBA_FILE,
  renderConnection,
  SETTINGS_FILE,
  SYNC_FILE,
  UPSTREAM_FILE,
  type Machine,
} from '../../core/settings';
import {
  CONFIGURATION,
  DATA,
  MANIFEST,
  type BackupCatalogue,
  type StoredBackup,
} from './catalogue';
import { explainBackupFailure } from './failures';
import { listFiles } from './list-files';
import { findRoomTrouble, requireRoom } from './room';

const LOOPBACK = '127.0.0.1';
const FACTS_TIMEOUT_MS = 60_000;
/** Compressed in a backup of format tar, they are stored beside it as well. */
const CONFIGURATION_FILES = [ENTRY_FILE, SETTINGS_FILE, UPSTREAM_FILE, SYNC_FILE, HBA_FILE];
const AUTO_FILE = 'postgresql.auto.conf';

/** The server that is backed up, and what is noted of it. */
export interface BackupSource {
  readonly cluster: string;
  readonly machine: Machine;
  /** Empty: PostgreSQL's programs are found in PATH. */
  readonly binDirectory: string;
  readonly dataDirectory: string;
  /** One of its own: pg_database_size takes its time. */
  readonly connection: Pick<LocalConnection, 'query'>;
  /** The document that the cluster was made from. */
  readonly spec: unknown;
}

export interface TakeOptions {
  readonly order: BackupOrder;
  readonly source: BackupSource;
  readonly catalogue: BackupCatalogue;
  readonly signal: AbortSignal;
  readonly onProgress: (progress: BackupProgress) => void;
}

interface Facts {
  readonly system_identifier: string;
  readonly version: string;
  readonly database_bytes: string;
  readonly tablespaces: readonly string[];
}

/**
 * Durable when this returns; when it throws, nothing is left of it. A backup of that name that is
 * there already is the answer: an order may come twice.
 */
export async function takeBackup(options: TakeOptions): Promise<CataloguedBackup> {
  const { order, catalogue, signal } = options;
  const existing = await catalogue.find(order.id);
  if (existing !== null) return existing;
  signal.throwIfAborted();
  const lease = order.parent === null ? null : await catalogue.lease(order.parent);
  try {
    const facts = await prepare(options);
    return await catalogue.within('backup', order.id, async (directory) => {
      return await fill(directory, facts, { ...options, parent: lease?.chain[0] ?? null });
    });
  } catch (error) {
    signal.throwIfAborted();
    throw explainBackupFailure(error, attemptOf(options));
  } finally {
    lease?.release();
  }
}

interface Filling extends TakeOptions {
  readonly parent: StoredBackup | null;
}

async function fill(directory: string, facts: Facts, options: Filling): Promise<CataloguedBackup> {
  const { order, source, catalogue, signal } = options;
  const startedAt = new Date().toISOString();
  await runBaseBackup(join(directory, DATA), options);
  await keepConfiguration(source.dataDirectory, directory);
  const manifest = parseManifest(await readFile(join(directory, DATA, MANIFEST), 'utf8'));
  const list = await listFiles(directory, knownOf(order, manifest), signal);
  signal.throwIfAborted();
  const { id, method, parent, format, because } = order;
  return await catalogue.commit(
    directory,
    {
      id,
      method,
      parent,
      format,
      compression: storedCompression(order),
      cluster: source.cluster,
      server: source.machine.server,
      systemIdentifier: facts.system_identifier,
      postgresVersion: facts.version,
      wal: manifest.wal,
      startedAt,
      stoppedAt: new Date().toISOString(),
      bytes: bytesOf(list.files),
      because,
      spec: source.spec,
    },
    list,
  );
}

/** Everything that can be known to go wrong is found out before anything is written. */
async function prepare(options: TakeOptions): Promise<Facts> {
  const { order, source, catalogue } = options;
  const [facts] = await source.connection.query<Facts>(BACKUP_FACTS, {
    timeoutMs: FACTS_TIMEOUT_MS,
  });
  const refuse = (code: string, because: string): never => {
    throw new OperatingError('refused', code, `${attemptOf(options)}: ${because}`);
  };
  if (facts === undefined) return refuse('BackupFailed', 'PostgreSQL says nothing of itself');
  const { system_identifier: identifier, tablespaces } = facts;
  if (identifier !== catalogue.systemIdentifier) {
    const archive = `the archive is that of ${catalogue.systemIdentifier}`;
    refuse('OtherDatabase', `its system identifier is ${identifier}, but ${archive}`);
  }
  if (tablespaces.length > 0) {
    const names = tablespaces.join(', ');
    refuse('TablespacesFound', `${names} lies outside of the data volume. Move what is in it`);
  }
  await requireRoom(catalogue.directory, {
    what: attemptOf(options),
    where: `the archive volume of ${source.machine.server}`,
    bytes: expectedBytes(
      order,
      Number(facts.database_bytes),
      (await catalogue.list()).backups.filter(({ server }) => server === source.machine.server),
    ),
    advice: 'Make the volume larger, or let go of old backups',
  });
  return facts;
}

/** pg_basebackup syncs all that it has written. */
async function runBaseBackup(directory: string, options: Filling): Promise<void> {
  const { order, source, catalogue, signal, onProgress, parent } = options;
  const { machine, binDirectory } = source;
  const upstream = {
    server: machine.server,
    host: LOOPBACK,
    port: machine.port,
    slot: '',
    systemIdentifier: catalogue.systemIdentifier,
  };
  const shortage = new AbortController();
  const onLine = (line: string): void => {
    const progress = parseBaseBackupProgress(line);
    if (progress === null) return;
    onProgress(progress);
    void findRoomTrouble(catalogue.directory, attemptOf(options)).then((trouble) => {
      if (trouble !== null) shortage.abort(trouble);
    });
  };
  await runProgram(
    'pg_basebackup',
    baseBackupArguments({
      order,
      directory,
      // Under the name of clones: this is no standby whose progress would be of interest.
      connection: renderConnection(upstream, machine, CLONE_APPLICATION_NAME),
      parentManifest: parent === null ? null : join(parent.directory, DATA, MANIFEST),
    }),
    { binDirectory, signal: AbortSignal.any([signal, shortage.signal]), onLine },
  );
}

async function keepConfiguration(dataDirectory: string, directory: string): Promise<void> {
  const folder = join(directory, CONFIGURATION);
  await mkdir(folder, { mode: 0o700 });
  for (const name of [...CONFIGURATION_FILES, AUTO_FILE]) {
    const text = await readText(join(dataDirectory, name));
    if (text !== null) await writeDurably(join(folder, name), text);
  }
}

/** In a plain backup lie the very files of the manifest; their hashes need not be computed again. */
const knownOf = (
  { format }: BackupOrder,
  { files }: Manifest,
): ReadonlyMap<string, Manifest['files'][number]> =>
  new Map(
    format === 'tar'
      ? []
      : files.map((file) => {
          const path = join(DATA, file.path);
          return [path, { ...file, path }];
        }),
  );

const attemptOf = ({ order, source }: TakeOptions): string =>
  `taking backup ${order.id} of ${source.machine.server}`;
