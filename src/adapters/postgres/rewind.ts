/** pg_rewind: takes a data directory back to where another server went its own way. */
import { messageOf, OperatingError } from '../../core/errors';
import { renderConnection, type Machine } from '../../core/settings';
import { type Upstream } from '../../core/protocol';
import { explainFailure } from './failures';
import { killProcessesIn } from './processes';
import { runProgram } from './programs';
import { UPSTREAM_APPLICATION_NAME } from './upstream-sql';

export interface RewindOptions {
  readonly directory: string;
  readonly machine: Machine;
  readonly binDirectory: string;
  readonly onProgress: (what: string) => void;
}

/** A rewind that did not end well. */
export class RewindFailed extends OperatingError {
  /** Files of the target were changed: it cannot be started any more (manual: "pg_rewind"). */
  readonly isHalfDone: boolean;

  constructor(explained: OperatingError, isHalfDone: boolean) {
    super(explained.kind, explained.code, explained.message, explained.cause);
    this.isHalfDone = isHalfDone;
  }
}

/** Said right before the first file is changed (pg_rewind.c: "there is no turning back"). */
const POINT_OF_NO_RETURN = /need to copy (\d+) MB/;
const PROGRESS = /^\s*(\d+)\/(\d+) kB \(\d+%\) copied/;
const COMPLAINT = /^pg_rewind: (?:error|detail|hint): (.*)/;
const NOTHING_TO_DO = /no rewind required/;

/**
 * Brings a directory that was not stopped in order to an end, as a start would; durable, unlike
 * pg_rewind's own way of doing it (`postgres --single -F`), so that a directory in which nothing
 * was rewound yet is as good as before.
 */
export async function recoverAlone(directory: string, binDirectory: string): Promise<void> {
  await killProcessesIn(directory);
  try {
    await runProgram('postgres', ['--single', '-D', directory, 'postgres'], { binDirectory });
  } catch (error) {
    throw explainFailure(error, {
      attempted: 'crash recovery before a rewind',
      otherwise: 'RecoveryFailed',
    });
  }
}

/**
 * Manual: "pg_rewind". Is never broken off from here: half done, it would have been for nothing.
 * The result is durable: pg_rewind syncs the directory.
 */
export async function rewindDirectory(to: Upstream, options: RewindOptions): Promise<void> {
  const { directory, machine, binDirectory, onProgress } = options;
  const connection = `${renderConnection(to, machine, UPSTREAM_APPLICATION_NAME)} dbname=postgres`;
  const said: string[] = [];
  const onLine = (line: string): void => {
    const progress = parseRewindProgress(line);
    if (progress === null) said.push(line);
    else onProgress(progress);
  };
  try {
    await runProgram(
      'pg_rewind',
      [`--target-pgdata=${directory}`, `--source-server=${connection}`, '--progress'],
      { binDirectory, onLine },
    );
  } catch (error) {
    const isHalfDone = said.some((line) => POINT_OF_NO_RETURN.test(line));
    throw new RewindFailed(explained(said, error, to), isHalfDone);
  }
  if (!said.some((line) => NOTHING_TO_DO.test(line))) return;
  const message = `pg_rewind finds nothing to rewind to ${to.server}, although the WAL differs`;
  throw new RewindFailed(new OperatingError('refused', 'RewindFailed', message), false);
}

/** `12 of 30 MB` from a line of `--progress`. */
export function parseRewindProgress(line: string): string | null {
  const [, done, total] = PROGRESS.exec(line) ?? [];
  if (done === undefined || total === undefined) return null;
  const [doneMegabytes, totalMegabytes] = [done, total].map((kilobytes) =>
    Math.round(Number(kilobytes) / 1024),
  );
  return `${String(doneMegabytes)} of ${String(totalMegabytes)} MB`;
}

/** Of what it has said only what went wrong. */
function explained(said: readonly string[], error: unknown, to: Upstream): OperatingError {
  const attempted = `pg_rewind to ${to.server} (${to.host}:${to.port})`;
  const complaints = said.map((line) => COMPLAINT.exec(line)?.[1]).filter((words) => words != null);
  const words = complaints.length === 0 ? messageOf(error) : complaints.join('; ');
  const failure = new OperatingError('transient', 'ProgramFailed', words, error);
  return explainFailure(failure, { attempted, otherwise: 'RewindFailed' }) as OperatingError;
}
