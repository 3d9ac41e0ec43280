/**
 * The backups of one database system on one archive volume:
 *
 *     <system identifier>/
 *       backups/<id>/
 *         backup.json      what it is
 *         files.json       what it consists of
 *         data/            plain: the data directory; tar: base.tar, pg_wal.tar, backup_manifest
 *         configuration/   settings and pg_hba.conf, to be read without unpacking anything
 *         verified.json    what was found when it was last checked
 *       incoming/          what is not whole yet, or is being thrown away
 *
 * A backup is written in `incoming` and renamed when all of it is durable. It is renamed back there
 * before it is thrown away. So what is in `backups` is whole, whenever one looks.
 */
import { mkdir, readdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { readText, syncDirectory, writeDurably } from '../../adapters/postgres/durable-files';
import { type Backup, type CataloguedBackup, type Verification } from '../../core/backup/backup';
import { parseBackup, parseVerification } from '../../core/backup/backup-json';
import { isBackupId } from '../../core/backup/names';
import { readStoredList, type StoredList } from '../../core/backup/stored-list';
import { messageOf, OperatingError } from '../../core/errors';

export const DATA = 'data';
export const CONFIGURATION = 'configuration';
export const DESCRIPTION = 'backup.json';
export const FILES = 'files.json';
/** In `data`: what PostgreSQL has put into it. */
export const MANIFEST = 'backup_manifest';
const VERIFIED = 'verified.json';
const BACKUPS = 'backups';
const INCOMING = 'incoming';
const REMOVED = 'removed';
/** What backups leave in `incoming`; the rest is the WAL archive's. */
const OURS = /^(backup|copy|verify|restore|removed)-/;

/** A folder that cannot be taken for a backup. */
export interface BrokenBackup {
  readonly id: string;
  readonly problem: string;
}

export interface Listing {
  /** Sorted by id, which is by time. */
  readonly backups: readonly CataloguedBackup[];
  readonly broken: readonly BrokenBackup[];
}

export interface StoredBackup {
  readonly backup: CataloguedBackup;
  readonly directory: string;
}

/** While it is held, none of these backups is removed. */
export interface Lease {
  /** The oldest, which is a full backup, first. */
  readonly chain: readonly StoredBackup[];
  readonly release: () => void;
}

export interface CatalogueOptions {
  /** Where the archive volume is mounted. */
  readonly volume: string;
  readonly systemIdentifier: string;
}

/** What is done in `incoming`: `backup-<id>`, `copy-<id>`, `verify-<id>`, `restore-<id>`. */
export type Purpose = 'backup' | 'copy' | 'verify' | 'restore';

export class BackupCatalogue {
  readonly systemIdentifier: string;
  readonly #directory: string;
  /** How often each of them is in use. */
  readonly #leases = new Map<string, number>();
  readonly #removing = new Set<string>();
  readonly #working = new Set<string>();

  /** Makes the directories; throws away what was cut short. Once, before anything else is done. */
  static async open(options: CatalogueOptions): Promise<BackupCatalogue> {
    const catalogue = new BackupCatalogue(options);
    await catalogue.#prepare();
    return catalogue;
  }

  /** Of another server, which may be at work in it: only to be read. */
  static view(options: CatalogueOptions): BackupCatalogue {
    return new BackupCatalogue(options);
  }

  private constructor({ volume, systemIdentifier }: CatalogueOptions) {
    this.systemIdentifier = systemIdentifier;
    this.#directory = join(volume, systemIdentifier);
  }

  /** Where there must be room. */
  get directory(): string {
    return this.#directory;
  }

  /** Ids of those that are read just now. */
  get inUse(): readonly string[] {
    return [...this.#leases.keys()];
  }

  async list(): Promise<Listing> {
    const names = (await readdir(join(this.#directory, BACKUPS)).catch(noneYet)).toSorted();
    const read = await Promise.all(names.map(async (id) => await this.#read(id)));
    return {
      backups: read.filter((each) => 'method' in each),
      broken: read.filter((each) => 'problem' in each),
    };
  }

  /** null when there is no folder of that name; throws `BackupBroken` when it is of no use. */
  async find(id: string): Promise<CataloguedBackup | null> {
    if (!(await this.#has(id))) return null;
    const found = await this.#read(id);
    if ('method' in found) return found;
    const message = `backup ${id} cannot be used: ${found.problem}. Remove it, and take another one`;
    throw new OperatingError('refused', 'BackupBroken', message);
  }

  async get(id: string): Promise<CataloguedBackup> {
    const found = await this.find(id);
    if (found !== null) return found;
    throw unknownBackup(id, this.#directory);
  }

  /** Keeps a backup from being removed while it is read. */
  async lease(id: string): Promise<Lease> {
    return await this.#holding(async (hold) => [await hold(id)]);
  }

  /** Keeps a backup, and all those that it holds the changes to, from being removed. */
  async leaseChain(id: string): Promise<Lease> {
    return await this.#holding(async (hold) => {
      const chain: StoredBackup[] = [];
      for (let next: string | null = id; next !== null;) {
        const stored = await hold(next);
        if (chain.some(({ directory }) => directory === stored.directory)) {
          const message = `backup ${id} is said to be its own ancestor: it cannot be restored`;
          throw new OperatingError('refused', 'BackupBroken', message);
        }
        chain.unshift(stored);
        next = stored.backup.parent;
      }
      return chain;
    });
  }

  /** Also of one that is broken. Refused while it is in use, or others are of no use without it. */
  async remove(id: string): Promise<void> {
    if (!(await this.#has(id))) return;
    const children = (await this.list()).backups.filter(({ parent }) => parent === id);
    const refuse = (code: string, because: string): never => {
      throw new OperatingError('refused', code, `removing backup ${id}: ${because}`);
    };
    if (children.length > 0) {
      const names = children.map((each) => each.id).join(', ');
      refuse('BackupNeeded', `${names} cannot be restored without it. Remove that first`);
    }
    // From here to the rename nobody can begin to use it.
    if (this.#leases.has(id)) {
      refuse(
        'BackupInUse',
        'it is being restored, checked or copied. Try again when that has ended',
      );
    }
    if (this.#removing.has(id)) return;
    this.#removing.add(id);
    const removed = this.#incoming(`${REMOVED}-${id}`);
    try {
      await rm(removed, { recursive: true, force: true });
      await rename(this.#folder(id), removed);
      await this.#syncNames();
    } finally {
      this.#removing.delete(id);
    }
    await rm(removed, { recursive: true, force: true });
  }

  /** Lends an empty directory of `incoming`; whatever is in it at the end is thrown away. */
  async within<T>(
    purpose: Purpose,
    id: string,
    work: (directory: string) => Promise<T>,
  ): Promise<T> {
    demandId(id);
    const name = `${purpose}-${id}`;
    if (this.#working.has(name)) {
      const message = `${purpose} of ${id} is under way already: wait for it to end`;
      throw new OperatingError('refused', 'BackupBusy', message);
    }
    this.#working.add(name);
    const directory = this.#incoming(name);
    try {
      await rm(directory, { recursive: true, force: true });
      await mkdir(directory, { mode: 0o700 });
      return await work(directory);
    } finally {
      // What cannot be removed now is removed at the next start; it is never taken for whole.
      await rm(directory, { recursive: true, force: true }).catch(() => undefined);
      this.#working.delete(name);
    }
  }

  /**
   * Makes a backup of what lies in a directory that was lent by `within`, durable but for the names
   * in the directory itself.
   */
  async commit(directory: string, backup: Backup, list: StoredList): Promise<CataloguedBackup> {
    await writeDurably(join(directory, FILES), `${JSON.stringify(list)}\n`);
    await writeDurably(join(directory, DESCRIPTION), `${JSON.stringify(backup, null, 2)}\n`);
    await rename(directory, this.#folder(backup.id));
    await this.#syncNames();
    return { ...backup, verification: null };
  }

  async noteVerification(id: string, verification: Verification): Promise<void> {
    const text = `${JSON.stringify(verification, null, 2)}\n`;
    await writeDurably(join(this.#folder(id), VERIFIED), text);
  }

  /** What the backup must consist of. */
  async listOf(id: string): Promise<StoredList> {
    const text = await readText(join(this.#folder(id), FILES));
    const list = text === null ? 'it is missing' : readStoredList(text);
    if (typeof list !== 'string') return list;
    const message = `${FILES} of backup ${id} cannot be used: ${list}`;
    throw new OperatingError('refused', 'BackupBroken', message);
  }

  async #prepare(): Promise<void> {
    for (const name of [BACKUPS, INCOMING]) {
      await mkdir(join(this.#directory, name), { recursive: true, mode: 0o700 });
    }
    for (const name of await readdir(join(this.#directory, INCOMING))) {
      if (!OURS.test(name)) continue;
      // Renamed first: a program that outlived its manager finds nowhere to write to.
      const removed = name.startsWith(`${REMOVED}-`) ? name : `${REMOVED}-${name}`;
      await rename(this.#incoming(name), this.#incoming(removed));
      await rm(this.#incoming(removed), { recursive: true, force: true, maxRetries: 3 });
    }
    await this.#syncNames();
    await syncDirectory(this.#directory);
  }

  async #has(id: string): Promise<boolean> {
    demandId(id);
    return (await readdir(join(this.#directory, BACKUPS))).includes(id);
  }

  async #read(id: string): Promise<CataloguedBackup | BrokenBackup> {
    try {
      const text = await readText(join(this.#folder(id), DESCRIPTION));
      if (text === null) return { id, problem: `${DESCRIPTION} is missing` };
      const backup = parseBackup(text);
      if (typeof backup === 'string') return { id, problem: `${DESCRIPTION}: ${backup}` };
      if (backup.id !== id) return { id, problem: `${DESCRIPTION} is that of ${backup.id}` };
      if (backup.systemIdentifier !== this.systemIdentifier) {
        return { id, problem: `it is of another database, ${backup.systemIdentifier}` };
      }
      const verified = await readText(join(this.#folder(id), VERIFIED));
      return { ...backup, verification: verified === null ? null : parseVerification(verified) };
    } catch (error) {
      return { id, problem: messageOf(error) };
    }
  }

  async #holding(
    find: (hold: (id: string) => Promise<StoredBackup>) => Promise<readonly StoredBackup[]>,
  ): Promise<Lease> {
    const held: string[] = [];
    const release = (): void => held.splice(0).forEach((id) => this.#letGo(id));
    const hold = async (id: string): Promise<StoredBackup> => {
      if (this.#removing.has(id)) throw unknownBackup(id, this.#directory);
      // Counted before it is looked for: what is found stays.
      this.#leases.set(id, (this.#leases.get(id) ?? 0) + 1);
      held.push(id);
      return { backup: await this.get(id), directory: this.#folder(id) };
    };
    try {
      return { chain: await find(hold), release };
    } catch (error) {
      release();
      throw error;
    }
  }

  #letGo(id: string): void {
    const left = (this.#leases.get(id) ?? 0) - 1;
    if (left > 0) this.#leases.set(id, left);
    else this.#leases.delete(id);
  }

  async #syncNames(): Promise<void> {
    await syncDirectory(join(this.#directory, BACKUPS));
    await syncDirectory(join(this.#directory, INCOMING));
  }

  #folder(id: string): string {
    demandId(id);
    return join(this.#directory, BACKUPS, id);
  }

  #incoming(name: string): string {
    return join(this.#directory, INCOMING, name);
  }
}

/** In an archive in which no backup was ever taken there is no folder for them. */
function noneYet(error: unknown): readonly string[] {
  if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
  throw error;
}

const unknownBackup = (id: string, directory: string): OperatingError =>
  new OperatingError('refused', 'BackupUnknown', `there is no backup ${id} in ${directory}`);

function demandId(id: string): void {
  if (isBackupId(id)) return;
  const message = `${JSON.stringify(id)} is no name of a backup`;
  throw new OperatingError('refused', 'BackupUnknown', message);
}
