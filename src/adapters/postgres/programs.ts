/** Runs PostgreSQL's own programs: initdb, pg_basebackup, pg_controldata. */
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { OperatingError } from '../../core/errors';

export interface ProgramOptions {
  /** Directory of PostgreSQL's programs; empty: found in PATH. */
  readonly binDirectory: string;
  /** It gets the processor time that nobody else wants. */
  readonly isNice?: boolean;
  /** Ends the program and what it has started. */
  readonly signal?: AbortSignal;
  /** Called with each line of standard error; progress ends with a carriage return. */
  readonly onLine?: (line: string) => void;
}

/** More of a failed program's output helps nobody. */
const LINES_KEPT = 20;

export const programPath = (binDirectory: string, name: string): string =>
  binDirectory === '' ? name : join(binDirectory, name);

/** Manual page nice(1): it becomes the program, so that signals and exit codes are the program's own. */
export const niced = (program: string): readonly [string, ...string[]] => [
  ...(['nice', '-n', '19'] as const),
  program,
];

/** Messages in English, so that they can be understood; nothing inherited that libpq would read. */
export function programEnvironment(): NodeJS.ProcessEnv {
  const inherited = Object.entries(process.env).filter(
    ([name]) => !/^(PG[A-Z]|LC_|LANG)/.test(name),
  );
  return { ...Object.fromEntries(inherited), LC_ALL: 'C.UTF-8', TZ: 'UTC' };
}

/** Standard output of a program that ended well; throws `ProgramFailed` with its last words. */
export async function runProgram(
  name: string,
  programArguments: readonly string[],
  options: ProgramOptions,
): Promise<string> {
  const path = programPath(options.binDirectory, name);
  const [program, ...rest] = options.isNice === true ? niced(path) : [path];
  const child = spawn(program, [...rest, ...programArguments], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: programEnvironment(),
    detached: true,
  });
  // The whole group: pg_basebackup streams WAL, and initdb runs postgres, in processes of their own.
  const end = (): void => {
    try {
      if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL');
    } catch (error) {
      // It has just ended by itself.
      if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
    }
  };
  options.signal?.addEventListener('abort', end, { once: true });
  const output: Buffer[] = [];
  const lines: string[] = [];
  child.stdout.on('data', (part: Buffer) => output.push(part));
  const hear = (line: string): void => {
    if (line.trim() === '') return;
    options.onLine?.(line);
    lines.push(line);
    if (lines.length > LINES_KEPT) lines.shift();
  };
  // PostgreSQL's programs write a line in pieces, each of which may come alone.
  let begun = '';
  child.stderr.setEncoding('utf8').on('data', (part: string) => {
    const heard = `${begun}${part}`.split(/[\r\n]/);
    begun = heard.pop() ?? '';
    heard.forEach(hear);
  });
  const status = await new Promise<number | string>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code, signal) => resolve(code ?? signal ?? 'unknown'));
  }).finally(() => options.signal?.removeEventListener('abort', end));
  hear(begun);
  options.signal?.throwIfAborted();
  const text = Buffer.concat(output).toString('utf8');
  if (status !== 0) {
    // pg_amcheck says what it has found on standard output.
    const said = lines.length > 0 ? lines : text.trimEnd().split('\n').slice(-LINES_KEPT);
    throw new OperatingError('transient', 'ProgramFailed', said.join('\n') || `${name}: ${status}`);
  }
  return text;
}
