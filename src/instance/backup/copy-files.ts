/**
 * Copies the files of a running server. Where both places lie on one file system that can clone files
 * (XFS, Btrfs; ioctl_ficlone(2)) a copy shares the blocks of the original; elsewhere it is read
 * and written, no faster than wanted.
 */
import { constants } from 'node:fs';
import { copyFile, mkdir, open, readdir, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type BackupProgress } from '../../core/backup/base-backup';
import { isLeftOut } from '../../core/backup/snapshot';
import { OperatingError } from '../../core/errors';

/** Throws when it cannot be done; nothing is at `to` then. */
export type Clone = (from: string, to: string) => Promise<void>;

export interface CopyOptions {
  readonly from: string;
  readonly to: string;
  /** So much is read in a second at most; null: as fast as it goes. */
  readonly bytesPerSecondMax: number | null;
  readonly signal: AbortSignal;
  /** About once in a second; what it throws ends the copying. */
  readonly onProgress: (progress: BackupProgress) => Promise<void>;
  readonly clone?: Clone;
}

/** It says from where replay can go on, so it must not be older than anything else. */
const CONTROL = 'global/pg_control';
/** Its links are refused by name, when the copy ends. */
const TABLESPACES = 'pg_tblspc';
const ATTEMPTS_MAX = 5;
const PART_BYTES = 256 * 1024;
const PROGRESS_EVERY_MS = 1000;
/** Not this file system, not these two places, not this kind of file: reading it is the other way. */
const CANNOT_CLONE = ['ENOTSUP', 'EXDEV', 'EINVAL', 'ENOSYS', 'ENOTTY'];

export const cloneFile: Clone = async (from, to) =>
  await copyFile(from, to, constants.COPYFILE_EXCL | constants.COPYFILE_FICLONE_FORCE);

/** Whether files of one place can be cloned to another: found out by doing it. */
export async function canClone(file: string, directory: string): Promise<boolean> {
  const probe = join(directory, 'probe');
  try {
    await cloneFile(file, probe);
    return true;
  } catch (error) {
    if (isUnable(error)) return false;
    throw error;
  } finally {
    await rm(probe, { force: true });
  }
}

export interface CopyDataOptions extends CopyOptions {
  /** Whether the control file of a data directory was not read while it was written. */
  readonly isControlWhole: (directory: string) => Promise<boolean>;
}

/**
 * Fills an empty directory with the files of a data directory, without what `isLeftOut`. Files may
 * come, change and go meanwhile: replay makes that good. Not durable yet.
 */
export async function copyDataDirectory(options: CopyDataOptions): Promise<void> {
  const { from, to, isControlWhole } = options;
  const { directories, files } = await survey(from, '');
  for (const path of directories) await mkdir(join(to, path), { mode: 0o700 });
  const copier = new FileCopier(
    options,
    files.reduce((sum, { bytes }) => sum + bytes, 0),
  );
  for (const { path } of files) {
    if (path !== CONTROL) await copier.copy(join(from, path), join(to, path));
  }
  for (let attempt = 1; ; attempt += 1) {
    if (!(await copier.copy(join(from, CONTROL), join(to, CONTROL)))) {
      throw new Error(`${from} has no ${CONTROL}: it is no data directory`);
    }
    if (await isControlWhole(to)) return;
    if (attempt === ATTEMPTS_MAX) throw new Error(`${CONTROL} changes whenever it is read`);
    await rm(join(to, CONTROL));
  }
}

/** Copies single files, and keeps count. */
export class FileCopier {
  readonly #options: Omit<CopyOptions, 'from' | 'to'>;
  readonly #total: number;
  readonly #startedMs = performance.now();
  #clones = true;
  #done = 0;
  #read = 0;
  #toldMs = -Infinity;

  constructor(options: Omit<CopyOptions, 'from' | 'to'>, totalBytes: number) {
    this.#options = options;
    this.#total = totalBytes;
  }

