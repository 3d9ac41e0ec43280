/**
 * The programs that compress and expand archived files. They run as processes of their own: the
 * work is then done by another core, and the instance manager goes on answering.
 */
import { spawn, type ChildProcessByStdio } from 'node:child_process';
import { once } from 'node:events';
import { type FileHandle } from 'node:fs/promises';
import { type Readable, type Writable } from 'node:stream';
import { type Compression } from '../../core/archive/stored-files';
import { OperatingError } from '../../core/errors';

/** A program that turns its standard input into its standard output. */
export type Filter = readonly [program: string, ...programArguments: string[]];

/** The fastest level of each: the next segment is waiting. */
const COMPRESSING: Readonly<Record<Compression, Filter | null>> = {
  none: null,
  gzip: ['gzip', '-1', '-c'],
  lz4: ['lz4', '-q', '-1', '-c'],
  zstd: ['zstd', '-q', '-1', '-c'],
};

const EXPANDING: Readonly<Record<Compression, Filter | null>> = {
  none: null,
  gzip: ['gzip', '-d', '-c'],
  lz4: ['lz4', '-q', '-d', '-c'],
  zstd: ['zstd', '-q', '-d', '-c'],
};

export const compressing = (compression: Compression): Filter | null => COMPRESSING[compression];
export const expanding = (compression: Compression): Filter | null => EXPANDING[compression];

let available: Promise<readonly Compression[]> | null = null;

/** The compressions that this machine can do; found out once. */
export async function availableCompressions(): Promise<readonly Compression[]> {
  available ??= findAvailable();
  return await available;
}

type Running = ChildProcessByStdio<Writable, null, Readable>;

/** More of a failed program's output helps nobody. */
const WORDS_MAX = 500;

/** A running filter, which writes to a file by itself. */
export class FilterProcess {
  readonly #child: Running;
  readonly #ended: Promise<number | NodeJS.Signals | Error>;
  readonly #name: string;
  #words = '';

  constructor([program, ...programArguments]: Filter, to: FileHandle) {
    this.#name = program;
    const stdio = ['pipe', to.fd, 'pipe'] as const;
    const child = spawn(program, programArguments, { stdio: [...stdio] }) as Running;
    this.#child = child;
    this.#ended = new Promise((resolve) => {
      child.once('error', resolve);
      child.once('close', (code, signal) => resolve(code ?? signal ?? 'SIGKILL'));
    });
    child.stderr.setEncoding('utf8').on('data', (part: string) => {
      this.#words = `${this.#words}${part}`.slice(-WORDS_MAX);
    });
    // A filter that ends early breaks the pipe; how it ended says why.
    child.stdin.on('error', () => undefined);
  }

  /** Returns when the chunk's memory may be used for something else. */
  async write(chunk: Buffer): Promise<void> {
    const written = new Promise<void>((resolve) => {
      this.#child.stdin.write(chunk, () => resolve());
    });
    // A write to a program that could not be started is never called back.
    await Promise.race([written, this.#ended]);
  }

  endInput(): void {
    this.#child.stdin.end();
  }

  /**
   * Returns when the program has ended well. Throws `FilterRefused` when it does not like what it
   * was given, `FilterFailed` when it could not be run or was killed; with its last words.
   */
  async done(): Promise<void> {
    const end = await this.#ended;
    if (end === 0) return;
    const words = this.#words.trim() || (end instanceof Error ? end.message : `ended by ${end}`);
    const code = typeof end === 'number' ? 'FilterRefused' : 'FilterFailed';
    throw new OperatingError('transient', code, `${this.#name}: ${words}`);
  }

  /** Ends a filter that is not wanted any more. */
  kill(): void {
    this.#child.kill('SIGKILL');
  }
}

/** Whether a filter has refused its input, or has not been able to write its output. */
export const isRefusal = (error: unknown): boolean =>
  error instanceof OperatingError && error.code === 'FilterRefused';

async function findAvailable(): Promise<readonly Compression[]> {
  const all = Object.keys(COMPRESSING) as Compression[];
  const works = await Promise.all(all.map(async (each) => await isAvailable(COMPRESSING[each])));
  return all.filter((_, index) => works[index]);
}

async function isAvailable(filter: Filter | null): Promise<boolean> {
  if (filter === null) return true;
  const child = spawn(filter[0], ['--version'], { stdio: 'ignore' });
  // `once` rejects on an error, as when there is no such program.
  return await once(child, 'close').then(
    ([code]) => code === 0,
    () => false,
  );
}
