/**
 * The backups of this server: carries out the one that it is ordered to take, and tells what its
 * archive volume holds. An order that a restart has cut short begins again.
 */
import { type PeerClient } from '../../adapters/control/peer-client';
import { LocalConnection } from '../../adapters/postgres/local-connection';
import { type Log } from '../../adapters/log';
import { type BackupOrder } from '../../core/backup/backup';
import { type LoadOrder } from '../../core/backup/load';
import { summaryOf, type BackupSummary, type BackupWork } from '../../core/backup/task';
import { type StoredList } from '../../core/backup/stored-list';
import { messageOf, OperatingError } from '../../core/errors';
import { type Machine } from '../../core/settings';
import { type BackupPort } from '../ports';
import { BackupCatalogue } from './catalogue';
import { BackupCopies, type OpenedFile } from './copies';
import { Loads } from './loads';
import { Retention, type Guidance, type WalBeside } from './retention';
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
  readonly wal: WalBeside;
  readonly log: Log;
}

/** A backup of a peer that is not here. */
interface Offer {
  readonly peer: string;
  readonly id: string;
}

interface UnderWay {
  readonly id: string;
  readonly abort: AbortController;
}

/** A report carries the newest ones; older ones are still there. */
const SHOWN_MAX = 50;
/** Between two looks at what is to go, and at what peers have. */
const LOOK_EVERY_MS = 15_000;

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
  #looking: Promise<void> | null = null;
  /** Of retention, by backup. */
  #words: ReadonlyMap<string, string> = new Map();
  /** What peers have said of backups that are not here, by id: nothing of it ever changes. */
  readonly #described = new Map<string, BackupSummary>();
  readonly #retention: Retention;
  /** By backup: what was said last. */
  readonly #troubles = new Map<string, string>();
  readonly #closed = new AbortController();
  readonly #loads: Loads;

  constructor(options: BackupsOptions) {
    this.#options = options;
    const { wal, log } = options;
    this.#retention = new Retention({ wal, log, signal: this.#closed.signal });
    this.#loads = new Loads({ ...options, catalogue: async () => await this.catalogue() });
  }

  /**
   * From now on what no rule wants is thrown away, and backups of peers are copied, so that none is
   * lost with a disk.
   */
  begin(): void {
    this.#timer = setInterval(() => void this.lookAfter(), LOOK_EVERY_MS);
  }

  close(): void {
    if (this.#timer !== null) clearInterval(this.#timer);
    this.#closed.abort();
    this.#loads.close();
    // Whatever it has started would keep the container, and the volume's lock.
    this.#underWay?.abort.abort();
  }

  know(others: readonly string[]): void {
    this.#others = others;
  }

  guide(guidance: Guidance): void {
    this.#retention.guide(guidance);
  }

  // ── for peers ────────────────────────────────────────────────────────────────────────────

  ids(systemIdentifier: string): readonly string[] {
    if (systemIdentifier !== this.#systemIdentifier) return [];
    return this.#listed
      .filter(({ id, verification }) => verification?.problem == null && id !== this.#underWay?.id)
      .map(({ id }) => id);
  }

  async files(id: string): Promise<StoredList> {
    return await this.#copiesOf(await this.catalogue()).files(id);
  }

  async openFile(id: string, path: string): Promise<OpenedFile | null> {
    return await this.#copiesOf(await this.catalogue()).open(id, path);
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
    const { work: load } = this.#loads;
    return { backup: this.#work, backups: this.#listed.slice(-SHOWN_MAX), load };
  }

  load(order: LoadOrder | null): void {
    this.#loads.obey(order);
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
    const catalogue = await this.catalogue();
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

  /** First what makes room, then the copies; one look at a time, and none beside a backup. */
  async lookAfter(): Promise<void> {
    this.#looking ??= this.#lookAfter().finally(() => {
      this.#looking = null;
    });
    await this.#looking;
  }

  async #lookAfter(): Promise<void> {
    const systemIdentifier = this.#systemIdentifier;
    if (systemIdentifier === null || this.#isTaking) return;
    try {
      const catalogue = await this.catalogue();
      await this.#look();
      const offers = await this.#offers(systemIdentifier);
      const offered = this.#retention.hasRules ? await this.#describe(catalogue, offers) : [];
      const { isWanted, words } = await this.#retention.apply(catalogue, offered);
      this.#words = words;
      await this.#look();
      await this.#copyAll(
        catalogue,
        this.#retention.hasRules ? offers.filter(({ id }) => isWanted(id)) : offers,
      );
    } catch (error) {
      this.#noteTrouble('', error);
    }
  }

  async #offers(systemIdentifier: string): Promise<readonly Offer[]> {
    const offers: Offer[] = [];
    for (const peer of this.#others) {
      const ids = await this.#options.peers.backupsOf(peer, systemIdentifier);
      const missing = ids.filter((id) => this.#listed.every((each) => each.id !== id));
      offers.push(...missing.map((id) => ({ peer, id })));
    }
    return offers;
  }

  async #describe(
    catalogue: BackupCatalogue,
    offers: readonly Offer[],
  ): Promise<readonly BackupSummary[]> {
    const ids = new Set(offers.map(({ id }) => id));
    for (const id of this.#described.keys()) if (!ids.has(id)) this.#described.delete(id);
    for (const { peer, id } of offers) {
      if (this.#described.has(id)) continue;
      try {
        const told = await this.#copiesOf(catalogue).describe(peer, id, this.#closed.signal);
        this.#described.set(id, summaryOf({ ...told, verification: null }));
      } catch (error) {
        this.#noteTrouble(id, error);
      }
    }
    return [...this.#described.values()];
  }

  /** One after the other, the oldest first: an increment is of no use without what it builds on. */
  async #copyAll(catalogue: BackupCatalogue, offers: readonly Offer[]): Promise<void> {
    for (const { peer, id } of offers) {
      if (this.#isTaking) return;
      try {
        if ((await catalogue.find(id)) !== null) continue;
        await this.#copiesOf(catalogue).pull({ peer, id, signal: this.#closed.signal });
        await this.#look();
        this.#options.log.info('A backup of a peer has been copied', { id, peer });
      } catch (error) {
        // One that cannot be copied is no obstacle to the others.
        this.#noteTrouble(id, error);
      }
    }
  }

  /** It goes on with an order until it is done, or has failed. */
  get #isTaking(): boolean {
    return this.#underWay !== null && this.#work?.state === 'running';
  }

  /** Said once: it is tried again several times a minute. */
  #noteTrouble(id: string, error: unknown): void {
    const words = messageOf(error);
    if (this.#closed.signal.aborted || this.#troubles.get(id) === words) return;
    this.#troubles.set(id, words);
    const attempted =
      id === ''
        ? 'The backups could not be looked after'
        : 'A backup of a peer could not be copied';
    this.#options.log.warn(attempted, { id, error: words });
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
    const { backups } = await (await this.catalogue()).list();
    this.#listed = backups
      .toSorted((a, b) => (a.startedAt < b.startedAt ? -1 : 1))
      .map((backup) => summaryOf(backup, this.#words.get(backup.id) ?? null));
  }

  /** Throws before `use`. */
  async catalogue(): Promise<BackupCatalogue> {
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
