/**
 * The clusters' history on this operator's own volume, for longer than the store keeps it: a file of JSON
 * lines for each cluster, and the one before it. It is for people: nothing is decided by it, and a
 * volume that is full or gone stops nothing.
 */
import { appendFile, mkdir, readFile, rename, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { messageOf } from '../core/errors';
import { keyOfEntry, type HistoryEntry } from '../core/history';
import { type Log } from '../adapters/log';

export interface Journal {
  /** Adds those that it has not yet, some time soon. */
  readonly add: (cluster: string, entries: readonly HistoryEntry[]) => void;
  /** Oldest first, the newest of those since then (ISO 8601; empty: all). */
  readonly read: (cluster: string, since: string) => Promise<readonly HistoryEntry[]>;
}

/** A file is followed by a new one at this size; a decision takes some 300 bytes. */
const FILE_BYTES_MAX = 4 * 1024 * 1024;
/** An answer to the CLI is no larger. */
const ENTRIES_READ_MAX = 5_000;

/** As much as the store has is offered again by every new leader. */
const KEYS_MAX = 1_000;

export class FileJournal implements Journal {
  readonly #folder: string;
  readonly #log: Log;
  /** Writing is one after the other, for each cluster. */
  readonly #writes = new Map<string, Promise<void>>();
  readonly #keys = new Map<string, Set<string>>();
  /** To whose files this journal has added whole lines last. */
  readonly #written = new Set<string>();
  #trouble: string | null = null;

  constructor(folder: string, log: Log) {
    this.#folder = folder;
    this.#log = log;
  }

  add(cluster: string, entries: readonly HistoryEntry[]): void {
    const before = this.#writes.get(cluster) ?? Promise.resolve();
    this.#writes.set(
      cluster,
      before.then(() => this.#append(cluster, entries)),
    );
  }

  async read(cluster: string, since: string): Promise<readonly HistoryEntry[]> {
    await this.#writes.get(cluster);
    try {
      const entries = await this.#entries(cluster);
      return entries.filter(({ at }) => at >= since).slice(-ENTRIES_READ_MAX);
    } catch (error) {
      this.#complain(messageOf(error));
      return [];
    }
  }

  async #append(cluster: string, entries: readonly HistoryEntry[]): Promise<void> {
    try {
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
    } catch (error) {
      this.#complain(messageOf(error));
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
