/** The parts of an instance manager that deal with backups, as a process that can be killed. */
import { fork, type ChildProcess } from 'node:child_process';
import { EventEmitter, once } from 'node:events';
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { type BackupOrder } from '../../../src/core/backup/backup';
import { type BackupProgress } from '../../../src/core/backup/base-backup';
import { type Machine } from '../../../src/core/settings';
import { signal } from './bare-server';
import { runAs } from './instance-process';

export interface BackupProcessOptions {
  readonly archive: string;
  readonly systemIdentifier: string;
  readonly machine: Machine;
  readonly dataDirectory: string;
  readonly binDirectory: string;
}

export type Order =
  | { readonly kind: 'list' }
  | { readonly kind: 'take'; readonly order: BackupOrder }
  | { readonly kind: 'verify' | 'remove'; readonly id: string }
  | {
      readonly kind: 'load';
      readonly id: string;
      readonly database: string;
      readonly replace?: boolean;
    }
  | { readonly kind: 'materialise'; readonly id: string; readonly destination: string };

export class Failure extends Error {
  readonly code: string;

  constructor(name: string, code: string, message: string) {
    super(message);
    this.name = name;
    this.code = code;
  }
}

interface Answer {
  readonly call?: number;
  readonly result?: unknown;
  readonly failure?: { readonly name: string; readonly code: string; readonly message: string };
  readonly progress?: BackupProgress;
}

export class BackupProcess {
  readonly #child: ChildProcess;
  readonly #events = new EventEmitter();
  #calls = 0;

  /** Ready when this returns: what an earlier one left has been cleared away. */
  static async begin(
    options: BackupProcessOptions,
    environment: Readonly<Record<string, string>> = {},
  ): Promise<BackupProcess> {
    const child = fork(resolve(__dirname, 'run-backups.ts'), [JSON.stringify(options)], {
      ...runAs(),
      cwd: resolve(__dirname, '../../..'),
      execArgv: ['-r', 'ts-node/register/transpile-only'],
      env: { PATH: process.env['PATH'], ...environment },
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    });
    await once(child, 'message');
    return new BackupProcess(child);
  }

  private constructor(child: ChildProcess) {
    this.#child = child;
    child.setMaxListeners(100);
    child.on('message', ({ call, result, failure, progress }: Answer) => {
      if (progress !== undefined) this.#events.emit('progress', progress);
      if (failure !== undefined) {
        this.#events.emit(
          `failed-${call}`,
          new Failure(failure.name, failure.code, failure.message),
        );
      } else if (call !== undefined) this.#events.emit(`done-${call}`, result);
    });
  }

  /** Does one thing; `cancel` calls it off. */
  begin<T>(order: Order): { readonly done: Promise<T>; readonly cancel: () => void } {
    this.#calls += 1;
    const call = this.#calls;
    const done = new Promise<T>((fulfil, reject) => {
      this.#events.once(`done-${call}`, fulfil);
      this.#events.once(`failed-${call}`, reject);
      this.#child.once('exit', () =>
        reject(new Failure('Killed', 'Killed', 'the process is gone')),
      );
    });
    this.#child.send({ call, order });
    return { done, cancel: () => void this.#child.send({ call }) };
  }

  async run<T>(order: Order): Promise<T> {
    return await this.begin<T>(order).done;
  }

  async progress(): Promise<BackupProgress> {
    const [progress] = (await once(this.#events, 'progress')) as [BackupProgress];
    return progress;
  }

  /** As the kernel ends a container: with all that it has started. */
  async end(): Promise<void> {
    const isOver = this.#child.exitCode !== null || this.#child.signalCode !== null;
    if (this.#child.pid !== undefined && !isOver) killTree(this.#child.pid);
    if (!isOver) await once(this.#child, 'exit');
  }
}

function killTree(pid: number): void {
  // Stopped first, it starts no more of them.
  signal(pid, 'SIGSTOP');
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim();
  children.split(' ').filter(Boolean).map(Number).forEach(killTree);
  signal(pid, 'SIGKILL');
}
