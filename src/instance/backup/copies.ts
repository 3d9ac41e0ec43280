/**
 * Copies of backups between the servers' archives: a disk may be lost with all that is on it. The
 * copying server asks for every file by itself, and keeps nothing that it has not checked.
 */
import { constants } from 'node:fs';
import { mkdir, open, readFile, realpath } from 'node:fs/promises';
import { createHash } from 'node:crypto';
import { dirname, join, sep } from 'node:path';
import { type Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { syncDirectory } from '../../adapters/postgres/durable-files';
import { type Backup, type CataloguedBackup } from '../../core/backup/backup';
import { parseBackup } from '../../core/backup/backup-json';
import { isInnerPath } from '../../core/backup/names';
import {
  bytesOf,
  parseStoredList,
  readStoredList,
  type ListedFile,
  type StoredList,
} from '../../core/backup/stored-list';
import { messageOf, OperatingError } from '../../core/errors';
import { DESCRIPTION, FILES, type BackupCatalogue } from './catalogue';
import { explainBackupFailure } from './failures';
import { hashFiles } from './list-files';
import { requireRoom } from './room';

/** How a peer is asked; both throw when it does not answer. */
export interface BackupPeers {
  /** What `BackupCopies.files` says over there. */
  listFiles(peer: string, id: string, signal: AbortSignal): Promise<unknown>;
  /** What `BackupCopies.open` opens over there. */
  openFile(peer: string, id: string, path: string, signal: AbortSignal): Promise<Readable>;
}

export interface OpenedFile {
  readonly bytes: number;
  readonly stream: Readable;
}

export interface CopyProgress {
  readonly bytes: number;
  readonly bytesTotal: number;
}

export interface PullOptions {
  readonly peer: string;
  readonly id: string;
  readonly signal: AbortSignal;
  readonly onProgress?: (progress: CopyProgress) => void;
}

/** A connection may break; a file that comes broken so often is broken. */
const ATTEMPTS_MAX = 3;

export class BackupCopies {
  readonly #catalogue: BackupCatalogue;
  readonly #peers: BackupPeers;
  /** Of the copy under way; the next one begins after it. */
  #last: Promise<unknown> = Promise.resolve();

  constructor(catalogue: BackupCatalogue, peers: BackupPeers) {
    this.#catalogue = catalogue;
    this.#peers = peers;
  }

  /** What a backup consists of, with its own description. */
  async files(id: string): Promise<StoredList> {
    const lease = await this.#catalogue.lease(id);
    try {
      const directory = lease.chain[0]?.directory ?? '';
      const { directories, files } = await this.#catalogue.listOf(id);
      const signal = new AbortController().signal;
      const own = await hashFiles(directory, [FILES, DESCRIPTION], signal);
      return { directories, files: [...files, ...own.values()] };
    } finally {
      lease.release();
    }
  }

  /** A file that `files` names; null for anything else. The backup is in use until it is read. */
  async open(id: string, path: string): Promise<OpenedFile | null> {
    if (!isInnerPath(path)) return null;
    const lease = await this.#catalogue.lease(id);
    try {
      const directory = lease.chain[0]?.directory ?? '';
      const isListed = [FILES, DESCRIPTION].includes(path) || (await this.#lists(id, path));
      const opened = isListed ? await openInside(directory, path) : null;
      if (opened === null) lease.release();
      else opened.stream.once('close', () => lease.release());
      return opened;
    } catch (error) {
      lease.release();
      throw error;
    }
  }

  /** What a peer says of one of its backups. */
  async describe(peer: string, id: string, signal: AbortSignal): Promise<Backup> {
    return this.#parsed(id, await text(await this.#peers.openFile(peer, id, DESCRIPTION, signal)));
  }

  /**
   * Copies a backup of a peer into the own archive, durable when this returns; when it throws,
   * nothing of it is left. One at a time; of one that is there already nothing is asked.
   */
  async pull(options: PullOptions): Promise<CataloguedBackup> {
    const before = this.#last;
    const own = (async (): Promise<CataloguedBackup> => {
      await before.catch(() => undefined);
      return await this.#pull(options);
    })();
    this.#last = own;
    return await own;
  }

  async #pull(options: PullOptions): Promise<CataloguedBackup> {
    const { peer, id, signal } = options;
    const existing = await this.#catalogue.find(id);
    if (existing !== null) return existing;
    try {
      signal.throwIfAborted();
      const list = parseStoredList(await this.#peers.listFiles(peer, id, signal));
      if (typeof list === 'string') throw damaged(`its list of files cannot be used: ${list}`);
      await requireRoom(this.#catalogue.directory, {
        what: `copying backup ${id} from ${peer}`,
        where: 'the archive volume',
        bytes: bytesOf(list.files),
        advice: 'Make the volume larger, or let go of old backups',
      });
      return await this.#catalogue.within('copy', id, async (directory) => {
        const description = list.files.find(({ path }) => path === DESCRIPTION);
        if (description === undefined) throw damaged(`${DESCRIPTION} is not in its list of files`);
        await this.#copyFile(directory, description, options);
        const backup = await this.#describe(directory, id);
        await this.#copyAll(directory, list, options);
        const copied = readStoredList(await readFile(join(directory, FILES), 'utf8'));
        if (typeof copied === 'string') throw damaged(`${FILES} cannot be used: ${copied}`);
        return await this.#catalogue.commit(directory, backup, copied);
      });
    } catch (error) {
      signal.throwIfAborted();
      throw explainBackupFailure(error, `copying backup ${id} from ${peer}`);
    }
  }

  async #copyAll(
    directory: string,
    { directories, files }: StoredList,
    options: PullOptions,
  ): Promise<void> {
    const bytesTotal = bytesOf(files);
    const folders = new Set([...directories, ...files.map(({ path }) => dirname(path))]);
    for (const folder of folders) {
      await mkdir(join(directory, folder), { recursive: true, mode: 0o700 });
    }
    let bytes = 0;
    for (const file of files) {
      if (file.path !== DESCRIPTION) await this.#copyFile(directory, file, options);
      bytes += file.bytes;
      options.onProgress?.({ bytes, bytesTotal });
    }
    for (const folder of [...folders, '.']) await syncDirectory(join(directory, folder));
  }

  async #copyFile(directory: string, file: ListedFile, options: PullOptions): Promise<void> {
    const { peer, id, signal } = options;
    for (let attempt = 1; ; attempt += 1) {
      signal.throwIfAborted();
      try {
        const stream = await this.#peers.openFile(peer, id, file.path, signal);
        await receive(stream, join(directory, file.path), { file, signal });
        return;
      } catch (error) {
        if (attempt === ATTEMPTS_MAX || isOwnTrouble(error)) throw error;
      }
    }
  }

  /** Only what describes itself as this backup, of this database, is worth the copying. */
  #parsed(id: string, description: string): Backup {
    const backup = parseBackup(description);
    if (typeof backup === 'string') throw damaged(`${DESCRIPTION} cannot be used: ${backup}`);
    if (backup.id !== id) throw damaged(`it calls itself ${backup.id}`);
    if (backup.systemIdentifier !== this.#catalogue.systemIdentifier) {
      throw damaged(`it is of another database, ${backup.systemIdentifier}`);
    }
    return backup;
  }

  async #describe(directory: string, id: string): Promise<Backup> {
    const backup = this.#parsed(id, await readFile(join(directory, DESCRIPTION), 'utf8'));
    if (backup.parent !== null && (await this.#catalogue.find(backup.parent)) === null) {
      const because = `it holds the changes to ${backup.parent}, which is not here: copy that first`;
      throw new OperatingError('refused', 'ParentMissing', because);
    }
    return backup;
  }

  async #lists(id: string, path: string): Promise<boolean> {
    return (await this.#catalogue.listOf(id)).files.some((file) => file.path === path);
  }
}