  /** Whether it was still there. */
  async copy(from: string, to: string): Promise<boolean> {
    this.#options.signal.throwIfAborted();
    try {
      if (this.#clones) this.#clones = await this.#clone(from, to);
      if (!this.#clones) await this.#write(from, to);
      return true;
    } catch (error) {
      // What is missing may be the other directory.
      if (isGone(error) && (await unlessGone(stat(from))) === null) return false;
      throw error;
    }
  }

  async #clone(from: string, to: string): Promise<boolean> {
    const { clone = cloneFile } = this.#options;
    try {
      await clone(from, to);
    } catch (error) {
      if (isUnable(error)) return false;
      throw error;
    }
    this.#done += (await stat(to)).size;
    await this.#pause();
    return true;
  }

  async #write(from: string, to: string): Promise<void> {
    const source = await open(from, constants.O_RDONLY | constants.O_NOFOLLOW);
    try {
      // What is added from now on is in the WAL; a file may grow faster than it is read.
      const { size, mode } = await source.stat();
      const copy = await open(to, 'wx', mode & 0o777);
      try {
        const part = Buffer.allocUnsafe(PART_BYTES);
        for (let at = 0; at < size;) {
          const wanted = Math.min(PART_BYTES, size - at);
          const { bytesRead } = await source.read(part, 0, wanted, at);
          if (bytesRead === 0) break;
          await copy.writeFile(part.subarray(0, bytesRead));
          at += bytesRead;
          this.#done += bytesRead;
          this.#read += bytesRead;
          await this.#pause();
        }
      } finally {
        await copy.close();
      }
    } finally {
      await source.close();
    }
  }

  async #pause(): Promise<void> {
    const { bytesPerSecondMax: rate, signal, onProgress } = this.#options;
    signal.throwIfAborted();
    const nowMs = performance.now();
    if (nowMs - this.#toldMs >= PROGRESS_EVERY_MS) {
      this.#toldMs = nowMs;
      // Files grow meanwhile.
      const percent = Math.min(Math.floor((this.#done / Math.max(this.#total, 1)) * 100), 100);
      await onProgress({ percent, bytes: this.#done });
    }
    if (rate === null) return;
    const aheadMs = (this.#read / rate) * 1000 - (performance.now() - this.#startedMs);
    if (aheadMs > 0) await sleep(aheadMs, undefined, { signal });
  }
}

interface Surveyed {
  readonly directories: readonly string[];
  readonly files: readonly { readonly path: string; readonly bytes: number }[];
}

/** Parents before what is in them. Sockets are no data; a tablespace was refused before. */
async function survey(root: string, below: string): Promise<Surveyed> {
  const directories: string[] = [];
  const files: Surveyed['files'][number][] = [];
  const entries = await unlessGone(readdir(join(root, below), { withFileTypes: true }));
  for (const entry of entries ?? []) {
    const path = join(below, entry.name);
    if (isLeftOut(path)) continue;
    if (entry.isDirectory()) {
      const inner = await survey(root, path);
      directories.push(path, ...inner.directories);
      files.push(...inner.files);
    } else if (entry.isFile()) {
      const found = await unlessGone(stat(join(root, path)));
      if (found !== null) files.push({ path, bytes: found.size });
    } else if (entry.isSymbolicLink()) {
      await demandNoData(root, path);
    }
  }
  return { directories, files };
}

/** Of a link nothing is copied. One to a file may be to a key or to settings; a directory holds data. */
async function demandNoData(root: string, path: string): Promise<void> {
  const found = await unlessGone(stat(join(root, path)));
  if (found?.isDirectory() !== true || dirname(path) === TABLESPACES) return;
  const message = `${path} of the data directory is a link to another place, and would be missing in the copy: move what is there into its place`;
  throw new OperatingError('refused', 'LinkFound', message);
}

const codeOf = (error: unknown): string => (error as NodeJS.ErrnoException).code ?? '';
const isGone = (error: unknown): boolean => codeOf(error) === 'ENOENT';
const isUnable = (error: unknown): boolean => CANNOT_CLONE.includes(codeOf(error));

async function unlessGone<T>(effect: Promise<T>): Promise<T | null> {
  try {
    return await effect;
  } catch (error) {
    if (isGone(error)) return null;
    throw error;
  }
}
