/**
 * Watches what is done to files, step by step, and may let the world end at one of them: a step that
 * never ends is the last one of a process that was killed.
 */
import { promises as files } from 'node:fs';

export interface Ending {
  /** The first one is 1. */
  readonly step: number;
  readonly moment: 'before' | 'after';
}

export interface Step {
  readonly name: string;
  readonly path: string;
}

type Call = (...given: readonly unknown[]) => Promise<unknown>;
type Calls = Record<string, Call>;

const NAMES = ['open', 'mkdir', 'rename', 'rm', 'rmdir', 'readdir', 'stat'];
const HANDLE_NAMES = ['read', 'write', 'sync', 'close'];

export class FileSteps {
  readonly steps: Step[] = [];
  /** Resolves when the world has ended. */
  readonly reached: Promise<void>;
  readonly #ending: Ending | null;
  readonly #originals = new Map<string, Call>();
  /** The kernel closes what a killed process has open. */
  readonly #closing: Call[] = [];
  #reach: () => void = () => undefined;

  constructor(ending: Ending | null = null) {
    this.#ending = ending;
    this.reached = new Promise((resolve) => (this.#reach = resolve));
    for (const name of NAMES) {
      const original = CALLS[name]!;
      this.#originals.set(name, original);
      CALLS[name] = async (...given) => {
        const path = String(given[0]);
        const call: Call = async (...same) => {
          const result = await original(...same);
          if (name === 'open') this.#watchHandle(result as Calls, path);
          return result;
        };
        return await this.#take({ name, path }, call, given);
      };
    }
  }

  get names(): readonly string[] {
    return this.steps.map(({ name }) => name);
  }

  async restore(): Promise<void> {
    for (const [name, original] of this.#originals) CALLS[name] = original;
    for (const close of this.#closing) await close().catch(() => undefined);
  }

  #watchHandle(handle: Calls, path: string): void {
    for (const name of HANDLE_NAMES) {
      const original = handle[name]!.bind(handle);
      if (name === 'close') this.#closing.push(original);
      handle[name] = async (...given) => await this.#take({ name, path }, original, given);
    }
  }

  async #take(step: Step, call: Call, given: readonly unknown[]): Promise<unknown> {
    this.steps.push(step);
    const isLast = this.steps.length >= (this.#ending?.step ?? Infinity);
    if (isLast && this.#ending?.moment === 'before') return await this.#end();
    const result = await call(...given);
    return isLast ? await this.#end() : result;
  }

  async #end(): Promise<never> {
    this.#reach();
    return await new Promise<never>(() => undefined);
  }
}

const CALLS = files as unknown as Calls;
