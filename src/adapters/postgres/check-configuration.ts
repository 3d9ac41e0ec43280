/**
 * Configuration is tried before it is used: a server that reloads a bad file goes on with the old
 * settings, but would not start again after a crash.
 */
import { copyFile, mkdir, rm } from 'node:fs/promises';
import { totalmem } from 'node:os';
import { join } from 'node:path';
import { messageOf, OperatingError } from '../../core/errors';
import { writeDurably } from './durable-files';
import { type LocalConnection } from './local-connection';
import { parseLogLine } from './log-line';
import { runProgram } from './programs';
import { HBA_ERRORS } from './sql';

const QUERY_MAX_MS = 5000;
const MEGABYTE = 1024 * 1024;
/** What a start looks at in a data directory before it takes memory for itself. */
const LOOKED_AT: readonly string[] = ['PG_VERSION', join('global', 'pg_control')];

/**
 * A dry start: PostgreSQL does with the settings all that it does before it takes memory for itself,
 * the libraries of `shared_preload_libraries` included (manual: "postgres", option -C; a parameter
 * that is computed at start). Beside the data directory, where another PostgreSQL may be running.
 * Throws when it refuses them.
 */
export async function checkSettings(
  text: string,
  options: { directory: string; runDirectory: string; binDirectory: string },
): Promise<void> {
  const { directory, runDirectory, binDirectory } = options;
  const scratch = join(runDirectory, 'dry-start');
  const candidate = join(scratch, 'candidate.conf');
  await rm(scratch, { recursive: true, force: true });
  await mkdir(join(scratch, 'global'), { recursive: true, mode: 0o700 });
  for (const file of LOOKED_AT) await copyFile(join(directory, file), join(scratch, file));
  await writeDurably(join(scratch, 'postgresql.auto.conf'), '');
  await writeDurably(candidate, text);
  const asking = ['-D', scratch, '-c', `config_file=${candidate}`, '-C', 'shared_memory_size'];
  const messages: string[] = [];
  const onLine = (line: string): void => {
    const parsed = parseLogLine(line);
    if (parsed.kind === 'message') messages.push(parsed.entry.message);
  };
  try {
    const megabytes = Number(await runProgram('postgres', asking, { binDirectory, onLine }));
    requireMemory(megabytes);
  } catch (error) {
    if (!(error instanceof OperatingError) || error.code !== 'ProgramFailed') throw error;
    // What ends a start before there is a log has no prefix.
    const words = messages.length === 0 ? messageOf(error) : messages.join('; ');
    throw refused(words.replaceAll(candidate, 'the settings'), error);
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}

function requireMemory(megabytes: number): void {
  const all = Math.floor(totalmem() / MEGABYTE);
  if (megabytes <= all) return;
  throw refused(`PostgreSQL would need ${megabytes} MB of shared memory, the machine has ${all}`);
}

const refused = (words: string, cause?: unknown): OperatingError =>
  new OperatingError(
    'refused',
    'ParameterRefused',
    `trying the settings of the spec, which were left as they were: ${words} (correct spec.postgres.parameters)`,
    cause,
  );

/** Has the running server read its `pg_hba.conf`; throws naming the lines that it refuses. */
export async function checkHba(connection: LocalConnection): Promise<void> {
  const errors = await connection.query<{ line: string; error: string }>(HBA_ERRORS, {
    timeoutMs: QUERY_MAX_MS,
  });
  if (errors.length === 0) return;
  const words = errors.map(({ line, error }) => `${line}: ${error}`).join('; ');
  const message = `pg_hba.conf was left as it was: ${words} (correct spec.postgres.hba)`;
  throw new OperatingError('refused', 'HbaRefused', message);
}