/** Opens a file that lies below a directory, whatever links were put there. */
async function openInside(directory: string, path: string): Promise<OpenedFile | null> {
  const real = await realpath(join(directory, path)).catch(() => null);
  if (real !== join(await realpath(directory), path) || real.endsWith(sep)) return null;
  const file = await open(real, constants.O_RDONLY | constants.O_NOFOLLOW);
  const { size: bytes } = await file.stat();
  return { bytes, stream: file.createReadStream({ highWaterMark: 1024 * 1024 }) };
}

/** Durable, and exactly what the list says, when this returns. */
async function receive(
  stream: Readable,
  path: string,
  { file, signal }: { readonly file: ListedFile; readonly signal: AbortSignal },
): Promise<void> {
  const hash = createHash('sha256');
  let bytes = 0;
  const target = await open(path, 'w', 0o600);
  const breakOff = (): unknown => stream.destroy(signal.reason as Error);
  signal.addEventListener('abort', breakOff, { once: true });
  try {
    for await (const chunk of stream as AsyncIterable<Buffer>) {
      bytes += chunk.length;
      if (bytes > file.bytes) break;
      hash.update(chunk);
      await target.writeFile(chunk);
    }
    signal.throwIfAborted();
    await target.sync();
  } finally {
    signal.removeEventListener('abort', breakOff);
    stream.destroy();
    await target.close();
  }
  if (bytes === file.bytes && hash.digest('hex') === file.sha256) return;
  throw damaged(`${file.path} came as something else than was written when the backup was taken`);
}

const damaged = (because: string): OperatingError =>
  new OperatingError('refused', 'CopyDamaged', because);

/** Of the own disk: asking again does not help. */
const isOwnTrouble = (error: unknown): boolean =>
  ['ENOSPC', 'EDQUOT', 'EROFS', 'EIO'].includes((error as NodeJS.ErrnoException).code ?? '') ||
  /no space left/i.test(messageOf(error));
