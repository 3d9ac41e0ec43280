/** Dumps that this server is told to load while it is primary: each once, whatever becomes of it. */
import { type Log } from '../../adapters/log';
import { type LoadOrder, type LoadWork } from '../../core/backup/load';
import { messageOf } from '../../core/errors';
import { type Machine } from '../../core/settings';
import { type BackupCatalogue } from './catalogue';
import { loadDump } from './load-dump';

export interface LoadsOptions {
  readonly machine: Machine;
  readonly binDirectory: string;
  readonly catalogue: () => Promise<BackupCatalogue>;
  readonly log: Log;
}

export class Loads {
  readonly #options: LoadsOptions;
  readonly #closed = new AbortController();
  #work: LoadWork | null = null;

  constructor(options: LoadsOptions) {
    this.#options = options;
  }

  get work(): LoadWork | null {
    return this.#work;
  }

  /** One that is under way is never given up for another one: it would leave a part of a database. */
  obey(order: LoadOrder | null): void {
    if (order === null || order.id === this.#work?.id || this.#work?.state === 'running') return;
    void this.#carryOut(order);
  }

  close(): void {
    this.#closed.abort();
  }

  async #carryOut(order: LoadOrder): Promise<void> {
    const { machine, binDirectory, catalogue, log } = this.#options;
    const { id, backup, database } = order;
    const say = (state: LoadWork['state'], words: string): void => {
      this.#work = { id, state, words };
    };
    log.info('Loading a dump begins', { backup, database });
    say('running', 'it begins');
    try {
      await loadDump(order, {
        catalogue: await catalogue(),
        machine,
        binDirectory,
        signal: this.#closed.signal,
        onProgress: (words) => say('running', words),
      });
      say('done', 'loaded');
      log.info('A dump has been loaded', { backup, database });
    } catch (error) {
      say('failed', messageOf(error));
      log.error('A dump could not be loaded', { backup, database, error: messageOf(error) });
    }
  }
}
