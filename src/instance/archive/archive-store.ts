/**
 * The archive of one database system on one volume:
 *
 *     <system identifier>/
 *       wal/<folder>/<file>-<hash>[.zst|.lz4|.gz]
 *       incoming/     what is not whole yet; emptied whenever the archive is opened
 *       corrupt/      what is not what its name says, for people to look at
 *
 * A file is written to `incoming`, synced, renamed, and its directory synced, before anybody hears
 * that it is there. So a crash at any instant leaves it whole or absent.
 */
import { mkdir, open, readdir, rename, rm, stat, statfs, type FileHandle } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { syncDirectory } from '../../adapters/postgres/durable-files';
import {
  folderOf,
  nameHash,
  renderStoredFile,
  type Compression,
  type StoredFile,
} from '../../core/archive/stored-files';
import { renderWalFile, type WalFile } from '../../core/archive/wal-files';
import { OperatingError } from '../../core/errors';
import { Catalogue } from './catalogue';
import { copyDigestingInput, digestOf } from './copy';
import { expand } from './expand';
import { compressing } from './filters';
import {
  ARCHIVE_GONE,
  archiveGone,
  errnoOf,
  explainVolumeTrouble,
  isReading,
} from './volume-troubles';

export interface ArchiveStoreOptions {
  /** Where the archive volume is mounted. */
  readonly volume: string;
  readonly systemIdentifier: string;
  readonly segmentBytes: number;
  /** Of what is stored from now on; must be one of `availableCompressions()`. */
  readonly compression: Compression;
  /** Another server's: nothing is made, tidied or put aside. */
  readonly isReadOnly?: boolean;
  /**
   * Whether one server may rightly have several files of that name: the last segment of a timeline
   * that was left ends differently on every server, and a rewind brings another server's.
   */
  readonly mayDiffer: (file: WalFile) => boolean;
  /** A file was found to be corrupt, and put aside. */
  readonly onCorrupt: (stored: StoredFile, because: string) => void;
}

export interface ArchiveSpace {
  readonly totalBytes: number;
  readonly freeBytes: number;
}

const WAL = 'wal';
const INCOMING = 'incoming';
const CORRUPT = 'corrupt';

export class ArchiveStore {
  readonly directory: string;
  compression: Compression;
  readonly #options: ArchiveStoreOptions;
  #catalogue = new Catalogue();
  /** Null when the directories are to be read again before they are used. */
  #opening: Promise<void> | null = null;
  #wasOpened = false;
  /** Folders whose own names are known to be durable. */
  readonly #folders = new Set<string>();
  /** What is being done with each file; the next one waits for it. */
  readonly #busy = new Map<string, Promise<unknown>>();
  /** What is being written to `incoming`. */
  readonly #writing = new Set<Promise<void>>();
  #puts = 0;
  #readings = 0;

  constructor(options: ArchiveStoreOptions) {
    this.#options = options;
    this.directory = join(options.volume, options.systemIdentifier);
    this.compression = options.compression;
  }

  /** Reads what is there. What is called before does this first. */
  async open(): Promise<void> {
    await this.#explaining('opening it', async () => await this.#opened());
  }

