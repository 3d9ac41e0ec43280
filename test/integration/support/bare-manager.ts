/** The test's side of a process that is an instance manager's PostgreSQL and guard. */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { OperatingError } from '../../../src/core/errors';
import { type PostgresReport } from '../../../src/core/protocol';
import { runAs } from './instance-process';

export type Call =
  | { readonly kind: 'start' | 'promote' | 'release' | 'leave' }
  | { readonly kind: 'stop'; readonly fastMs: number }
  | { readonly kind: 'fence'; readonly quitInMs: number; readonly killInMs: number }
  | { readonly kind: 'hold'; readonly inMs: number };

export interface Seen {
  readonly report: PostgresReport;
  readonly mayWrite: boolean;
  readonly isGuarded: boolean;
}

interface Failure {
  readonly code: string;
  readonly message: string;
}

type Message = { readonly seen: Seen } | { readonly id: number; readonly error: Failure | null };

const PATIENCE_MS = 30_000;

export class BareManager {
  readonly history: Seen[] = [];
  readonly #child: ChildProcess;
  readonly #answers = new Map<number, (error: Failure | null) => void>();
  readonly #listeners = new Set<() => void>();
  #calls = 0;
  #log = '';

  /** Resolves when the guard guards. */
  static async begin(directory: string, binDirectory: string, port: number): Promise<BareManager> {
    const manager = new BareManager(directory, binDirectory, port);
    await manager.until(({ isGuarded }) => isGuarded);
    return manager;
  }

  private constructor(directory: string, binDirectory: string, port: number) {
    const program = resolve(__dirname, 'bare-manager-process.ts');
    this.#child = spawn(
      process.execPath,
      ['--require', 'ts-node/register/transpile-only', program, directory, binDirectory, `${port}`],
      {
        ...runAs(),
        cwd: resolve(__dirname, '../../..'),
        stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
        env: { PATH: process.env['PATH'] },
      },
    );
    const keep = (part: Buffer): void => void (this.#log += part.toString());
    this.#child.stdout?.on('data', keep);
    this.#child.stderr?.on('data', keep);
    this.#child.on('message', (message) => this.#hear(message as Message));
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  /** The guard is the one child that carries its program's name. */
  get guardPid(): number {
    const isGuard = (pid: string): boolean => {
      try {
        const parent = /^PPid:\s+(\d+)$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
        const command = readFileSync(`/proc/${pid}/cmdline`, 'utf8');
        return Number(parent) === this.pid && command.includes('guard-process');
      } catch {
        return false;
      }
    };
    return Number(readdirSync('/proc').find((pid) => /^\d+$/.test(pid) && isGuard(pid)) ?? 0);
  }

  get log(): string {
    return this.#log;
  }

  get last(): Seen | undefined {
    return this.history.at(-1);
  }

  /** Rejects with the error that the process has met. Calls are begun in the order of their making. */
  async call(call: Call): Promise<void> {
    this.#calls += 1;
    const id = this.#calls;
    const answer = new Promise<Failure | null>((answered) => this.#answers.set(id, answered));
    this.#child.send({ id, call });
    const failure = await answer;
    if (failure !== null) throw new OperatingError('transient', failure.code, failure.message);
  }

  /** The state as it is seen now, or later, that is as wanted. */
  async until(isAsWanted: (seen: Seen) => boolean): Promise<Seen> {
    for (const giveUpAtMs = performance.now() + PATIENCE_MS; ;) {
      const last = this.last;
      if (last !== undefined && isAsWanted(last)) return last;
      await this.#change(giveUpAtMs - performance.now());
    }
  }

  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  /** Signal or exit code. */
  async ended(): Promise<string | number | null> {
    const { exitCode, signalCode } = this.#child;
    if (exitCode === null && signalCode === null) await once(this.#child, 'exit');
    return this.#child.signalCode ?? this.#child.exitCode;
  }

  #hear(message: Message): void {
    if ('id' in message) {
      this.#answers.get(message.id)?.(message.error);
      this.#answers.delete(message.id);
      return;
    }
    this.history.push(message.seen);
    for (const listener of [...this.#listeners]) listener();
  }

  async #change(timeoutMs: number): Promise<void> {
    await new Promise<void>((changed, failed) => {
      const done = (): void => {
        clearTimeout(timer);
        this.#listeners.delete(done);
        changed();
      };
      const timer = setTimeout(() => {
        this.#listeners.delete(done);
        const last = JSON.stringify(this.last);
        failed(new Error(`not seen what was waited for; last: ${last}\n${this.#log}`));
      }, timeoutMs);
      this.#listeners.add(done);
    });
  }
}
