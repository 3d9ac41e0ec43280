/**
 * Takes a backup of this server's own PostgreSQL into its archive: what is common to all methods.
 */
import { join } from 'node:path';
import { type LocalConnection } from '../../adapters/postgres/local-connection';
import { BACKUP_FACTS } from '../../adapters/postgres/sql';
import {
  isOfDataDirectory,
  type Backup,
  type BackupMethod,
  type BackupOrder,
  type CataloguedBackup,
} from '../../core/backup/backup';
import { expectedBytes, type BackupProgress } from '../../core/backup/base-backup';
import { bytesOf, type ListedFile } from '../../core/backup/stored-list';
import { OperatingError } from '../../core/errors';
import { type Machine } from '../../core/settings';
import { writeBaseBackup } from './base-backup';
import { type BackupCatalogue, type StoredBackup } from './catalogue';
import { canClone } from './copy-files';
import { writeDump } from './dump';
import { explainBackupFailure } from './failures';
import { listFiles } from './list-files';
import { requireRoom } from './room';
import { writeSnapshot } from './snapshot';

const FACTS_TIMEOUT_MS = 60_000;
/** Small, and in every data directory. */
const VERSION_FILE = 'PG_VERSION';

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

/** What a method needs. */
export interface Taking extends TakeOptions {
  /** The backup to which only the changes are stored. */
  readonly parent: StoredBackup | null;
  /** The beginning of every sentence about it. */
  readonly attempted: string;
}

/** What a method has put into a directory, durably. */
export interface Content extends Pick<Backup, 'wal' | 'format' | 'compression'> {
  /** Files whose SHA-256 was computed already, by their path from the directory on. */
  readonly known: ReadonlyMap<string, ListedFile>;
}

type Write = (directory: string, taking: Taking) => Promise<Content>;

const WRITE: Readonly<Record<BackupMethod, Write>> = {
  base: writeBaseBackup,
  dump: writeDump,
  snapshot: writeSnapshot,
};

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
    const taking = { ...options, parent: lease?.chain[0] ?? null, attempted: attemptOf(options) };
    return await catalogue.within(
      'backup',
      order.id,
      async (directory) => await fill(directory, facts, taking),
    );
  } catch (error) {
    signal.throwIfAborted();
    throw explainBackupFailure(error, attemptOf(options));
  } finally {
    lease?.release();
  }
}

async function fill(directory: string, facts: Facts, taking: Taking): Promise<CataloguedBackup> {
  const { order, source, catalogue, signal } = taking;
  const startedAt = new Date().toISOString();
  const { known, ...content } = await WRITE[order.method](directory, taking);
  const list = await listFiles(directory, known, signal);
  signal.throwIfAborted();
  const backup: Backup = {
    id: order.id,
    method: order.method,
    parent: order.parent,
    ...content,
    cluster: source.cluster,
    server: source.machine.server,
    systemIdentifier: facts.system_identifier,
    postgresVersion: facts.version,
    startedAt,
    stoppedAt: new Date().toISOString(),
    bytes: bytesOf(list.files),
    because: order.because,
    spec: source.spec,
  };
  return await catalogue.commit(directory, backup, list);
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
  if (order.method !== 'base' && order.parent !== null) {
    refuse('MethodUnsuitable', `a ${order.method} has no parent: it always holds everything`);
  }
  if (isOfDataDirectory(order.method) && tablespaces.length > 0) {
    const names = tablespaces.join(', ');
    refuse('TablespacesFound', `${names} lies outside of the data volume. Move what is in it`);
  }
  await requireRoom(catalogue.directory, {
    what: attemptOf(options),
    where: `the archive volume of ${source.machine.server}`,
    bytes: await bytesNeeded(options, Number(facts.database_bytes)),
    advice: 'Make the volume larger, or let go of old backups',
  });
  return facts;
}

/** What shares its blocks with the data takes room only when that changes. */
async function bytesNeeded(
  { order, source, catalogue }: TakeOptions,
  databaseBytes: number,
): Promise<number> {
  const isCloned =
    order.method === 'snapshot' &&
    (await catalogue.within(
      'backup',
      order.id,
      async (directory) => await canClone(join(source.dataDirectory, VERSION_FILE), directory),
    ));
  if (isCloned) return 0;
  const { backups } = await catalogue.list();
  const own = backups.filter(({ server }) => server === source.machine.server);
  return expectedBytes(order, databaseBytes, own);
}

const attemptOf = ({ order, source }: TakeOptions): string =>
  `taking backup ${order.id} of ${source.machine.server}`;
