/**
 * The instance manager's side of the guard: a tiny process that outlives a manager that hangs, and
 * kills PostgreSQL at the deadline that it was given last.
 */
import { spawn, type ChildProcessByStdio } from 'node:child_process';
import { extname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { type Readable, type Writable } from 'node:stream';
import { type Log } from '../adapters/log';

export interface Guard {
  /**
   * Every process of PostgreSQL is killed at this moment, unless it is moved. On the clock of
   * `performance.now()` in the calling process.
   */
  hold(deadlineMs: number): void;
  /** Nothing may write: there is nothing to guard. */
  release(): void;
  /** False: it has ended or could not be started; no primary may run without it. */
  readonly isAlive: boolean;
  close(): void;
}

export interface GuardOptions {
  /** PostgreSQL's data directory; it need not exist yet. */
  readonly directory: string;
  readonly log: Log;
  /** It has ended. It is started again by itself; `isAlive` is false meanwhile. */
  readonly onEnd: () => void;
  /** It guards: `isAlive` has become true. */
  readonly onReady?: () => void;
}

export function startGuard(options: GuardOptions): Guard {
  return new RestartedGuard(options);
}

type Child = ChildProcessByStdio<Writable, Readable, null>;

/** Measured: 6 to 10 MB of private memory, which is what builds of Node need for nothing at all. */
const NODE_OPTIONS = ['--max-semi-space-size=1', '--v8-pool-size=0'];
const PROGRAM = join(__dirname, `guard-process${extname(__filename)}`);
/** Where the sources run as they are, so does the guard. */
const LOADER = PROGRAM.endsWith('.ts') ? ['--require', 'ts-node/register/transpile-only'] : [];
/** One that ends as soon as it is started is started ever more rarely. */
const RETRY_MS = 50;
const RETRY_MAX_MS = 5000;
const NS_PER_MS = 1_000_000;

class RestartedGuard implements Guard {
  readonly #options: GuardOptions;
  #child: Child | null = null;
  #isReady = false;
  #isClosed = false;
  #retryMs = RETRY_MS;
  #retry: NodeJS.Timeout | undefined;
  /** What the guard was told last, `Infinity` for a release; one that is started anew is told too. */
  #deadlineMs: number | null = null;

  constructor(options: GuardOptions) {
    this.#options = options;
    this.#start();
  }

  get isAlive(): boolean {
    return this.#isReady;
  }

  hold(deadlineMs: number): void {
    if (deadlineMs === this.#deadlineMs) return;
    this.#deadlineMs = deadlineMs;
    this.#tell();
  }

  release(): void {
    this.hold(Infinity);
  }

  close(): void {
    this.#isClosed = true;
    this.#isReady = false;
    clearTimeout(this.#retry);
    this.#child?.stdin.end('close\n');
  }

  #tell(): void {
    const deadlineMs = this.#deadlineMs;
    if (deadlineMs === null) return;
    const order = deadlineMs === Infinity ? 'release' : `hold ${monotonicNs(deadlineMs)}`;
    this.#child?.stdin.write(`${order}\n`);
  }

  #start(): void {
    const { directory } = this.#options;
    const programArguments = [...NODE_OPTIONS, ...LOADER, PROGRAM, directory, String(process.pid)];
    const child = spawn(process.execPath, programArguments, {
      cwd: __dirname,
      // A terminal's Ctrl-C is not for it.
      detached: true,
      stdio: ['pipe', 'pipe', 'inherit'],
      // Nothing inherited that Node would read; one arena is enough for one thread.
      env: { MALLOC_ARENA_MAX: '1' },
    });
    this.#child = child;
    createInterface(child.stdout).on('line', (line) => this.#hear(line));
    // A pipe that breaks is the end of the guard, which is noticed anyway.
    child.stdin.on('error', () => undefined);
    child.once('error', (error) => this.#ended({ error: error.message }));
    child.once('exit', (code, signal) => this.#ended({ code, signal }));
    this.#tell();
  }

  #hear(line: string): void {
    if (this.#isClosed) return;
    const [word, value] = line.split(' ');
    if (word === 'ready') {
      this.#isReady = true;
      this.#retryMs = RETRY_MS;
      this.#options.onReady?.();
    }
    if (word === 'killed') {
      // The guard waits for a sign of life, and remembers no deadline.
      this.#deadlineMs = null;
      this.#child?.stdin.write('here\n');
      this.#options.log.error('The lease has ended: the guard has killed PostgreSQL', {
        lateMs: Number(value),
      });
    }
  }

  #ended(how: Readonly<Record<string, unknown>>): void {
    if (this.#isClosed || this.#child === null) return;
    this.#child = null;
    this.#isReady = false;
    this.#options.log.error('The guard of PostgreSQL has ended: starting it again', how);
    this.#retry = setTimeout(() => this.#start(), this.#retryMs);
    this.#retryMs = Math.min(this.#retryMs * 2, RETRY_MAX_MS);
    this.#options.onEnd();
  }
}

/**
 * The moment on CLOCK_MONOTONIC. That clock is read first: if this process is held up between the
 * two readings, the deadline comes out too early, never too late.
 */
function monotonicNs(deadlineMs: number): bigint {
  const nowNs = process.hrtime.bigint();
  const leftMs = deadlineMs - performance.now();
  return leftMs === -Infinity ? 0n : nowNs + BigInt(Math.round(leftMs * NS_PER_MS));
}
