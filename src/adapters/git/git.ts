/**
 * Runs the git binary: arguments only, no shell; no question is ever asked; everything has a limit
 * of time and of output. Nothing of the machine's own configuration is read.
 */
import { spawn } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { OperatingError } from '../../core/errors';
import { gitFailure } from './failures';

export interface GitOptions {
  readonly environment: Readonly<Record<string, string>>;
  readonly signal: AbortSignal;
  readonly timeoutMs?: number;
  readonly input?: string;
  /** Gets standard output as it comes; without it, it is kept and returned. */
  readonly onOutput?: (part: Buffer) => void;
}

const TIMEOUT_MS = 60_000;
const OUTPUT_BYTES_MAX = 64 * 1024 ** 2;
/** The last lines of what git complains about say why it ended. */
const ERROR_BYTES_MAX = 8_192;

interface Ended {
  readonly status: number | string;
  readonly output: string;
  /** What git says why. */
  readonly complaint: string;
}

/** Standard output of a command that ended well; throws OperatingError with git's own words. */
export async function runGit(args: readonly string[], options: GitOptions): Promise<string> {
  const ended = await run(args, options);
  if (ended.status !== 0) throw failure(args, ended);
  return ended.output;
}

/** The answer of a command that says yes by 0 and no by 1; anything else is an error, as above. */
export async function askGit(args: readonly string[], options: GitOptions): Promise<boolean> {
  const ended = await run(args, options);
  if (ended.status !== 0 && ended.status !== 1) throw failure(args, ended);
  return ended.status === 0;
}

const failure = (args: readonly string[], { status, complaint }: Ended): OperatingError =>
  gitFailure(commandOf(args), complaint.trim() || `it ended with ${status}`);

const commandOf = (args: readonly string[]): string =>
  args.find((each) => !each.startsWith('-')) ?? '';

async function run(args: readonly string[], options: GitOptions): Promise<Ended> {
  // A signal that was given before is not heard any more, and nothing would end the command.
  options.signal.throwIfAborted();
  const timeout = AbortSignal.timeout(options.timeoutMs ?? TIMEOUT_MS);
  const child = spawn('git', [...args], {
    stdio: ['pipe', 'pipe', 'pipe'],
    env: { ...inherited(), ...options.environment },
    detached: true,
  });
  const output: Buffer[] = [];
  let bytes = 0;
  let complaint = '';
  const end = (): void => endGroup(child.pid);
  const signal = AbortSignal.any([options.signal, timeout]);
  signal.addEventListener('abort', end, { once: true });
  child.stdout.on('data', (part: Buffer) => {
    bytes += part.length;
    if (options.onOutput !== undefined) options.onOutput(part);
    else if (bytes <= OUTPUT_BYTES_MAX) output.push(part);
    else end();
  });
  child.stderr.setEncoding('utf8').on('data', (part: string) => {
    complaint = `${complaint}${part}`.slice(-ERROR_BYTES_MAX);
  });
  // It may have ended before it has read everything.
  child.stdin.on('error', () => undefined);
  child.stdin.end(options.input ?? '');
  bearTheBlame(child.pid);
  const status = await new Promise<number | string>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code, killedBy) => resolve(code ?? killedBy ?? 'unknown'));
  })
    .catch((error: unknown) => {
      throw new OperatingError('transient', 'GitMissing', `git cannot be run: ${String(error)}`);
    })
    .finally(() => signal.removeEventListener('abort', end));
  options.signal.throwIfAborted();
  const command = commandOf(args);
  if (timeout.aborted) throw late(command, options.timeoutMs ?? TIMEOUT_MS);
  if (options.onOutput === undefined && bytes > OUTPUT_BYTES_MAX) {
    throw gitFailure(command, 'it says more than 64 MB: the repository is too large');
  }
  return { status, output: Buffer.concat(output).toString('utf8'), complaint };
}

const late = (command: string, ms: number): OperatingError =>
  new OperatingError('transient', 'GitUnreachable', `git ${command} did not end in ${ms / 1000} s`);

/** ssh and git's helpers are processes of their own. */
function endGroup(pid: number | undefined): void {
  try {
    if (pid !== undefined) process.kill(-pid, 'SIGKILL');
  } catch (error) {
    // It has just ended by itself.
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

/** When memory runs out, a repository that is too large ends git, and not the operator. */
function bearTheBlame(pid: number | undefined): void {
  if (pid === undefined) return;
  void writeFile(`/proc/${pid}/oom_score_adj`, '1000').catch(() => undefined);
}

/** How the network is reached is the machine's own affair; the rest of its settings is not ours. */
function inherited(): NodeJS.ProcessEnv {
  const kept =
    /^(PATH|https?_proxy|no_proxy|all_proxy|HTTPS?_PROXY|NO_PROXY|ALL_PROXY|SSL_CERT_.*)$/;
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => kept.test(name)));
}
