/** Whether what was restored is worth something: every table can be read, and the user's queries say so. */
import { type LocalAddress, LocalConnection } from '../../adapters/postgres/local-connection';
import { runProgram } from '../../adapters/postgres/programs';
import { messageOf } from '../../core/errors';
import { DATABASES, HAS_AMCHECK, TABLES } from './recovery-sql';

/** A query of the user's, and what it must say. */
export interface QueryCheck {
  readonly name: string;
  readonly database: string;
  readonly query: string;
  /** As `psql --no-align --tuples-only` prints it. */
  readonly expect: string;
}

export interface CheckResult {
  readonly name: string;
  readonly isGood: boolean;
  /** What was looked at, or what is wrong. */
  readonly detail: string;
}

export interface CheckedServer {
  readonly address: LocalAddress;
  readonly binDirectory: string;
}

const STATEMENT_MAX_MS = 6 * 3_600_000;
const QUERY_MAX_MS = 10 * 60_000;
const TROUBLES_SHOWN_MAX = 5;

/**
 * pg_amcheck looks at every page of every table and index, and needs an extension, which it may
 * install: nobody will miss it. Where there is none every table is read from its first row to its last.
 */
export async function checkTables(
  server: CheckedServer,
  signal: AbortSignal,
): Promise<readonly CheckResult[]> {
  const databases = await ask<{ database: string }>(server, 'postgres', DATABASES);
  const [amcheck] = await ask<{ is_available: boolean }>(server, 'postgres', HAS_AMCHECK);
  if (amcheck?.is_available === true && (await hasProgram(server, 'pg_amcheck', signal))) {
    return [await runAmcheck(server, databases.length, signal)];
  }
  const results: CheckResult[] = [];
  for (const { database } of databases) {
    signal.throwIfAborted();
    results.push(await readTables(server, database, signal));
  }
  return results;
}

/** In the session that the user would have in psql. */
export async function checkQuery(
  server: CheckedServer,
  { name, database, query, expect }: QueryCheck,
  signal: AbortSignal,
): Promise<CheckResult> {
  const connection = `dbname=${quoted(database)} options='-c statement_timeout=${QUERY_MAX_MS}'`;
  const options = ['-X', '-A', '-t', '-q', '-v', 'ON_ERROR_STOP=1', '-d', connection, '-c', query];
  try {
    const printed = (await run(server, 'psql', options, signal)).trim();
    const isGood = printed === expect.trim();
    const detail = isGood ? printed : `it says ${short(printed)}, expected is ${short(expect)}`;
    return { name, isGood, detail };
  } catch (error) {
    signal.throwIfAborted();
    return { name, isGood: false, detail: messageOf(error) };
  }
}

async function runAmcheck(
  server: CheckedServer,
  databases: number,
  signal: AbortSignal,
): Promise<CheckResult> {
  const name = 'every table and index is whole (pg_amcheck)';
  try {
    await run(server, 'pg_amcheck', ['--all', '--install-missing'], signal);
    return { name, isGood: true, detail: `${databases} databases` };
  } catch (error) {
    signal.throwIfAborted();
    return { name, isGood: false, detail: messageOf(error) };
  }
}

/** All of it, and not only up to the first table that cannot be read. */
async function readTables(
  server: CheckedServer,
  database: string,
  signal: AbortSignal,
): Promise<CheckResult> {
  const name = `every table of ${database} can be read`;
  const troubles: string[] = [];
  const connection = new LocalConnection({ ...server.address, database });
  try {
    const tables = await connection.query<{ name: string }>(TABLES, { timeoutMs: QUERY_MAX_MS });
    for (const { name: table } of tables) {
      signal.throwIfAborted();
      const copy = `copy (select * from only ${table}) to '/dev/null'`;
      await connection.query(copy, { timeoutMs: STATEMENT_MAX_MS }).catch((error: unknown) => {
        troubles.push(`${table}: ${messageOf(error)}`);
      });
    }
    if (troubles.length === 0) return { name, isGood: true, detail: `${tables.length} tables` };
  } catch (error) {
    troubles.push(messageOf(error));
  } finally {
    connection.close();
  }
  signal.throwIfAborted();
  return { name, isGood: false, detail: summary(troubles) };
}

async function ask<Row extends object>(
  { address }: CheckedServer,
  database: string,
  text: string,
): Promise<readonly Row[]> {
  const connection = new LocalConnection({ ...address, database });
  try {
    return await connection.query<Row>(text, { timeoutMs: QUERY_MAX_MS });
  } finally {
    connection.close();
  }
}

async function hasProgram(
  { binDirectory }: CheckedServer,
  name: string,
  signal: AbortSignal,
): Promise<boolean> {
  return await runProgram(name, ['--version'], { binDirectory, signal }).then(
    () => true,
    () => false,
  );
}

async function run(
  { address, binDirectory }: CheckedServer,
  name: string,
  options: readonly string[],
  signal: AbortSignal,
): Promise<string> {
  const { socketDirectory, port } = address;
  const where = ['-h', socketDirectory, '-p', String(port), '-U', 'postgres', '-w'];
  return await runProgram(name, [...where, ...options], { binDirectory, signal });
}

/** Manual: "Keyword/Value Connection Strings". */
const quoted = (value: string): string =>
  `'${value.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`;

const short = (text: string): string =>
  JSON.stringify(text.length > 200 ? `${text.slice(0, 200)}…` : text);

const summary = (troubles: readonly string[]): string =>
  troubles.slice(0, TROUBLES_SHOWN_MAX).join('; ') +
  (troubles.length > TROUBLES_SHOWN_MAX
    ? `; and ${troubles.length - TROUBLES_SHOWN_MAX} more`
    : '');
