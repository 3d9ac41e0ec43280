/**
 * Configuration is tried before it is used: a server that reloads a bad file goes on with the old
 * settings, but would not start again after a crash.
 */
import { join } from 'node:path';
import { OperatingError } from '../../core/errors';
import { writeDurably } from './durable-files';
import { explainFailure } from './failures';
import { type LocalConnection } from './local-connection';
import { parseLogLine } from './log-line';
import { runProgram } from './programs';
import { HBA_ERRORS } from './sql';

const QUERY_MAX_MS = 5000;

/** Has `postgres -C` read the settings as a start would (manual: "postgres"); throws when it refuses. */
export async function checkSettings(
  text: string,
  options: { directory: string; runDirectory: string; binDirectory: string },
): Promise<void> {
  const { directory, runDirectory, binDirectory } = options;
  const candidate = join(runDirectory, 'candidate.conf');
  await writeDurably(candidate, text);
  const reading = ['-D', directory, '-c', `config_file=${candidate}`, '-C', 'port'];
  const messages: string[] = [];
  const onLine = (line: string): void => {
    const parsed = parseLogLine(line);
    if (parsed.kind === 'message') messages.push(parsed.entry.message);
  };
  try {
    await runProgram('postgres', reading, { binDirectory, onLine });
  } catch (error) {
    const words = messages.map((each) => each.replaceAll(candidate, 'the settings')).join('; ');
    throw explainFailure(new OperatingError('refused', 'ProgramFailed', words, error), {
      attempted: 'trying the settings of the spec, which were left as they were',
      otherwise: 'ParameterRefused',
    });
  }
}

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
