/** The test's side of a process that restores copies. */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { resolve } from 'node:path';
import { OperatingError } from '../../../src/core/errors';
import { type Recovery } from '../../../src/core/restore/recovery';
import { type DrillOrder, type DrillReport } from '../../../src/instance/restore/drill';
import { type RecoveryOrder, type RecoveryProgress } from '../../../src/instance/restore/throwaway';
import { runAs } from './instance-process';

/** Where a copy comes from, and where it goes. */
export interface Copy {
  readonly backup: string;
  readonly scratch: string;
  readonly socket: string;
  readonly binDirectory: string;
}

export type Call =
  | { readonly kind: 'recover'; readonly copy: Copy; readonly order: RecoveryOrder }
  | { readonly kind: 'drill'; readonly copy: Copy; readonly order: Omit<DrillOrder, 'backup'> }
  | { readonly kind: 'query'; readonly text: string }
  | { readonly kind: 'call off' | 'remove' }
  | { readonly kind: 'clear'; readonly scratch: string };

export interface Recovered {
  readonly recovery: Recovery;
  readonly progress: readonly RecoveryProgress[];
}

interface Answer {
  readonly id: number;
  readonly value?: unknown;
  readonly error?: { readonly code: string; readonly message: string };
}

export class Restorer {
  readonly #child: ChildProcess;
  readonly #answers = new Map<number, (answer: Answer) => void>();
  #calls = 0;

  static async begin(): Promise<Restorer> {
    const restorer = new Restorer();
    await once(restorer.#child, 'message');
    return restorer;
  }

  private constructor() {
    const program = resolve(__dirname, 'restore-process.ts');
    this.#child = spawn(
      process.execPath,
      ['--require', 'ts-node/register/transpile-only', program],
      {
        ...runAs(),
        cwd: resolve(__dirname, '../../..'),
        stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
        env: { PATH: process.env['PATH'] },
      },
    );
    this.#child.on('message', (message) => {
      const answer = message as Answer;
      this.#answers.get(answer.id)?.(answer);
    });
  }

  async recover(copy: Copy, order: RecoveryOrder): Promise<Recovered> {
    return (await this.#call({ kind: 'recover', copy, order })) as Recovered;
  }

  async drill(copy: Copy, order: Omit<DrillOrder, 'backup'>): Promise<DrillReport> {
    return (await this.#call({ kind: 'drill', copy, order })) as DrillReport;
  }

  /** Of what was recovered last; the columns of its first row. */
  async ask<Row extends object>(text: string): Promise<Row> {
    return ((await this.#call({ kind: 'query', text })) as readonly Row[])[0]!;
  }

  async callOff(): Promise<void> {
    await this.#call({ kind: 'call off' });
  }

  async remove(): Promise<void> {
    await this.#call({ kind: 'remove' });
  }

  async clear(scratch: string): Promise<void> {
    await this.#call({ kind: 'clear', scratch });
  }

  async kill(): Promise<void> {
    const { exitCode, signalCode } = this.#child;
    if (exitCode !== null || signalCode !== null) return;
    this.#child.kill('SIGKILL');
    await once(this.#child, 'exit');
  }

  async #call(call: Call): Promise<unknown> {
    this.#calls += 1;
    const id = this.#calls;
    const answer = new Promise<Answer>((answered) => this.#answers.set(id, answered));
    this.#child.send({ id, call });
    const { value, error } = await answer;
    if (error !== undefined) throw new OperatingError('transient', error.code, error.message);
    return value;
  }
}
