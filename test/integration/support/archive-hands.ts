/** The test's side of a process that answers archive and restore commands; killed at will. */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { resolve } from 'node:path';
import { runAs } from './instance-process';

export interface HandsOptions {
  readonly volume: string;
  readonly compression: string;
  readonly segmentBytes: number;
  readonly walDirectory: string;
  readonly spoolDirectory: string;
  readonly socket: string;
}

export type HandsMessage =
  | { readonly kind: 'stopping'; readonly isStopping: boolean }
  | { readonly kind: 'slow'; readonly delayMs: number };

const repository = resolve(__dirname, '../../..');

export class ArchiveHands {
  readonly #child: ChildProcess;

  /** Returns when it answers. */
  static async begin(options: HandsOptions): Promise<ArchiveHands> {
    const hands = new ArchiveHands(options);
    await once(hands.#child, 'message');
    return hands;
  }

  private constructor(options: HandsOptions) {
    const program = resolve(__dirname, 'archive-hands-process.ts');
    const given = ['--require', 'ts-node/register/transpile-only', program];
    this.#child = spawn(process.execPath, [...given, JSON.stringify(options)], {
      ...runAs(),
      cwd: repository,
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
      env: { PATH: process.env['PATH'] },
    });
  }

  /** Returns when it has been heard. */
  async tell(message: HandsMessage): Promise<void> {
    const heard = once(this.#child, 'message');
    this.#child.send(message);
    await heard;
  }

  /** By SIGKILL, whatever it is doing. */
  async kill(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    this.#child.kill('SIGKILL');
    await once(this.#child, 'exit');
  }
}
