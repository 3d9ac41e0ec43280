/** A directory with segments that are whole and checked before PostgreSQL asks for them. */
import { copyFile, mkdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { errnoOf } from './volume-troubles';

export class Spool {
  readonly directory: string;
  /** What is there, or is being brought: whether it has worked. */
  readonly #files = new Map<string, Promise<boolean>>();

  constructor(directory: string) {
    this.directory = directory;
  }

  /** Empty, whatever an earlier process has left. */
  async open(): Promise<void> {
    await rm(this.directory, { recursive: true, force: true });
    await mkdir(this.directory, { recursive: true, mode: 0o700 });
  }

  get names(): readonly string[] {
    return [...this.#files.keys()];
  }

  pathOf(name: string): string {
    return join(this.directory, name);
  }

  /** Has a file brought; `bring` says whether it has. The answer comes when it is done. */
  async fill(name: string, bring: (path: string) => Promise<boolean>): Promise<boolean> {
    const bringing = bring(this.pathOf(name)).catch(() => false);
    this.#files.set(name, bringing);
    const isThere = await bringing;
    if (this.#files.get(name) === bringing && !isThere) this.#files.delete(name);
    return isThere;
  }

  /** Moves a file to where it is wanted, once it has been brought; false when it is not there. */
  async take(name: string, destination: string): Promise<boolean> {
    const bringing = this.#files.get(name);
    if (bringing === undefined || !(await bringing)) return false;
    this.#files.delete(name);
    return await move(this.pathOf(name), destination);
  }

  /** Throws away every file that is not one of these. */
  async keepOnly(names: readonly string[]): Promise<void> {
    for (const [name, bringing] of [...this.#files]) {
      if (names.includes(name)) continue;
      this.#files.delete(name);
      await bringing;
      // Meanwhile it may be wanted again.
      if (!this.#files.has(name)) await rm(this.pathOf(name), { force: true });
    }
  }
}

/** False when it has disappeared. `pg_wal` may be on another file system than the data directory. */
export async function move(from: string, to: string): Promise<boolean> {
  try {
    await rename(from, to);
    return true;
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return false;
    if (errnoOf(error) !== 'EXDEV') throw error;
    await copyFile(from, `${to}.new`);
    await rename(`${to}.new`, to);
    await rm(from, { force: true });
    return true;
  }
}
