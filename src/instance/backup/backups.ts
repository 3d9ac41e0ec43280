/**
 * The backups of this server: carries out the one that it is ordered to take, and tells what its
 * archive volume holds. An order that a restart has cut short begins again.
 */
import { type PeerClient } from '../../adapters/control/peer-client';
import { LocalConnection } from '../../adapters/postgres/local-connection';
import { type Log } from '../../adapters/log';
import { type BackupOrder } from '../../core/backup/backup';
import { summaryOf, type BackupSummary, type BackupWork } from '../../core/backup/task';
import { type StoredList } from '../../core/backup/stored-list';
import { messageOf, OperatingError } from '../../core/errors';
import { type Machine } from '../../core/settings';
import { type BackupPort } from '../ports';
import { BackupCatalogue } from './catalogue';
import { BackupCopies, type OpenedFile } from './copies';
import { takeBackup, type TakeOptions } from './take';
import { verifyBackup } from './verify';

/** How the backups of the other servers are asked for. */
export type BackupSources = Pick<PeerClient, 'backupsOf' | 'filesOfBackup' | 'openBackupFile'>;

export interface BackupsOptions {
  readonly cluster: string;
  readonly machine: Machine;
  /** Where the archive volume is mounted. */
  readonly volume: string;
  readonly dataDirectory: string;
  readonly binDirectory: string;
  readonly peers: BackupSources;
  readonly log: Log;
}

interface UnderWay {
  readonly id: string;
  readonly abort: AbortController;
}

/** A report carries the newest ones; older ones are still there. */
const SHOWN_MAX = 50;
const COPY_EVERY_MS = 15_000;

