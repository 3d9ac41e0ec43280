/** The two ways to fill an empty directory with a database cluster: make one, or copy one. */
import { OperatingError } from '../../core/errors';
import { renderConnection, type Machine } from '../../core/settings';
import { type Upstream } from '../../core/protocol';
import { parseBackupProgress } from './backup-progress';
import { runProgram } from './programs';
import { explainFailure } from './failures';
import { CLONE_APPLICATION_NAME } from './sql';

/** The built-in provider (17 and later) sorts the same whatever the machine's C library says. */
const BUILTIN_LOCALE_SINCE = 17;

export interface FillOptions {
  readonly directory: string;
  readonly machine: Machine;
  readonly binDirectory: string;
  readonly signal: AbortSignal;
  readonly onProgress: (what: string) => void;
}

/** Manual: "initdb". The result is durable: initdb syncs what it has written. */
export async function initialiseDirectory(options: FillOptions): Promise<void> {
  const { directory, machine, binDirectory, signal } = options;
  options.onProgress('initialising a new database cluster');
  const locale =
    machine.majorVersion >= BUILTIN_LOCALE_SINCE
      ? ['--locale-provider=builtin', '--builtin-locale=C.UTF-8', '--locale=C.UTF-8']
      : ['--locale=C.UTF-8'];
  const fixed = ['--username=postgres', '--encoding=UTF8', '--data-checksums', '--no-instructions'];
  const authentication = ['--auth-local=peer', '--auth-host=scram-sha-256'];
  try {
    await runProgram('initdb', ['-D', directory, ...fixed, ...authentication, ...locale], {
      binDirectory,
      signal,
    });
  } catch (error) {
    throw explainFailure(error, { attempted: 'initdb', otherwise: 'InitialiseFailed' });
  }
}

/** Manual: "pg_basebackup". The result is durable: it syncs what it has written. */
export async function cloneDirectory(from: Upstream, options: FillOptions): Promise<void> {
  const { directory, machine, binDirectory, signal, onProgress } = options;
  const connection = renderConnection(from, machine, CLONE_APPLICATION_NAME);
  onProgress(`cloning from ${from.server}`);
  const slot = from.slot === null ? [] : [`--slot=${from.slot}`];
  const copying = ['--checkpoint=fast', '--wal-method=stream', ...slot, '--progress'];
  try {
    await runProgram(
      'pg_basebackup',
      ['-D', directory, '-d', connection, '--no-password', ...copying],
      {
        binDirectory,
        signal,
        onLine: (line) => {
          const progress = parseBackupProgress(line);
          if (progress !== null) onProgress(`cloning from ${from.server}, ${progress}`);
        },
      },
    );
  } catch (error) {
    throw explainFailure(error, {
      attempted: `cloning from ${from.server} (${from.host}:${from.port})`,
      otherwise: 'CloneFailed',
    });
  }
}

/** Major version of PostgreSQL's programs; throws when they are not there. */
export async function majorVersion(binDirectory: string): Promise<number> {
  try {
    const output = await runProgram('postgres', ['--version'], { binDirectory });
    const major = /\(PostgreSQL\) (\d+)/.exec(output)?.[1];
    if (major !== undefined) return Number(major);
    throw new OperatingError('fatal', 'ProgramsMissing', `not a version: ${output}`);
  } catch (error) {
    throw explainFailure(error, { attempted: 'postgres --version', otherwise: 'ProgramsMissing' });
  }
}
