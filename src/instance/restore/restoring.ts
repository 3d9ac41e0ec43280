/**
 * What an instance says of a restore in place: whether a point can be reached, before anything is
 * touched, and how far the copy is that has taken the place of its data.
 */
import { type LocalConnection } from '../../adapters/postgres/local-connection';
import { messageOf } from '../../core/errors';
import { type PostgresReport } from '../../core/protocol';
import {
  type RestoreWish,
  type RestoreProgress,
  type RestoreProspect,
} from '../../core/restore/task';
import { type Archive } from '../archive/archive';
import { type Backups } from '../backup/backups';
import { requireRoom } from '../backup/room';
import { bytesOfChain } from '../backup/unpack';
import { type RestorePort } from '../ports';
import { planRestore, type RestorePlan } from './plan';
import { type Present } from './present';
import { OBSERVE_RECOVERY, type RecoveryRow } from './recovery-sql';

export interface RestoringOptions {
  readonly archive: Pick<Archive, 'contents'>;
  readonly present: Pick<Present, 'archive'>;
  readonly backups: Pick<Backups, 'catalogue' | 'lookAfter'>;
  /** The data volume. */
  readonly volume: string;
  readonly postgres: { readonly connection: LocalConnection; readonly report: PostgresReport };
  /** Id of the restore whose copy is in the place of the data; null without one. */
  readonly restored: () => string | null;
  /** Id of the one whose point was in none of the WAL. */
  readonly missed: () => string | null;
  readonly onChange: () => void;
}

const WATCH_EVERY_MS = 500;
const QUERY_MAX_MS = 2000;

export class Restoring implements RestorePort {
  readonly #options: RestoringOptions;
  #asked: string | null = null;
  #prospect: RestoreProspect | null = null;
  #progress: RestoreProgress | null = null;

  constructor(options: RestoringOptions) {
    this.#options = options;
    setInterval(() => void this.#watch(), WATCH_EVERY_MS).unref();
  }

  report(): ReturnType<RestorePort['report']> {
    return { prospect: this.#prospect, restored: this.#restored() };
  }

  #restored(): RestoreProgress | null {
    const id = this.#options.restored();
    const isRunning = this.#options.postgres.report.state === 'primary';
    if (id === null) return null;
    if (this.#progress?.id === id && isRunning) return this.#progress;
    const state = this.#options.missed() === id ? 'ended' : 'replaying';
    return { id, state, lsn: null, lastCommitAt: null };
  }

  ask(order: RestoreWish | null): void {
    if (order === null || order.id === this.#asked) return;
    this.#asked = order.id;
    void this.#look(order);
  }

  /** Throws what keeps the point from being reached. */
  async plan({ target, backup }: RestoreWish): Promise<RestorePlan> {
    const { archive, backups } = this.#options;
    const catalogue = await backups.catalogue();
    return await planRestore({ target, backup }, { archive, catalogue });
  }

  async #look(order: RestoreWish): Promise<void> {
    const { id } = order;
    try {
      // A copy has no archive, and what it has written is of no interest.
      if (this.#options.restored() === null) await this.#options.present.archive();
      const { backups, target, caveat } = await this.plan(order).catch(async () => {
        // The newest backup may be a peer's, and on its way here.
        for (let looks = 0; looks < 2; looks += 1) await this.#options.backups.lookAfter();
        return await this.plan(order);
      });
      await this.#requireRoom(backups[0] ?? '');
      const from = `from backup ${backups[0] ?? ''} along timeline ${target.timeline}`;
      const words = caveat === null ? from : `${from}; ${caveat}`;
      this.#prospect = { id, isPossible: true, words };
    } catch (error) {
      this.#prospect = { id, isPossible: false, words: messageOf(error) };
    }
    this.#options.onChange();
  }

  /** Before PostgreSQL is stopped anywhere: the copy takes its place beside the data. */
  async #requireRoom(backup: string): Promise<void> {
    const catalogue = await this.#options.backups.catalogue();
    const { chain, release } = await catalogue.leaseChain(backup);
    try {
      await requireRoom(this.#options.volume, {
        what: `restoring backup ${backup}`,
        where: 'the data volume',
        bytes: await bytesOfChain(chain),
        advice: 'Make room there; or restore it into a new cluster',
      });
    } finally {
      release();
    }
  }

  async #watch(): Promise<void> {
    const { postgres, restored, onChange } = this.#options;
    const id = restored();
    if (id === null || !['primary', 'standby'].includes(postgres.report.state)) return;
    try {
      const query = { timeoutMs: QUERY_MAX_MS };
      const [row] = await postgres.connection.query<RecoveryRow>(OBSERVE_RECOVERY, query);
      if (row === undefined || restored() !== id) return;
      const before = JSON.stringify(this.#progress);
      this.#progress = {
        id,
        state: row.is_recovering ? 'replaying' : 'reached',
        lsn: row.lsn,
        lastCommitAt: row.at,
      };
      if (JSON.stringify(this.#progress) !== before) onChange();
    } catch {
      // It stops, or is being promoted: what is said of it then comes from elsewhere.
    }
  }
}