export class Backups implements BackupPort {
  readonly #options: BackupsOptions;
  #systemIdentifier: string | null = null;
  #opening: {
    readonly systemIdentifier: string;
    readonly catalogue: Promise<BackupCatalogue>;
  } | null = null;
  #underWay: UnderWay | null = null;
  #work: BackupWork | null = null;
  /** Oldest first. */
  #listed: readonly BackupSummary[] = [];
  #others: readonly string[] = [];
  #timer: NodeJS.Timeout | null = null;
  #isCopying = false;
  /** By backup: what was said last. */
  readonly #troubles = new Map<string, string>();
  readonly #closed = new AbortController();

  constructor(options: BackupsOptions) {
    this.#options = options;
  }

  /** From now on backups of peers are copied, so that none is lost with a disk. */
  begin(): void {
    this.#timer = setInterval(() => void this.#copyMissing(), COPY_EVERY_MS);
  }

  close(): void {
    if (this.#timer !== null) clearInterval(this.#timer);
    this.#closed.abort();
    // Whatever it has started would keep the container, and the volume's lock.
    this.#underWay?.abort.abort();
  }

  know(others: readonly string[]): void {
    this.#others = others;
  }

  // ── for peers ────────────────────────────────────────────────────────────────────────────

  ids(systemIdentifier: string): readonly string[] {
    if (systemIdentifier !== this.#systemIdentifier) return [];
    return this.#listed
      .filter(({ verification }) => verification?.problem == null)
      .map(({ id }) => id);
  }

  async files(id: string): Promise<StoredList> {
    return await this.#copiesOf(await this.#opened()).files(id);
  }

  async openFile(id: string, path: string): Promise<OpenedFile | null> {
    return await this.#copiesOf(await this.#opened()).open(id, path);
  }

  // ── for the operator ─────────────────────────────────────────────────────────────────────

  /** The database of which backups are kept; what a crash has cut short is thrown away. */
  use(systemIdentifier: string): void {
    if (this.#systemIdentifier === systemIdentifier) return;
    this.#systemIdentifier = systemIdentifier;
    // Not waited for: a slow archive volume keeps no PostgreSQL from starting.
    this.#look().catch((error: unknown) => {
      this.#options.log.warn('The backups cannot be read', { error: messageOf(error) });
    });
  }

  report(): ReturnType<BackupPort['report']> {
    return { backup: this.#work, backups: this.#listed.slice(-SHOWN_MAX) };
  }

  /** All of them, also those that are too old for a report. */
  get listed(): readonly BackupSummary[] {
    return this.#listed;
  }

  obey(order: BackupOrder | null): void {
    if (order?.id === this.#underWay?.id) return;
    this.#underWay?.abort.abort();
    if (this.#underWay !== null) this.#work = null;
    this.#underWay = null;
    if (order === null || this.#work?.id === order.id) return;
    this.#underWay = { id: order.id, abort: new AbortController() };
    void this.#carryOut(order, this.#underWay);
  }

  async #carryOut(order: BackupOrder, { id, abort }: UnderWay): Promise<void> {
    const { log } = this.#options;
    const say = (state: BackupWork['state'], words: string): void => {
      if (this.#underWay?.id === id) this.#work = { id, state, words };
    };
    log.info('Backup begins', { id, method: order.method, parent: order.parent });
    say('running', 'it begins');
    try {
      await this.#take(order, abort.signal, (words) => say('running', words));
      await this.#look();
      say('done', 'complete and verified');
      log.info('Backup is complete', { id });
    } catch (error) {
      await this.#look().catch(() => undefined);
      say('failed', messageOf(error));
      log.error('Backup has failed', { id, error: messageOf(error) });
    }
  }

  async #take(
    order: BackupOrder,
    signal: AbortSignal,
    say: (words: string) => void,
  ): Promise<void> {
    const { cluster, machine, dataDirectory, binDirectory } = this.#options;
    const catalogue = await this.#opened();
    const { socketDirectory, port } = machine;
    const connection = new LocalConnection({ socketDirectory, port });
    try {
      const source = {
        cluster,
        machine,
        binDirectory,
        dataDirectory,
        connection,
        spec: order.spec ?? null,
      };
      const onProgress = ({ percent }: { readonly percent: number }): void =>
        say(`${percent} % are written`);
      await this.#takeWhatIsPossible({ order, source, catalogue, signal, onProgress });
    } finally {
      connection.close();
    }
    say('it is compared with its manifest');
    const { problem } = await verifyBackup(order.id, { catalogue, binDirectory, signal });
    if (problem !== null) throw new OperatingError('refused', 'BackupDamaged', problem);
  }

  /** Where the changes since its parent are not known, a full backup is better than none. */
  async #takeWhatIsPossible(options: TakeOptions): Promise<void> {
    const { order } = options;
    try {
      await takeBackup(options);
    } catch (error) {
      if (order.parent === null || !hasNoSummaries(error)) throw error;
      const { id, because } = order;
      this.#options.log.warn('A full backup is taken instead', { id, error: error.message });
      const full = `${because}; full, since WAL was not summarized all the time`;
      await takeBackup({ ...options, order: { ...order, parent: null, because: full } });
    }
  }

  /** One after the other, the oldest first: an increment is of no use without what it builds on. */
  async #copyMissing(): Promise<void> {
    const systemIdentifier = this.#systemIdentifier;
    if (systemIdentifier === null || this.#underWay !== null || this.#isCopying) return;
    this.#isCopying = true;
    try {
      await this.#look();
      for (const peer of this.#others) {
        for (const id of await this.#options.peers.backupsOf(peer, systemIdentifier)) {
          // One that cannot be copied is no obstacle to the others.
          await this.#copy(peer, id).catch((error: unknown) => this.#noteTrouble(id, error));
        }
      }
    } catch (error) {
      this.#noteTrouble('', error);
    } finally {
      this.#isCopying = false;
    }
  }

  async #copy(peer: string, id: string): Promise<void> {
    const catalogue = await this.#opened();
    if ((await catalogue.find(id)) !== null) return;
    await this.#copiesOf(catalogue).pull({ peer, id, signal: this.#closed.signal });
    await this.#look();
    this.#options.log.info('A backup of a peer has been copied', { id, peer });
  }

  /** Said once: it is tried again several times a minute. */
  #noteTrouble(id: string, error: unknown): void {
    const words = messageOf(error);
    if (this.#closed.signal.aborted || this.#troubles.get(id) === words) return;
    this.#troubles.set(id, words);
    this.#options.log.warn('A backup of a peer could not be copied', { id, error: words });
  }

  #copiesOf(catalogue: BackupCatalogue): BackupCopies {
    const { peers } = this.#options;
    return new BackupCopies(catalogue, {
      listFiles: async (peer, id, signal) => await peers.filesOfBackup(peer, id, signal),
      openFile: async (peer, id, path, signal) =>
        await peers.openBackupFile(peer, { id, path }, signal),
    });
  }

  async #look(): Promise<void> {
    const { backups } = await (await this.#opened()).list();
    this.#listed = backups.toSorted((a, b) => (a.startedAt < b.startedAt ? -1 : 1)).map(summaryOf);
  }

  async #opened(): Promise<BackupCatalogue> {
    const { volume } = this.#options;
    const systemIdentifier = this.#systemIdentifier;
    if (systemIdentifier === null) {
      throw new OperatingError(
        'transient',
        'NoDatabase',
        'there is no database on this server yet',
      );
    }
    if (this.#opening?.systemIdentifier !== systemIdentifier) {
      // One at a time: opening throws away what was cut short, and must not meet what goes on.
      const catalogue = BackupCatalogue.open({ volume, systemIdentifier });
      this.#opening = { systemIdentifier, catalogue };
      catalogue.catch(() => (this.#opening = null));
    }
    return await this.#opening.catalogue;
  }
}

const hasNoSummaries = (error: unknown): error is OperatingError =>
  error instanceof OperatingError && error.code === 'SummariesMissing';