  /**
   * Stores what is at `path`; `present` when the same bytes were stored before. Throws
   * `ArchiveConflict` when other bytes are stored under this name.
   */
  async put(file: WalFile, path: string): Promise<'stored' | 'present'> {
    const name = renderWalFile(file);
    return await this.#alone(name, async () => {
      const source = await openSource(path);
      try {
        return await this.#explaining(`storing ${name}`, async () => {
          await this.#opened();
          return await this.#putOpened(file, source, path);
        });
      } finally {
        await source.close();
      }
    });
  }

  /**
   * Writes a file to `destination`, which appears when it is whole and has been checked; false when
   * the archive does not have it. A corrupt one is put aside: it counts as one that is missing.
   */
  async get(file: WalFile, destination: string): Promise<boolean> {
    return await this.#explaining(`reading ${renderWalFile(file)}`, async () => {
      await this.#opened();
      for (const stored of this.#catalogue.find(file)) {
        if (await this.#expand(stored, destination)) return true;
      }
      return false;
    });
  }

  has(file: WalFile): boolean {
    return this.#catalogue.find(file).length > 0;
  }

  /** The stored bytes of a file, for a peer that wants them; null when there are none. */
  locate(file: WalFile): { readonly stored: StoredFile; readonly path: string } | null {
    const [stored] = this.#catalogue.find(file);
    return stored === undefined ? null : { stored, path: this.#pathOf(stored) };
  }

  /** Since when this volume has a file, in milliseconds since 1970; null when it has none. */
  async storedAtMs(file: WalFile): Promise<number | null> {
    const path = this.locate(file)?.path;
    if (path === undefined) return null;
    return await stat(path).then(
      ({ mtimeMs }) => mtimeMs,
      () => null,
    );
  }

  /** Another one whenever there are other files. */
  get revision(): string {
    return `${this.#readings}.${this.#catalogue.changes}`;
  }

  /** Everything that is stored: segments in the order of their names, then histories. */
  files(): Generator<StoredFile> {
    return this.#catalogue.files();
  }

  /** Deletes a file. That it is gone is not made durable: it does no harm when it comes back. */
  async remove(file: WalFile): Promise<void> {
    const name = renderWalFile(file);
    await this.#alone(name, async () => {
      await this.#explaining(`deleting ${name}`, async () => {
        await this.#opened();
        for (const stored of this.#catalogue.find(file)) {
          await rm(this.#pathOf(stored), { force: true });
          this.#catalogue.remove(stored);
        }
      });
    });
  }

  async space(): Promise<ArchiveSpace> {
    return await this.#explaining('looking for its free space', async () => {
      const { blocks, bavail, bsize } = await statfs(this.directory);
      return { totalBytes: blocks * bsize, freeBytes: bavail * bsize };
    });
  }

  async #opened(): Promise<void> {
    this.#opening ??= this.#read().catch((error: unknown) => {
      this.#opening = null;
      throw error;
    });
    await this.#opening;
  }

  async #read(): Promise<void> {
    // A directory that has disappeared is not made anew: what is mounted there now may be anything.
    if (this.#wasOpened && !(await isThere(this.directory))) throw archiveGone(this.directory);
    await Promise.allSettled(this.#writing);
    if (this.#options.isReadOnly !== true) await this.#prepare();
    this.#folders.clear();
    this.#catalogue = await Catalogue.read(join(this.directory, WAL), this.#options.isReadOnly);
    this.#readings += 1;
    this.#wasOpened = true;
  }

  async #prepare(): Promise<void> {
    for (const name of [WAL, INCOMING, CORRUPT]) {
      await mkdir(join(this.directory, name), { recursive: true, mode: 0o700 });
    }
    await syncDirectory(this.directory);
    await syncDirectory(dirname(this.directory));
    await this.#clearIncoming();
  }

  /** What is left there does no harm: a volume that cannot be written can still be read. */
  async #clearIncoming(): Promise<void> {
    const incoming = join(this.directory, INCOMING);
    for (const name of await readdir(incoming)) {
      await rm(join(incoming, name), { force: true }).catch(() => undefined);
    }
  }

  async #putOpened(file: WalFile, source: FileHandle, path: string): Promise<'stored' | 'present'> {
    try {
      if (await this.#isKnown(file, source, path)) return 'present';
      await this.#store(file, source);
      return 'stored';
    } catch (error) {
      throw isReading(error) ? unreadable(path, error) : error;
    }
  }

  async #store(file: WalFile, from: FileHandle): Promise<void> {
    const writing = this.#write(file, from);
    this.#writing.add(writing);
    try {
      await writing;
    } finally {
      this.#writing.delete(writing);
    }
  }

  async #write(file: WalFile, from: FileHandle): Promise<void> {
    this.#puts += 1;
    const temporary = join(this.directory, INCOMING, `${renderWalFile(file)}.${this.#puts}`);
    const { compression } = this;
    try {
      const sha256 = await writeSynced(temporary, from, compression);
      const stored = { file, hash: nameHash(sha256), compression };
      await this.#ensureFolder(folderOf(file));
      await rename(temporary, this.#pathOf(stored));
      await syncDirectory(dirname(this.#pathOf(stored)));
      this.#catalogue.add(stored);
    } catch (error) {
      await rm(temporary, { force: true }).catch(() => undefined);
      throw error;
    }
  }

  /** The same bytes are success: PostgreSQL asks again when it has not heard the answer. */
  async #isKnown(file: WalFile, source: FileHandle, path: string): Promise<boolean> {
    const known = this.#catalogue.find(file);
    if (known.length === 0) return false;
    const hash = nameHash((await digestOf(source)).sha256);
    const same = known.find((stored) => stored.hash === hash);
    if (same === undefined) {
      const others = await this.#stillThere(known);
      if (others.length === 0 || this.#options.mayDiffer(file)) return false;
      throw conflict(others, { path, hash, archive: this.directory });
    }
    if (!(await isThere(this.#pathOf(same)))) {
      this.#catalogue.remove(same);
      return false;
    }
    // Whoever stored it may have been killed before the name was durable.
    await syncDirectory(dirname(this.#pathOf(same)));
    return true;
  }

  /** A person may have moved one away, as the words of a conflict advise. */
  async #stillThere(known: readonly StoredFile[]): Promise<readonly StoredFile[]> {
    const found: StoredFile[] = [];
    for (const stored of known) {
      if (await isThere(this.#pathOf(stored))) found.push(stored);
      else this.#catalogue.remove(stored);
    }
    return found;
  }

  async #expand(stored: StoredFile, destination: string): Promise<boolean> {
    const { segmentBytes, onCorrupt } = this.#options;
    const path = this.#pathOf(stored);
    const because = await expand({ path, stored, destination, segmentBytes }).catch(
      async (error: unknown) => {
        if (errnoOf(error) !== 'ENOENT' || !(await isThere(this.directory))) throw error;
        return 'it has disappeared';
      },
    );
    if (because === null) return true;
    await this.#putAside(stored);
    onCorrupt(stored, because);
    return false;
  }

  /** Even if it cannot be moved, it is not asked for again. */
  async #putAside(stored: StoredFile): Promise<void> {
    this.#catalogue.remove(stored);
    if (this.#options.isReadOnly === true) return;
    const aside = join(this.directory, CORRUPT, renderStoredFile(stored));
    await rename(this.#pathOf(stored), aside).catch(() => undefined);
  }

  async #ensureFolder(folder: string): Promise<void> {
    if (this.#folders.has(folder)) return;
    const wal = join(this.directory, WAL);
    // Not recursive: when `wal` has disappeared, this is not the archive that was opened.
    await mkdir(join(wal, folder), { mode: 0o700 }).catch((error: unknown) => {
      if (errnoOf(error) !== 'EEXIST') throw error;
    });
    await syncDirectory(wal);
    this.#folders.add(folder);
  }

  async #alone<T>(name: string, work: () => Promise<T>): Promise<T> {
    const before = this.#busy.get(name) ?? Promise.resolve();
    const mine = before.then(work, work);
    this.#busy.set(name, mine);
    try {
      return await mine;
    } finally {
      if (this.#busy.get(name) === mine) this.#busy.delete(name);
    }
  }

  /** When something has disappeared, everything is looked at again before the next use. */
  async #explaining<T>(attempted: string, work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      const explained = explainVolumeTrouble(error, { attempted, archive: this.directory });
      if (explained instanceof OperatingError && explained.code === ARCHIVE_GONE) {
        this.#opening = null;
      }
      throw explained;
    }
  }

  #pathOf(stored: StoredFile): string {
    return join(this.directory, WAL, folderOf(stored.file), renderStoredFile(stored));
  }
}

/** Writes a new file and makes its content durable; the hash is of what was read. */
async function writeSynced(
  path: string,
  from: FileHandle,
  compression: Compression,
): Promise<string> {
  const to = await open(path, 'wx', 0o600);
  try {
    const { sha256 } = await copyDigestingInput({ from, to, filter: compressing(compression) });
    await to.sync();
    return sha256;
  } finally {
    await to.close();
  }
}

async function openSource(path: string): Promise<FileHandle> {
  try {
    return await open(path, 'r');
  } catch (error) {
    throw unreadable(path, error);
  }
}

const unreadable = (path: string, error: unknown): OperatingError =>
  new OperatingError(
    'transient',
    'WalFileUnreadable',
    `archiving ${path}: it cannot be read (${errnoOf(error) ?? 'unknown'}). Look at the data volume and the kernel's log.`,
    error,
  );

function conflict(
  known: readonly StoredFile[],
  {
    path,
    hash,
    archive,
  }: { readonly path: string; readonly hash: string; readonly archive: string },
): OperatingError {
  const names = known.map(renderStoredFile).join(', ');
  return new OperatingError(
    'refused',
    'ArchiveConflict',
    `archiving ${path}: its SHA-256 begins with ${hash}, but the archive ${archive} has other bytes under this name ` +
      `(${names}). Two servers have written different WAL: find out which of them belongs to this cluster, ` +
      'and move the stored file away if it is the wrong one. PostgreSQL keeps its own until then.',
  );
}

async function isThere(path: string): Promise<boolean> {
  return await stat(path).then(
    () => true,
    (error: unknown) => {
      if (errnoOf(error) === 'ENOENT') return false;
      throw error;
    },
  );
}
