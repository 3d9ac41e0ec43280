/** Lists what a backup consists of, with what each file must contain. */
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { runProgram } from '../../adapters/postgres/programs';
import { OperatingError } from '../../core/errors';
import { type ListedFile, type StoredList } from '../../core/backup/stored-list';

/** A command line holds as much. */
const NAMES_AT_ONCE = 500;

/**
 * All files of a folder. Of those in `known`, by their path, the SHA-256 is taken from there: it
 * was computed when they were read, and so says what they should be.
 */
export async function listFiles(
  folder: string,
  known: ReadonlyMap<string, ListedFile>,
  signal: AbortSignal,
): Promise<StoredList> {
  const { directories, files } = await walk(folder, '');
  const unknown = files.filter((path) => !known.has(path));
  const hashed = await hashFiles(folder, unknown, signal);
  return {
    directories,
    files: files.flatMap((path) => known.get(path) ?? hashed.get(path) ?? []),
  };
}

/** By programs of their own: the instance manager answers meanwhile. */
export async function hashFiles(
  folder: string,
  paths: readonly string[],
  signal: AbortSignal,
): Promise<ReadonlyMap<string, ListedFile>> {
  const hashed = new Map<string, ListedFile>();
  for (let at = 0; at < paths.length; at += NAMES_AT_ONCE) {
    signal.throwIfAborted();
    const some = paths.slice(at, at + NAMES_AT_ONCE);
    // Ended by a zero byte, a name is never escaped.
    const names = ['--zero', '--', ...some.map((path) => join(folder, path))];
    const output = await runProgram('sha256sum', names, { binDirectory: '', signal });
    const sums = output.split('\0').map((line) => line.slice(0, 64));
    for (const [index, path] of some.entries()) {
      const { size: bytes } = await stat(join(folder, path));
      hashed.set(path, { path, bytes, sha256: sums[index] ?? '' });
    }
  }
  return hashed;
}

interface Walked {
  readonly directories: readonly string[];
  readonly files: readonly string[];
}

/** Sorted; links are not followed: nothing in a backup leads out of it. */
async function walk(folder: string, below: string): Promise<Walked> {
  const directories: string[] = [];
  const files: string[] = [];
  const entries = await readdir(join(folder, below), { withFileTypes: true });
  for (const entry of entries.toSorted((a, b) => (a.name < b.name ? -1 : 1))) {
    const path = join(below, entry.name);
    if (entry.isDirectory()) {
      const inner = await walk(folder, path);
      directories.push(path, ...inner.directories);
      files.push(...inner.files);
    } else if (entry.isFile()) files.push(path);
    else {
      const message = `${join(folder, path)} is neither a file nor a directory: it is not backed up`;
      throw new OperatingError('refused', 'StrangeFile', message);
    }
  }
  return { directories, files };
}
