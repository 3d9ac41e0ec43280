/**
 * One database of a dump, put into the running primary. One that exists is renamed first, and removed
 * when the new one is whole: whatever happens in between, it is still there. Roles are not touched:
 * their passwords of then would replace those of now, that of the standbys among them.
 */
import { join } from 'node:path';
import { readText } from '../../adapters/postgres/durable-files';
import { LocalConnection } from '../../adapters/postgres/local-connection';
import { runProgram } from '../../adapters/postgres/programs';
import { DATABASE_OWNER, END_SESSIONS, quoteName } from '../../adapters/postgres/sql';
import { restoreArguments } from '../../core/backup/dump';
import { describeLoad, keptName, type LoadOrder } from '../../core/backup/load';
import { messageOf, OperatingError } from '../../core/errors';
import { type Machine } from '../../core/settings';
import { DATA, type BackupCatalogue } from './catalogue';
import { connectionTo, DATABASES_FILE, JOBS, type DumpedDatabase } from './dump';
import { explainBackupFailure } from './failures';

export interface LoadOptions {
  readonly catalogue: BackupCatalogue;
  /** The primary, on this machine. */
  readonly machine: Machine;
  readonly binDirectory: string;
  readonly signal: AbortSignal;
  readonly onProgress: (words: string) => void;
}

const TIMEOUT_MS = 60_000;
/** pgswarm itself and pg_restore are connected to them. */
const OURS: readonly string[] = ['postgres', 'template1'];

const attemptOf = (order: LoadOrder): string => `loading ${describeLoad(order)}`;

export async function loadDump(order: LoadOrder, options: LoadOptions): Promise<void> {
  const { catalogue, signal } = options;
  const attempted = attemptOf(order);
  const refuse = (code: string, because: string): never => {
    throw new OperatingError('refused', code, `${attempted}: ${because}`);
  };
  if (OURS.includes(order.database)) {
    refuse('DatabaseInUse', 'pgswarm works in it. Take what you need with pg_restore');
  }
  const { socketDirectory, port } = options.machine;
  const connection = new LocalConnection({ socketDirectory, port });
  const lease = await catalogue.lease(order.backup);
  try {
    const folder = await folderOf(join(lease.chain[0]?.directory ?? '', DATA), order, refuse);
    const isThere = await exists(connection, order.database);
    if (isThere && !order.replace) {
      refuse('DatabaseExists', 'it exists. It is replaced with --replace, and with nothing else');
    }
    if (isThere) await replace(connection, order, { folder, ...options });
    else await make(connection, order, { folder, ...options });
  } catch (error) {
    signal.throwIfAborted();
    throw explainBackupFailure(error, attempted);
  } finally {
    connection.close();
    lease.release();
  }
}

async function folderOf(
  data: string,
  { database }: LoadOrder,
  refuse: (code: string, because: string) => never,
): Promise<string> {
  const text = await readText(join(data, DATABASES_FILE));
  const databases = text === null ? [] : (JSON.parse(text) as readonly DumpedDatabase[]);
  const found = databases.find(({ name }) => name === database);
  if (found !== undefined) return join(data, found.folder);
  const names = databases.map(({ name }) => name).join(', ');
  return refuse(
    'DatabaseUnknown',
    names === '' ? 'it is no dump' : `there is no such database in it. It holds: ${names}`,
  );
}

interface Restoring extends LoadOptions {
  readonly folder: string;
}

async function restore({ folder, machine, binDirectory, signal, onProgress }: Restoring) {
  onProgress('pg_restore writes it');
  const restoring = [...restoreArguments(folder, JOBS), ...connectionTo(machine)];
  await runProgram('pg_restore', restoring, { binDirectory, signal });
}

/** Whose the database is that a failure leaves, is not certain enough to remove it. */
async function make(
  connection: LocalConnection,
  order: LoadOrder,
  restoring: Restoring,
): Promise<void> {
  try {
    await restore(restoring);
  } catch (error) {
    restoring.signal.throwIfAborted();
    const explained = explainBackupFailure(error, attemptOf(order));
    const isLeft =
      explained instanceof OperatingError && (await exists(connection, order.database));
    if (!isLeft) throw explained;
    const message = `${explained.message}. A part of it is there now. Load it again with --replace`;
    throw new OperatingError(explained.kind, explained.code, message, error);
  }
}

/** Nobody can connect to a database while it is renamed, nor afterwards under its old name. */
async function replace(
  connection: LocalConnection,
  { id, database }: LoadOrder,
  restoring: Restoring,
): Promise<void> {
  const kept = keptName(id);
  const run = async (text: string): Promise<void> => {
    await connection.query(text, { timeoutMs: TIMEOUT_MS });
  };
  const open = async (): Promise<void> => {
    await run(`alter database ${quoteName(database)} allow_connections true`);
  };
  restoring.onProgress('the sessions in it are ended');
  await run(`alter database ${quoteName(database)} allow_connections false`);
  try {
    await connection.query(END_SESSIONS, { values: [database], timeoutMs: TIMEOUT_MS });
    await run(`alter database ${quoteName(database)} rename to ${quoteName(kept)}`);
  } catch (error) {
    await open();
    throw error;
  }
  try {
    await restore(restoring);
  } catch (error) {
    await run(`drop database if exists ${quoteName(database)} with (force)`);
    await run(`alter database ${quoteName(kept)} rename to ${quoteName(database)}`);
    await open();
    throw error;
  }
  await run(`drop database ${quoteName(kept)}`).catch((error: unknown) => {
    const message = `it is loaded, but what it was before could not be removed (${messageOf(error)}). It is kept: drop database ${kept}`;
    throw new OperatingError('refused', 'OldDatabaseKept', message);
  });
}

async function exists(connection: LocalConnection, database: string): Promise<boolean> {
  const found = await connection.query(DATABASE_OWNER, {
    values: [database],
    timeoutMs: TIMEOUT_MS,
  });
  return found.length > 0;
}
