/**
 * The clusters' history on this operator's own volume, for longer than the store keeps it: a file of JSON
 * lines for each cluster, and the one before it. It is for people: nothing is decided by it, and a
 * volume that is full, gone or hangs stops nothing.
 */
import { appendFile, mkdir, readdir, readFile, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { messageOf, OperatingError } from '../core/errors';
import { keyOfEntry, type HistoryEntry } from '../core/history';
import { type Log } from '../adapters/log';

export interface Journal {
  /** Adds those that it has not yet, some time soon. */
  readonly add: (cluster: string, entries: readonly HistoryEntry[]) => void;
  /** Oldest first, the newest of those since then (ISO 8601; empty: all). Rejects in good time. */
  readonly read: (cluster: string, since: string) => Promise<readonly HistoryEntry[]>;
  /** Removes what there is of other clusters than these, some time after they have gone. */
  readonly tidy: (clusters: readonly string[]) => void;
}

/** A file is followed by a new one at this size; a decision takes some 300 bytes. */
const FILE_BYTES_MAX = 4 * 1024 * 1024;
/** An answer to the CLI is no larger. */
const ENTRIES_READ_MAX = 5_000;

/** As much as the store has is offered again by every new leader. */
const KEYS_MAX = 1_000;

/** The CLI waits for 4 s, and has the store's part to tell meanwhile. */
const READ_MS = 2_000;
/** What a volume that hangs has not taken by then is left to the store. */
const WAITING_MAX = 100;

const DAY_MS = 86_400_000;
const TIDY_EVERY_MS = DAY_MS;
/** Who has deleted a cluster may want to know why for so long after its last event. */
const KEPT_MS = 30 * DAY_MS;
const FILE = /^(?<cluster>[^.]+)\.jsonl(\.1)?$/;

export class FileJournal implements Journal {
  readonly #folder: string;
  readonly #log: Log;
  /** The last of those that wait for each other. */
  #last: Promise<unknown> = Promise.resolve();
  #waiting = 0;
  #tidiedAtMs = 0;
  readonly #keys = new Map<string, Set<string>>();
  /** To whose files this journal has added whole lines last. */
  readonly #written = new Set<string>();
  #trouble: string | null = null;

  constructor(folder: string, log: Log) {
    this.#folder = folder;
    this.#log = log;
  }

  add(cluster: string, entries: readonly HistoryEntry[]): void {
    this.#inTurn(() => this.#append(cluster, entries)).catch((error: unknown) => {
      this.#complain(messageOf(error));
    });
  }

  async read(cluster: string, since: string): Promise<readonly HistoryEntry[]> {
    let isAwaited = true;
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      const because = new Error(`nothing came from its disk within ${READ_MS / 1000} s`);
      timer = setTimeout(() => reject(because), READ_MS);
    });
    try {
      const read = this.#inTurn(() => (isAwaited ? this.#entries(cluster) : NOTHING));
      const entries = await Promise.race([read, late]);
      return entries.filter(({ at }) => at >= since).slice(-ENTRIES_READ_MAX);
    } catch (error) {
      this.#complain(messageOf(error));
      const text = `the history on the leading operator's volume cannot be read: ${messageOf(error)}`;
      throw new OperatingError('transient', 'HistoryUnreadable', text, error);
    } finally {
      isAwaited = false;
      clearTimeout(timer);
    }
  }

  tidy(clusters: readonly string[]): void {
    const nowMs = Date.now();
    if (nowMs - this.#tidiedAtMs < TIDY_EVERY_MS) return;
    this.#tidiedAtMs = nowMs;
    this.#inTurn(() => this.#removeOld(new Set(clusters), nowMs - KEPT_MS)).catch(
      (error: unknown) => this.#complain(messageOf(error)),
    );
  }

  /**
   * One thing after the other, of all clusters: a disk that hangs holds one of the few threads that the
   * program has for files and for names of hosts, and not all of them.
   */
  async #inTurn<T>(work: () => Promise<T>): Promise<T> {
    if (this.#waiting >= WAITING_MAX) throw new Error('its disk does not answer');
    this.#waiting += 1;
    const done = this.#last.then(work).finally(() => (this.#waiting -= 1));
    this.#last = done.catch(() => undefined);
    return done;
  }

  async #append(cluster: string, entries: readonly HistoryEntry[]): Promise<void> {
    const keys = this.#keys.get(cluster) ?? (await this.#open(cluster));
    const news = entries.filter((entry) => !keys.has(keyOfEntry(entry)));
    if (news.length === 0) return;
    await this.#turnPage(cluster);
    const lines = news.map((entry) => `${JSON.stringify(entry)}\n`).join('');
    // The last line may have been cut short, by a crash or a full volume: what follows is not part of it.
    const start = this.#written.has(cluster) ? '' : '\n';
    this.#written.delete(cluster);
    await appendFile(this.#file(cluster), `${start}${lines}`, { mode: 0o600 });
    this.#written.add(cluster);
    for (const entry of news) keys.add(keyOfEntry(entry));
    this.#keys.set(cluster, new Set([...keys].slice(-KEYS_MAX)));
    this.#trouble = null;
  }

  async #removeOld(clusters: ReadonlySet<string>, beforeMs: number): Promise<void> {
    await mkdir(this.#folder, { recursive: true, mode: 0o700 });
    for (const name of await readdir(this.#folder)) {
      const cluster = FILE.exec(name)?.groups?.['cluster'];
      if (cluster === undefined || clusters.has(cluster)) continue;
      const file = join(this.#folder, name);
      if ((await stat(file)).mtimeMs < beforeMs) await rm(file);
    }
  }

  async #open(cluster: string): Promise<Set<string>> {
    await mkdir(this.#folder, { recursive: true, mode: 0o700 });
    return new Set((await this.#entries(cluster)).slice(-KEYS_MAX).map(keyOfEntry));
  }

  async #entries(cluster: string): Promise<readonly HistoryEntry[]> {
    const files = [`${this.#file(cluster)}.1`, this.#file(cluster)];
    return (await Promise.all(files.map(readEntries))).flat();
  }

  async #turnPage(cluster: string): Promise<void> {
    const file = this.#file(cluster);
    if ((await bytesOf(file)) >= FILE_BYTES_MAX) await rename(file, `${file}.1`);
  }

  #complain(message: string): void {
    if (message !== this.#trouble) {
      const fields = { folder: this.#folder, message };
      this.#log.warn(
        'the history cannot be kept on this volume; the store keeps the newest',
        fields,
      );
    }
    this.#trouble = message;
  }

  #file(cluster: string): string {
    return join(this.#folder, `${cluster}.jsonl`);
  }
}

const NOTHING: Promise<readonly HistoryEntry[]> = Promise.resolve([]);

async function bytesOf(file: string): Promise<number> {
  try {
    return (await stat(file)).size;
  } catch (error) {
    if (isMissing(error)) return 0;
    throw error;
  }
}

/** A line that a crash has cut short is left out. */
async function readEntries(file: string): Promise<readonly HistoryEntry[]> {
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (error) {
    if (isMissing(error)) return [];
    throw error;
  }
  return text.split('\n').flatMap((line) => {
    try {
      return line === '' ? [] : [JSON.parse(line) as HistoryEntry];
    } catch {
      return [];
    }
  });
}

const isMissing = (error: unknown): boolean => (error as NodeJS.ErrnoException).code === 'ENOENT';
