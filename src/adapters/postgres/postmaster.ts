/**
 * One run of the postmaster, as a direct child: no pg_ctl, whose waits poll every 100 ms. Signals
 * and their meaning: manual, "Shutting Down the Server".
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type LogEntry } from './log-line';
import { LogReader } from './log-reader';
import { killProcessesIn } from './processes';
import { niced, programEnvironment, programPath } from './programs';

export interface PostmasterOptions {
  readonly directory: string;
  readonly binDirectory: string;
  readonly onLog: (entry: LogEntry) => void;
  /** It gets the processor time that nobody else wants. */
  readonly isNice?: boolean;
}

export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** A start is looked for this often: fast at first, then ever more rarely, as in crash recovery. */
const READY_POLL_MS = 3;
const READY_POLL_MAX_MS = 100;
const READY_POLL_GROWTH = 1.02;
/** Line of `postmaster.pid` that holds the status (utils/pidfile.h, `LOCK_FILE_LINE_PM_STATUS`). */
const STATUS_LINE = 8;

/** Said at level LOG, once (xlogrecovery.c, `CheckRecoveryConsistency`). */
const CONSISTENT = /^consistent recovery state reached/;

export class Postmaster {
  readonly #child: ChildProcess;
  readonly #directory: string;
  /** Resolves when it has exited and every process of it is gone. */
  readonly exited: Promise<Exit>;
  #exit: Exit | null = null;
  #isConsistent = false;

  constructor(options: PostmasterOptions) {
    const { directory, binDirectory, isNice = false } = options;
    this.#directory = directory;
    const path = programPath(binDirectory, 'postgres');
    const [program, ...rest] = isNice ? niced(path) : [path];
    this.#child = spawn(program, [...rest, '-D', directory], {
      // From its first moment on it is found there, as all of its processes are.
      cwd: directory,
      // A terminal's Ctrl-C reaches the instance manager alone, which then stops PostgreSQL itself.
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe'],
      env: programEnvironment(),
    });
    const reader = new LogReader((entry) => {
      if (CONSISTENT.test(entry.message)) this.#isConsistent = true;
      options.onLog(entry);
    });
    if (this.#child.stdout !== null) reader.follow(this.#child.stdout);
    if (this.#child.stderr !== null) reader.follow(this.#child.stderr);
    this.exited = this.#watchExit(reader);
  }

  get hasExited(): boolean {
    return this.#exit !== null;
  }

  signal(signal: NodeJS.Signals): void {
    if (!this.hasExited) this.#child.kill(signal);
  }

  /**
   * `ready` when connections are accepted, `warm` when it is consistent and will accept none (a standby
   * with `hot_standby = off`); null when it has exited before.
   */
  async ready(): Promise<'ready' | 'warm' | null> {
    for (let pollMs = READY_POLL_MS; !this.hasExited;) {
      const status = await this.#status();
      if (status === 'ready') return 'ready';
      // It says so before it is consistent.
      if (status === 'standby' && this.#isConsistent) return 'warm';
      await sleep(pollMs);
      pollMs = Math.min(pollMs * READY_POLL_GROWTH, READY_POLL_MAX_MS);
    }
    return null;
  }

  /** Makes it read its configuration again; one that has just been started, once it can. */
  async reload(): Promise<void> {
    // Until it has written its lock file it has no handler, and SIGHUP would end it.
    while (!this.hasExited && (await this.#lockFile())[0] !== String(this.#child.pid)) {
      await sleep(READY_POLL_MS);
    }
    this.signal('SIGHUP');
  }

  /** False when it still runs after this time. */
  async exitsWithin(milliseconds: number): Promise<boolean> {
    const timer = new AbortController();
    const late = sleep(milliseconds, false, { signal: timer.signal }).catch(() => false);
    const hasExited = await Promise.race([this.exited.then(() => true), late]);
    timer.abort();
    return hasExited;
  }

  /** Kills every process; nothing can be acknowledged after this has returned. */
  async kill(): Promise<void> {
    await killProcessesIn(this.#directory);
    await this.exited;
  }

  async #status(): Promise<string | null> {
    const lines = await this.#lockFile();
    return lines[0] === String(this.#child.pid) ? (lines[STATUS_LINE - 1]?.trim() ?? null) : null;
  }

  /** Lines of `postmaster.pid`; one of another process may be left over. */
  async #lockFile(): Promise<readonly string[]> {
    const path = join(this.#directory, 'postmaster.pid');
    return (await readFile(path, 'utf8').catch(() => '')).split('\n');
  }

  async #watchExit(reader: LogReader): Promise<Exit> {
    const exit = await new Promise<Exit>((resolve) => {
      this.#child.on('error', () => resolve({ code: null, signal: null }));
      this.#child.on('exit', (code, signal) => resolve({ code, signal }));
    });
    // After an orderly stop no process is left; after anything else backends may still work.
    if (exit.code !== 0) await killProcessesIn(this.#directory);
    reader.flush();
    this.#exit = exit;
    return exit;
  }
}
