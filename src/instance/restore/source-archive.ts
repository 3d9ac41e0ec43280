/**
 * Another cluster's archive, mounted beside the own one. Its own server may be at work in it, so
 * nothing of it is ever changed: it is mounted read only, and not even tidied here.
 */
import { mkdir, readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { type Log } from '../../adapters/log';
import { baseBackupsOf } from '../../core/archive/backups';
import { type RestorableArchive } from '../../core/archive/choose-backup';
import { inventoryOf } from '../../core/archive/inventory';
import { renderStoredFile } from '../../core/archive/stored-files';
import {
  parseSegment,
  renderWalFile,
  SEGMENT_BYTES_DEFAULT,
  type WalFile,
} from '../../core/archive/wal-files';
import { belongs } from '../../core/archive/way';
import { messageOf, OperatingError } from '../../core/errors';
import { type RestoreOrder } from '../../core/restore/bootstrap';
import { lineageOf, parseTimelineHistory, type Histories } from '../../core/timelines';
import { ArchiveStore } from '../archive/archive-store';
import { milestonesIn } from '../archive/milestones';
import { Restorer } from '../archive/restorer';
import { errnoOf } from '../archive/volume-troubles';
import { later, openWalSocket } from '../archive/wal-socket';
import { BackupCatalogue, type BrokenBackup } from '../backup/catalogue';

export interface SourceOptions {
  /** Where the volume is mounted. */
  readonly directory: string;
  /** A directory on the data volume, of no value at any time. */
  readonly spoolDirectory: string;
  readonly log: Log;
}

const SYSTEM_IDENTIFIER = /^\d{1,20}$/;

export class SourceArchive {
  readonly catalogue: BackupCatalogue;
  readonly #store: ArchiveStore;
  readonly #spoolDirectory: string;
  #histories: Histories = {};

  /** The one database in the volume that can be restored; throws when there is none, or a choice. */
  static async find(order: RestoreOrder, options: SourceOptions): Promise<SourceArchive> {
    const names = await readdir(options.directory).catch((error: unknown) => {
      if (errnoOf(error) !== 'ENOENT') throw refused(order, 'SourceUnreadable', messageOf(error));
      return [];
    });
    const identifiers = names.filter((name) => SYSTEM_IDENTIFIER.test(name));
    if (identifiers.length === 0) throw refused(order, 'SourceEmpty', NOT_THERE);
    const found: string[] = [];
    const broken: BrokenBackup[] = [];
    for (const systemIdentifier of identifiers) {
      const listing = await catalogueOf(systemIdentifier, options).list();
      const base = baseBackupsOf(listing.backups);
      const isNamed = order.backup === null || base.some(({ id }) => id === order.backup);
      if (base.length > 0 && isNamed) found.push(systemIdentifier);
      broken.push(...listing.broken);
    }
    const [only, ...others] = found;
    if (only === undefined) throw refused(order, 'NoBackup', noBackup(order, broken));
    if (others.length === 0) return new SourceArchive(only, options);
    const choice = `it holds backups of ${found.length} databases, with the system identifiers ${found.join(', ')}: name one of the backups under spec.bootstrap.restore.backup`;
    throw refused(order, 'SourceAmbiguous', choice);
  }

  private constructor(systemIdentifier: string, options: SourceOptions) {
    const { directory, spoolDirectory, log } = options;
    this.catalogue = catalogueOf(systemIdentifier, options);
    this.#spoolDirectory = spoolDirectory;
    this.#store = new ArchiveStore({
      volume: directory,
      systemIdentifier,
      segmentBytes: SEGMENT_BYTES_DEFAULT,
      compression: 'none',
      isReadOnly: true,
      mayDiffer: () => true,
      onCorrupt: (stored, because) => {
        const file = renderStoredFile(stored);
        log.error('A file of the other cluster’s archive is corrupt', { file, because });
      },
    });
  }

  /** All WAL that there is, at this moment. */
  async contents(): Promise<Omit<RestorableArchive, 'backups'>> {
    const segmentBytes = SEGMENT_BYTES_DEFAULT;
    await this.#store.open();
    await this.#readHistories();
    const segments = [...this.#store.files()].flatMap(
      ({ file }) => parseSegment(renderWalFile(file), segmentBytes) ?? [],
    );
    const inventory = inventoryOf(segments);
    const milestones = await milestonesIn(this.#store, inventory, segmentBytes);
    return { segmentBytes, inventory, histories: this.#histories, milestones };
  }

  /** Answers a restore_command at a socket while `work` goes on; what leads elsewhere is not handed out. */
  async serving<T>(socket: string, timeline: number, work: () => Promise<T>): Promise<T> {
    const lineage = lineageOf(timeline, this.#histories) ?? { timeline, history: [] };
    const restorer = new Restorer({
      store: this.#store,
      spoolDirectory: this.#spoolDirectory,
      segmentBytes: SEGMENT_BYTES_DEFAULT,
      belongs: (file) =>
        isOnWay(file, (segment) => belongs(segment, lineage, SEGMENT_BYTES_DEFAULT)),
      mayAskPeers: () => false,
      fetchFromPeer: async () => await Promise.resolve('absent'),
    });
    await restorer.open();
    const server = await openWalSocket(socket, async (question, gone) =>
      question.verb === 'archive'
        ? later('another cluster’s archive is only read')
        : await restorer.restore(question, gone),
    );
    try {
      return await work();
    } finally {
      server.close();
      await restorer.close();
      await rm(socket, { force: true });
    }
  }

  async #readHistories(): Promise<void> {
    await mkdir(this.#spoolDirectory, { recursive: true, mode: 0o700 });
    for (const { file } of this.#store.files()) {
      if (file.kind !== 'history' || file.timeline in this.#histories) continue;
      const path = join(this.#spoolDirectory, `${renderWalFile(file)}.read`);
      if (!(await this.#store.get(file, path))) continue;
      const history = parseTimelineHistory(await readFile(path, 'utf8'));
      this.#histories = { ...this.#histories, [file.timeline]: history };
    }
  }
}

type Segments = (segment: NonNullable<ReturnType<typeof parseSegment>>) => boolean;

function isOnWay(file: WalFile, holds: Segments): boolean {
  const segment = parseSegment(renderWalFile(file), SEGMENT_BYTES_DEFAULT);
  return segment === null || holds(segment);
}

const catalogueOf = (systemIdentifier: string, { directory }: SourceOptions): BackupCatalogue =>
  BackupCatalogue.view({ volume: directory, systemIdentifier });

const NOT_THERE =
  'there is no archive in it. Where a node has no volume of that name Docker makes an empty one: ' +
  'look at `docker volume ls` there, and declare as primary a server on the node that has it';

function noBackup({ backup }: RestoreOrder, broken: readonly BrokenBackup[]): string {
  const named = broken.filter(({ id }) => backup === null || id === backup);
  const troubles = named.map(({ id, problem }) => `; ${id} cannot be used: ${problem}`).join('');
  return backup === null
    ? `it holds no base backup that can be used${troubles}`
    : `it holds no base backup ${backup} that can be used${troubles}`;
}

export const refused = ({ volume }: RestoreOrder, code: string, because: string): OperatingError =>
  new OperatingError('refused', code, `restoring from the volume ${volume}: ${because}`);
