/** The newest WAL, which is in a segment that is still in use: what is wanted back is often of the last minutes. */
import { type Log } from '../../adapters/log';
import { type LocalConnection } from '../../adapters/postgres/local-connection';
import { SWITCH_WAL } from '../../adapters/postgres/sql';
import { closeSegmentOf } from '../../adapters/postgres/upstream-check';
import { messageOf } from '../../core/errors';
import { type PostgresReport, type Upstream } from '../../core/protocol';
import { type Archive } from '../archive/archive';

export interface PresentOptions {
  readonly archive: Pick<Archive, 'untilArchived'>;
  readonly postgres: { readonly connection: LocalConnection; readonly report: PostgresReport };
  /** Whom this server follows as a standby; null when unknown. */
  readonly upstream: () => Upstream | null;
  /** Of the replication role. */
  readonly password: string;
  readonly log: Log;
}

const QUERY_MAX_MS = 2000;
/** A segment that was just closed is archived by then, or its archive does not work. */
const ARCHIVED_MAX_MS = 20_000;

export class Present {
  readonly #options: PresentOptions;

  constructor(options: PresentOptions) {
    this.#options = options;
  }

  /**
   * Has the primary close its segment, and returns when it is in this server's archive. Without
   * success it returns, too: the archive leads as far as it does.
   */
  async archive(): Promise<void> {
    const { archive, log } = this.#options;
    try {
      const file = await this.#closeSegment();
      if (file === null || (await archive.untilArchived(file, ARCHIVED_MAX_MS))) return;
      log.warn('The newest WAL is not archived yet', { file });
    } catch (error) {
      log.warn('The segment in use cannot be closed', { error: messageOf(error) });
    }
  }

  async #closeSegment(): Promise<string | null> {
    const { postgres, upstream, password } = this.#options;
    const query = { timeoutMs: QUERY_MAX_MS };
    const { state } = postgres.report;
    const from = upstream();
    if (state === 'standby' && from !== null) return await closeSegmentOf(from, password);
    if (state !== 'primary') return null;
    const [row] = await postgres.connection.query<{ file: string }>(SWITCH_WAL, query);
    return row?.file ?? null;
  }
}
