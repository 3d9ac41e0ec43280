/**
 * Keeps the archive volume of this server as the rules want it. Every server judges by what is on its own
 * volume, since each alone must be able to restore the cluster. Nothing is thrown away on a verdict
 * that may be wrong: a server that is cut off, or does not follow the newest timeline, may take a way for
 * the present that the others have left.
 */
import { type Log } from '../../adapters/log';
import { type Inventory } from '../../core/archive/inventory';
import { type BackupVerdict } from '../../core/archive/retention';
import { type WalVerdict } from '../../core/archive/wal-retention';
import { backupVerdicts, hasRules, walFloors, type KeptArchive } from '../../core/backup/pruning';
import { summaryOf, type BackupSummary } from '../../core/backup/task';
import { OperatingError } from '../../core/errors';
import { type Lsn } from '../../core/lsn';
import { type RetentionSpec } from '../../core/spec';
import { newestLineage, type Histories } from '../../core/timelines';
import { type BackupCatalogue, type Listing } from './catalogue';

/** What the leader has said last, and what PostgreSQL is. */
export interface Guidance {
  readonly rules: RetentionSpec;
  /** On which PostgreSQL accepts writes, or follows the primary; null while it does neither. */
  readonly timeline: number | null;
  /** So far a standby has got; null for a primary. */
  readonly replayedLsn: Lsn | null;
}

/** The WAL beside the backups. */
export interface WalBeside {
  /** null while it is not known of which database it is. */
  retained(): Promise<WalHere | null>;
  /** What is below these is not brought back from peers. */
  keepFrom(floors: readonly WalVerdict[]): void;
  /** Deletes what is below them; how many files that was. */
  discard(here: WalHere, floors: readonly WalVerdict[], signal: AbortSignal): Promise<number>;
}

export interface WalHere {
  readonly systemIdentifier: string;
  readonly segmentBytes: number;
  readonly inventory: Inventory;
  /** With what the peers have. */
  readonly everywhere: Inventory;
  readonly histories: Histories;
}

export interface Judgement {
  /** Whether a backup of a peer is worth the copying: it would not be thrown away here. */
  readonly isWanted: (id: string) => boolean;
  /** Why it stays, or what keeps it from going, by id. */
  readonly words: ReadonlyMap<string, string>;
}

export interface RetentionOptions {
  readonly wal: WalBeside;
  readonly signal: AbortSignal;
  readonly log: Pick<Log, 'info' | 'warn'>;
}

/** A leader that has said nothing for longer may have been replaced, and the primary with it. */
const GUIDANCE_MAX_MS = 60_000;

export class Retention {
  readonly #options: RetentionOptions;
  #guidance: (Guidance & { readonly atMs: number }) | null = null;
  #obstacle: string | null = null;

  constructor(options: RetentionOptions) {
    this.#options = options;
  }

  guide(guidance: Guidance): void {
    this.#guidance = { ...guidance, atMs: performance.now() };
  }

  /** Whether there is a rule by which anything could go. */
  get hasRules(): boolean {
    return this.#guidance !== null && hasRules(this.#guidance.rules);
  }

  /** Throws away what may go; `offered` are backups of peers that are not here. */
  async apply(catalogue: BackupCatalogue, offered: readonly BackupSummary[]): Promise<Judgement> {
    const { wal } = this.#options;
    const here = await wal.retained();
    if (here?.systemIdentifier !== catalogue.systemIdentifier || this.#guidance === null) {
      throw new OperatingError('transient', 'NoDatabase', 'what to keep is not known yet');
    }
    const { rules } = this.#guidance;
    const listing = await catalogue.list();
    const archive = { ...here, backups: listing.backups.map((each) => summaryOf(each)) };
    const occasion = { rules, nowMs: Date.now() };
    const own = backupVerdicts(archive, catalogue.inUse, occasion);
    const all = { ...archive, backups: [...archive.backups, ...offered] };
    const wanted = backupVerdicts(all, catalogue.inUse, occasion).filter(isKept);
    // What is about to be copied may build on what nothing here needs.
    const doomed = own.filter((each) => !isKept(each) && !wanted.some(({ id }) => id === each.id));
    const obstacle = this.#note(this.#obstacleTo(here, listing));
    if (obstacle === null) await this.#remove(catalogue, doomed);
    await this.#letGoOfWal(catalogue, here, obstacle === null);
    return {
      isWanted: (id) => wanted.some((each) => each.id === id),
      words: new Map([...doomed.map(going(obstacle)), ...wanted.map(staying)]),
    };
  }

  /** Why nothing may be thrown away now; null: nothing speaks against it. */
  #obstacleTo({ histories }: WalHere, { broken }: Listing): string | null {
    const { timeline = null, atMs = 0 } = this.#guidance ?? {};
    const [unread] = broken;
    if (unread !== undefined) {
      return `backup ${unread.id} cannot be read (${unread.problem}): remove its folder if it is of no use`;
    }
    if (performance.now() - atMs > GUIDANCE_MAX_MS) return 'no leader has answered for a minute';
    if (timeline === null) return 'PostgreSQL neither accepts writes here nor follows the primary';
    const newest = newestLineage(histories).timeline;
    return newest === timeline
      ? null
      : `PostgreSQL is on timeline ${timeline}, but the archive leads to ${newest}`;
  }

  /** Increments before what they build on. */
  async #remove(catalogue: BackupCatalogue, doomed: readonly BackupVerdict[]): Promise<void> {
    const { log } = this.#options;
    for (const { id, because } of doomed.toSorted((a, b) => (a.id < b.id ? 1 : -1))) {
      try {
        await catalogue.remove(id);
        log.info('A backup was thrown away', { id, because });
      } catch (error) {
        if (!(error instanceof OperatingError) || error.kind !== 'refused') throw error;
        log.info('A backup is not thrown away yet', { id, because: error.message });
      }
    }
  }

  /** After the backups, so that whatever a crash leaves can be restored. */
  async #letGoOfWal(catalogue: BackupCatalogue, here: WalHere, mayGo: boolean): Promise<void> {
    const { wal, signal, log } = this.#options;
    const { backups, broken } = await catalogue.list();
    const left: KeptArchive = { ...here, backups: backups.map((each) => summaryOf(each)) };
    const { replayedLsn = null } = this.#guidance ?? {};
    const everywhere = { ...left, inventory: here.everywhere };
    wal.keepFrom(this.hasRules ? walFloors(everywhere, replayedLsn) : []);
    if (!mayGo || !this.hasRules || broken.length > 0) return;
    const floors = walFloors(left, replayedLsn);
    const files = await wal.discard(here, floors, signal);
    if (files === 0) return;
    const because = floors.map((each) => each.because);
    log.info('WAL that no backup needs was thrown away', { files, because });
  }

  /** Said once, while there is a rule. */
  #note(obstacle: string | null): string | null {
    const isNew = obstacle !== null && obstacle !== this.#obstacle && this.hasRules;
    if (isNew) this.#options.log.warn('Nothing of the archive is thrown away', { obstacle });
    this.#obstacle = obstacle;
    return obstacle;
  }
}

const isKept = ({ verdict }: BackupVerdict): boolean => verdict === 'keep';

const staying = ({ id, because }: BackupVerdict): readonly [string, string] => [
  id,
  `kept because ${because}`,
];

const going =
  (obstacle: string | null) =>
  ({ id, because }: BackupVerdict): readonly [string, string] => [
    id,
    obstacle === null ? `goes: ${because}` : `would go (${because}), but ${obstacle}`,
  ];
