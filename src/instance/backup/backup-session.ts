/**
 * The session in which PostgreSQL counts a backup as under way (manual: "Making a Base Backup Using the
 * Low-Level API"). When it is lost PostgreSQL ends the backup, and there is nothing to tidy up.
 */
import { LocalConnection } from '../../adapters/postgres/local-connection';
import {
  BACKUP_GOES_ON,
  BEGIN_BACKUP,
  END_BACKUP,
  HOLD_WAL,
  TIMELINE,
} from '../../adapters/postgres/sql';
import { parseBackupLabel, type LabelStart } from '../../core/backup/snapshot';
import { OperatingError } from '../../core/errors';
import { type Lsn } from '../../core/lsn';
import { type Machine } from '../../core/settings';

/** A checkpoint of much that was written takes its time. */
const BEGIN_TIMEOUT_MS = 60 * 60_000;
const TIMEOUT_MS = 60_000;

export interface EndedBackup {
  /** To be put into the copy, byte by byte. */
  readonly label: string;
  readonly start: LabelStart;
  readonly stopLsn: Lsn;
  /** The server's, right after. */
  readonly timeline: number;
}

export class BackupSession {
  readonly #connection: LocalConnection;
  readonly #attempted: string;
  #isStandby = false;

  constructor({ socketDirectory, port }: Machine, attempted: string) {
    this.#connection = new LocalConnection({ socketDirectory, port });
    this.#attempted = attempted;
  }

  /** From now on files may be copied; the WAL that they need is kept until `close`. */
  async begin(label: string): Promise<void> {
    await this.#one(HOLD_WAL);
    this.#isStandby = await this.#look();
    await this.#one(BEGIN_BACKUP, [label], BEGIN_TIMEOUT_MS);
  }

  /** Throws when a copy could not be used any more, so that it is not gone on with. */
  async demandGoingOn(): Promise<void> {
    const isStandby = await this.#look();
    if (isStandby === this.#isStandby) return;
    throw new Error('the standby was promoted during online backup');
  }

  /** Throws, in PostgreSQL's words, when the copy is of no use. */
  async end(): Promise<EndedBackup> {
    await this.demandGoingOn();
    const ended = await this.#one<Record<'lsn' | 'label' | 'tablespaces', string>>(END_BACKUP);
    const { timeline } = await this.#one<{ readonly timeline: number }>(TIMELINE);
    const start = parseBackupLabel(ended.label);
    if (start === null) throw new Error(`the label says no start: ${ended.label}`);
    if (ended.tablespaces.trim() !== '') {
      const message = `${this.#attempted}: a tablespace lies outside of the data volume. Move what is in it`;
      throw new OperatingError('refused', 'TablespacesFound', message);
    }
    return { label: ended.label, start, stopLsn: ended.lsn, timeline };
  }

  close(): void {
    this.#connection.close();
  }

  /** Whether it is a standby. A connection that broke is opened again, but holds nothing then. */
  async #look(): Promise<boolean> {
    const looking = this.#one<Record<'isHeld' | 'isStandby', boolean>>(BACKUP_GOES_ON);
    const { isHeld, isStandby } = await looking.catch((error: unknown) => {
      throw this.#lost(error);
    });
    if (isHeld) return isStandby;
    throw this.#lost();
  }

  #lost(cause?: unknown): OperatingError {
    const message =
      `${this.#attempted}: the session with PostgreSQL was lost. It was stopped or failed, or more ` +
      'was written meanwhile than max_slot_wal_keep_size keeps. Nothing was kept: take it again';
    return new OperatingError('transient', 'ConnectionLost', message, cause);
  }

  async #one<Row extends object>(
    text: string,
    values: readonly unknown[] = [],
    timeoutMs = TIMEOUT_MS,
  ): Promise<Row> {
    const [row] = await this.#connection.query<Row>(text, { values, timeoutMs });
    if (row === undefined) throw new Error(`PostgreSQL answers nothing to ${text}`);
    return row;
  }
}
