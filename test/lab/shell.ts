/**
 * Runs commands for the lab. A failure says what was run, on what, and what it printed; nothing is
 * ever passed through a shell, so arguments need no quoting.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { pipeline } from 'node:stream/promises';

export interface Result {
  readonly stdout: string;
  readonly stderr: string;
  readonly code: number;
}

export interface RunOptions {
  readonly cwd?: string;
  readonly env?: NodeJS.ProcessEnv;
  readonly input?: string;
  /** The command is killed after this time, and the result has code 124. */
  readonly timeoutMs?: number;
}

/** A sentence for the person at the keyboard: shown without a stack trace. */
export class LabError extends Error {
  override readonly name = 'LabError';
}

const codeTimedOut = 124;
const codeNotFound = 127;

/** Runs a command to its end and returns what it printed, whatever its exit code. */
export function attempt(argv: readonly string[], options: RunOptions = {}): Promise<Result> {
  const child = start(argv, options, ['pipe', 'pipe', 'pipe']);
  child.stdin?.on('error', () => undefined); // A command may exit without reading its input.
  child.stdin?.end(options.input ?? '');
  return finish(child, options);
}

/** Runs a command that is expected to succeed; its standard output without the last line break. */
export async function run(argv: readonly string[], options: RunOptions = {}): Promise<string> {
  const result = await attempt(argv, options);
  if (result.code !== 0) throw new LabError(complaint(argv, result));
  return result.stdout.trimEnd();
}

/** Runs `producer | consumer`; both must succeed. */
export async function pipe(
  producer: readonly string[],
  consumer: readonly string[],
  options: { readonly producer?: RunOptions; readonly consumer?: RunOptions } = {},
): Promise<string> {
  const from = start(producer, options.producer ?? {}, ['ignore', 'pipe', 'pipe']);
  const to = start(consumer, options.consumer ?? {}, ['pipe', 'pipe', 'pipe']);
  // A broken pipe means that the consumer gave up; its own message is the one worth reading.
  const copied = pipeline(from.stdout!, to.stdin!).catch(() => undefined);
  const [sent, received] = await Promise.all([finish(from, {}, false), finish(to), copied]);
  if (received.code !== 0) throw new LabError(complaint(consumer, received));
  if (sent.code !== 0) throw new LabError(complaint(producer, sent));
  return received.stdout.trimEnd();
}

/** Runs a command on this terminal and returns its exit code. */
export function passThrough(argv: readonly string[], options: RunOptions = {}): Promise<number> {
  const child = start(argv, options, ['inherit', 'inherit', 'inherit']);
  return finish(child, options).then((result) => result.code);
}

/** Whether a program is on the PATH. */
export async function hasProgram(name: string): Promise<boolean> {
  return (await attempt(['sh', '-c', 'command -v "$0"', name])).code === 0;
}

/** Waits until `probe` answers something else than undefined; a sentence says what was waited for. */
export async function waitFor<T>(
  what: string,
  timeoutMs: number,
  probe: () => Promise<T | undefined>,
): Promise<T> {
  const deadlineMs = performance.now() + timeoutMs;
  for (;;) {
    const value = await probe();
    if (value !== undefined) return value;
    if (performance.now() > deadlineMs) {
      throw new LabError(`Waited ${timeoutMs / 1000} s for ${what}; it did not happen.`);
    }
    await pause(150);
  }
}

/** Resolves after a time. */
export function pause(durationMs: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, durationMs));
}

type Stdio = ['pipe' | 'ignore' | 'inherit', 'pipe' | 'inherit', 'pipe' | 'inherit'];

function start(argv: readonly string[], options: RunOptions, stdio: Stdio): ChildProcess {
  const [program, ...args] = argv;
  if (program === undefined) throw new Error('start: an empty command');
  const env = { ...(options.env ?? process.env) };
  // Not every root shell has the folders where dockerd, debootstrap and iptables live.
  env['PATH'] = `${env['PATH'] ?? ''}:/usr/local/sbin:/usr/sbin:/sbin`;
  return spawn(program, args, { cwd: options.cwd, env, stdio });
}

function finish(child: ChildProcess, options: RunOptions = {}, keep = true): Promise<Result> {
  const stdout: Buffer[] = [];
  const stderr: Buffer[] = [];
  let timedOut = false;
  if (keep) child.stdout?.on('data', (chunk: Buffer) => stdout.push(chunk));
  child.stderr?.on('data', (chunk: Buffer) => stderr.push(chunk));
  const timer =
    options.timeoutMs === undefined
      ? undefined
      : setTimeout(() => (timedOut = child.kill('SIGKILL')), options.timeoutMs);
  return new Promise((resolve) => {
    const settle = (code: number, problem = ''): void => {
      clearTimeout(timer);
      const text = (chunks: Buffer[]): string => Buffer.concat(chunks).toString();
      resolve({ stdout: text(stdout), stderr: text(stderr) + problem, code });
    };
    child.on('error', (error: NodeJS.ErrnoException) =>
      settle(error.code === 'ENOENT' ? codeNotFound : 1, error.message),
    );
    child.on('close', (code) =>
      timedOut
        ? settle(codeTimedOut, `no answer within ${(options.timeoutMs ?? 0) / 1000} s`)
        : settle(code ?? 1),
    );
  });
}

function complaint(argv: readonly string[], result: Result): string {
  const shown = argv.join(' ');
  const lines = (result.stderr.trim() || result.stdout.trim()).split('\n');
  return `\`${shown}\` ended with exit code ${result.code}:\n  ${lines.slice(-15).join('\n  ')}`;
}
