/**
 * A dump of every database, and of the roles: slower to restore than a copy, but it can be read by
 * another version of PostgreSQL, and one database of it restored alone. In `data`:
 *
 *     globals.sql       roles and settings of the whole server (pg_dumpall)
 *     databases.json    which folder is which database
 *     <oid>/            one database, in pg_dump's directory format
 */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { readText, syncDirectory, writeDurably } from '../../adapters/postgres/durable-files';
import { runProgram } from '../../adapters/postgres/programs';
import { DATABASES } from '../../adapters/postgres/sql';
import { dumpArguments, dumpCompression, restoreArguments } from '../../core/backup/dump';
import { OperatingError } from '../../core/errors';
import { type Machine } from '../../core/settings';
import { DATA, type BackupCatalogue } from './catalogue';
import { explainBackupFailure } from './failures';
import { type Content, type Taking } from './take';

const GLOBALS = 'globals.sql';
const DATABASES_FILE = 'databases.json';
const TIMEOUT_MS = 10_000;
/** As many tables at once: there is other work to be done as well. */
const JOBS = 2;

interface DumpedDatabase {
  readonly folder: string;
  readonly name: string;
}

/** Each database is as it was at one moment, and not the same moment for all. */
export async function writeDump(directory: string, taking: Taking): Promise<Content> {
  const { source, order, signal, onProgress } = taking;
  const { binDirectory, machine } = source;
  const data = join(directory, DATA);
  await mkdir(data, { mode: 0o700 });
  const globals = ['--globals-only', `--file=${join(data, GLOBALS)}`, ...connectionTo(machine)];
  await runProgram('pg_dumpall', globals, { binDirectory, signal });
  const timeoutMs = TIMEOUT_MS;
  const databases = await source.connection.query<DumpedDatabase>(DATABASES, { timeoutMs });
  const { majorVersion } = machine;
  const compression = dumpCompression(order.compression, majorVersion);
  for (const [index, { folder, name }] of databases.entries()) {
    signal.throwIfAborted();
    const plan = { directory: join(data, folder), database: name, jobs: JOBS, compression };
    const dumping = dumpArguments({ ...plan, majorVersion });
    await runProgram('pg_dump', [...dumping, ...connectionTo(machine)], { binDirectory, signal });
    onProgress({ percent: Math.floor(((index + 1) / databases.length) * 100), bytes: 0 });
  }
  await writeDurably(join(data, DATABASES_FILE), `${JSON.stringify(databases, null, 2)}\n`);
  await syncDirectory(data);
  return { wal: null, format: 'plain', compression, known: new Map() };
}

export interface RestoreDumpOptions {
  readonly catalogue: BackupCatalogue;
  readonly id: string;
  readonly database: string;
  /** The primary, on this machine. */
  readonly machine: Machine;
  readonly binDirectory: string;
  readonly signal: AbortSignal;
}

/**
 * Puts one database back as it was: it is dropped, and made anew. Roles are not touched: their
 * passwords of then would replace those of now, that of the standbys among them.
 */
export async function restoreDump(options: RestoreDumpOptions): Promise<void> {
  const { catalogue, id, database, machine, binDirectory, signal } = options;
  const attempted = `restoring database ${database} from backup ${id}`;
  const lease = await catalogue.lease(id);
  try {
    const data = join(lease.chain[0]?.directory ?? '', DATA);
    const databases = await readDatabases(data);
    const found = databases.find(({ name }) => name === database);
    if (found === undefined) {
      const names = databases.map(({ name }) => name).join(', ');
      const message = `${attempted}: there is no such database in it. It holds: ${names || 'no dump'}`;
      throw new OperatingError('refused', 'DatabaseUnknown', message);
    }
    const restoring = restoreArguments(join(data, found.folder), JOBS);
    await runProgram('pg_restore', [...restoring, ...connectionTo(machine)], {
      binDirectory,
      signal,
    });
  } catch (error) {
    signal.throwIfAborted();
    throw explainBackupFailure(error, attempted);
  } finally {
    lease.release();
  }
}

async function readDatabases(data: string): Promise<readonly DumpedDatabase[]> {
  const text = await readText(join(data, DATABASES_FILE));
  return text === null ? [] : (JSON.parse(text) as readonly DumpedDatabase[]);
}

/** As the superuser, over the local socket. */
const connectionTo = ({ socketDirectory, port }: Machine): readonly string[] => [
  `--host=${socketDirectory}`,
  `--port=${port}`,
  '--username=postgres',
  '--no-password',
];
