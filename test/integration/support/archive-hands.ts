/** The test's side of a process that answers archive and restore commands; killed at will. */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
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
  static async begin(options: HandsOptions, identity = runAs()): Promise<ArchiveHands> {
    const hands = new ArchiveHands(options, identity);
    await once(hands.#child, 'message');
    return hands;
  }

  private constructor(options: HandsOptions, identity: ReturnType<typeof runAs>) {
    const program = resolve(__dirname, 'archive-hands-process.ts');
    const given = ['--require', 'ts-node/register/transpile-only', program];
    this.#child = spawn(process.execPath, [...given, JSON.stringify(options)], {
      ...identity,
      cwd: repository,
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
      env: { PATH: process.env['PATH'] },
    });
  }

  /** Memory that it has now, and the most that it has had. */
  residentMegabytes(): { readonly now: number; readonly most: number } {
    const status = readFileSync(`/proc/${this.#child.pid ?? 0}/status`, 'utf8');
    const megabytes = (field: string): number =>
      Number(new RegExp(`${field}:\\s+(\\d+)`).exec(status)?.[1]) / 1024;
    return { now: megabytes('VmRSS'), most: megabytes('VmHWM') };
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
