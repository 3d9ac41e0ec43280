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
import { syncDirectory, writeDurably } from '../../adapters/postgres/durable-files';
import { runProgram } from '../../adapters/postgres/programs';
import { DATABASES } from '../../adapters/postgres/sql';
import { dumpArguments, dumpCompression } from '../../core/backup/dump';
import { type Machine } from '../../core/settings';
import { DATA } from './catalogue';
import { type Content, type Taking } from './take';

const GLOBALS = 'globals.sql';
export const DATABASES_FILE = 'databases.json';
const TIMEOUT_MS = 10_000;
/** As many tables at once: there is other work to be done as well. */
export const JOBS = 2;

export interface DumpedDatabase {
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

/** As the superuser, over the local socket. */
export const connectionTo = ({ socketDirectory, port }: Machine): readonly string[] => [
  `--host=${socketDirectory}`,
  `--port=${port}`,
  '--username=postgres',
  '--no-password',
];
