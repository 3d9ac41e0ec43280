/**
 * Which files an archive has, as read from its directories. Only their names are kept: there may be
 * 200,000 of them.
 */
import { readdir, rmdir } from 'node:fs/promises';
import { join } from 'node:path';
import {
  folderOf,
  parseStoredFile,
  renderStoredFile,
  type StoredFile,
} from '../../core/archive/stored-files';
import { renderWalFile, type WalFile } from '../../core/archive/wal-files';

/** More at once does not make a disk faster. */
const READS_AT_ONCE = 16;

export class Catalogue {
  readonly #folders = new Map<string, string[]>();
  #changes = 0;

  /** Reads what is there. Folders without a file are removed, unless they are another server's. */
  static async read(directory: string, isReadOnly = false): Promise<Catalogue> {
    const catalogue = new Catalogue();
    const folders = await readdir(directory);
    for (let at = 0; at < folders.length; at += READS_AT_ONCE) {
      const some = folders.slice(at, at + READS_AT_ONCE);
      await Promise.all(
        some.map(async (each) => await catalogue.#readFolder(directory, each, isReadOnly)),
      );
    }
    return catalogue;
  }

  /** +1 whenever it has become another one. */
  get changes(): number {
    return this.#changes;
  }

  /** All files: segments in the order of their names, then histories. */
  *files(): Generator<StoredFile> {
    for (const folder of [...this.#folders.keys()].toSorted()) {
      for (const name of this.#folders.get(folder)?.toSorted() ?? []) {
        const stored = parseStoredFile(name);
        if (stored !== null) yield stored;
      }
    }
  }

  /** What is stored of a file: nothing, or one; more when an archive was put together by hand. */
  find(file: WalFile): readonly StoredFile[] {
    const beginning = `${renderWalFile(file)}-`;
    return (this.#folders.get(folderOf(file)) ?? [])
      .filter((name) => name.startsWith(beginning))
      .flatMap((name) => parseStoredFile(name) ?? []);
  }

  add(stored: StoredFile): void {
    this.#changes += 1;
    const folder = folderOf(stored.file);
    const names = this.#folders.get(folder);
    if (names === undefined) this.#folders.set(folder, [renderStoredFile(stored)]);
    else names.push(renderStoredFile(stored));
  }

  remove(stored: StoredFile): void {
    this.#changes += 1;
    const names = this.#folders.get(folderOf(stored.file)) ?? [];
    const at = names.indexOf(renderStoredFile(stored));
    if (at >= 0) names.splice(at, 1);
  }

  async #readFolder(directory: string, folder: string, isReadOnly: boolean): Promise<void> {
    const names = await readdir(join(directory, folder));
    // One that is left does no harm: a volume that cannot be written can still be read.
    if (names.length === 0 && !isReadOnly) {
      await rmdir(join(directory, folder)).catch(() => undefined);
    }
    const known = names.filter((name) => {
      const stored = parseStoredFile(name);
      return stored !== null && folderOf(stored.file) === folder;
    });
    if (known.length > 0) this.#folders.set(folder, known);
  }
}
