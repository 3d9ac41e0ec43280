/**
 * The archive of this server: takes what PostgreSQL hands over, gives back what it asks for, and
 * completes itself from the peers' archives, as theirs are completed from it.
 */
import { createReadStream } from 'node:fs';
import { mkdir, readFile, rm, stat } from 'node:fs/promises';
import { type Server } from 'node:net';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { type ArchivedFile } from '../../adapters/control/peer-server';
import { type PeerClient } from '../../adapters/control/peer-client';
import { type Log } from '../../adapters/log';
import { writeDurably } from '../../adapters/postgres/durable-files';
import { type BaseBackup } from '../../core/archive/backups';
import { merge, type Inventory } from '../../core/archive/inventory';
import { lackingFiles } from '../../core/archive/lacking-files';
import { type RestorableArchive } from '../../core/archive/choose-backup';
import { renderStoredFile } from '../../core/archive/stored-files';
import {
  endOfSegment,
  parseSegment,
  segmentAt,
  parseWalFile,
  renderWalFile,
  type WalFile,
} from '../../core/archive/wal-files';
import { belongs } from '../../core/archive/way';
import { type WindowReport } from '../../core/archive/window-report';
import { type WalVerdict } from '../../core/archive/wal-retention';
import { roomOf, type VolumeRoom } from '../../core/budget';
import { messageOf } from '../../core/errors';
import { type Lsn } from '../../core/lsn';
import { DEFAULTS } from '../../core/generated';
import { type ArchiveHoldings, type ArchiveReport } from '../../core/protocol';
import { historiesFolder, leaveMark, promoteMark } from '../../core/settings';
import { type Compression } from '../../core/spec';
import { ArchiveStore, type ArchiveSpace } from './archive-store';
import {
  lineageOf,
  newestLineage,
  parseTimelineHistory,
  type Histories,
} from '../../core/timelines';
import { Archiver, type LastArchived } from './archiver';
import { type WalBeside, type WalHere } from '../backup/retention';
import { discardWal } from './discard-wal';
import { setMark } from './marks';
import { milestonesIn } from './milestones';
import { GrowthRate } from '../growth-rate';
import { type ArchiveMeter } from '../instance-metrics';
import { PeerArchives, type Database } from './peer-archives';
import {
  openRecoverySource,
  type RecoverySource,
  type RecoverySourceOptions,
} from './recovery-source';
import { inventoryIn, recoveryWindow } from './recovery-window';
import { Restorer, type RestorerOptions } from './restorer';
import { ShippedWal } from './shipped-wal';
import { later, openWalSocket, type WalAnswer, type WalQuestion } from './wal-socket';

export interface ArchiveOptions {
  /** Where the archive volume is mounted. */
  readonly volume: string;
  readonly socket: string;
  readonly walDirectory: string;
  /** A directory on the data volume, of no value at any time. */
  readonly spoolDirectory: string;
  readonly peers: Pick<PeerClient, 'holdingsOf' | 'openArchived'>;
  /** Those in the volume from which a recovery can begin. */
  readonly backups: () => readonly BaseBackup[];
  /** Absent: nobody wants to know. */
  readonly meter?: ArchiveMeter;
  readonly log: Log;
}

/** Without the backups. */
export type ArchiveContentsHere = Omit<RestorableArchive, 'backups'>;

/** What is replayed in a restore: the timeline, and where its WAL ends, if that is known. */
export interface ReplayTarget {
  readonly timeline: number;
  readonly endLsn: Lsn | null;
}

interface Parts {
  readonly database: Database;
  readonly store: ArchiveStore;
  readonly archiver: Archiver;
  readonly restorer: Restorer;
}

/** Between two looks at the volume and at the peers' archives. */
const UPKEEP_EVERY_MS = 10_000;
/** A backup that was just taken is no trend. */
const GROWTH_KNOWN_AFTER_MS = 10 * 60_000;
/** One file of a peer: a segment over a slow line. */
const FETCH_MAX_MS = 60_000;
/** PostgreSQL's start does not wait longer for its archive. */
const PREPARE_MAX_MS = 1500;
const REPAIR_MAX_MS = 8000;
const ARCHIVED_POLL_MS = 50;
/** Left to what this server archives itself. */
const REPAIR_FREE_BYTES_MIN = 256 * 1024 ** 2;

export class Archive implements WalBeside {
  readonly #options: ArchiveOptions;
  readonly #peers: PeerArchives;
  #parts: Parts | null = null;
  #compression: Compression = DEFAULTS.archive.compression;
  #server: Server | null = null;
  #timer: NodeJS.Timeout | null = null;
  #isKeepingUp = false;
  #isStopping = false;
  readonly #shipped = new ShippedWal();
  /** The timeline of a restore. */
  #target: ReplayTarget | null = null;
  #histories: Histories = {};
  /** Revision of the store in which they were looked for. */
  #historiesOf: string | null = null;
  #known: { readonly revision: string; readonly segments: Inventory } | null = null;
  #room: VolumeRoom | null = null;
  readonly #growth = new GrowthRate(GROWTH_KNOWN_AFTER_MS);
  #window: WindowReport | null = null;
  /** What was lacking at the last look: not merely on its way here. */
  #lacked: ReadonlySet<string> = new Set();
  /** Below them nothing is brought back; null while that is not known: then no segment is. */
  #floors: readonly WalVerdict[] | null = null;

  constructor(options: ArchiveOptions) {
    this.#options = options;
    this.#peers = new PeerArchives(options.peers, options.log);
  }

  /** PostgreSQL can ask from now on; before `use` it is told to ask again. */
  async listen(): Promise<void> {
    const { socket } = this.#options;
    for (const mark of [leaveMark(socket), promoteMark(socket)]) await rm(mark, { force: true });
    await rm(historiesFolder(socket), { recursive: true, force: true });
    await mkdir(historiesFolder(socket), { mode: 0o700 });
    this.#server = await openWalSocket(
      this.#options.socket,
      async (question, gone) => await this.#answer(question, gone),
    );
    this.#timer = setInterval(() => void this.#keepUp(), UPKEEP_EVERY_MS);
  }

  close(): void {
    if (this.#timer !== null) clearInterval(this.#timer);
    this.#parts?.restorer.rest();
    this.#server?.close();
  }

  /** Names of the other servers, whose archives complete this one. */
  know(others: readonly string[]): void {
    this.#peers.know(others);
  }

  /** As a person wants it, and each answer of the leader says; null: archiving goes on. */
  pause(forMs: number | null): void {
    if (forMs === null) this.#parts?.archiver.resume();
    else this.#parts?.archiver.pause(forMs);
  }

  /** WAL that stays in the data volume, since it is not archived; null: it does not. */
  get walPilingUp(): number | null {
    if (this.#parts === null) return null;
    const { failure, pausedForMs, bytesPerSecond } = this.#parts.archiver.state;
    return failure === null && pausedForMs === null ? null : bytesPerSecond;
  }

  /** Up to where PostgreSQL has surely replayed what it was given; null when that is not known. */
  get shippedLsn(): Lsn | null {
    return this.#shipped.lsn(this.#parts?.database.segmentBytes ?? null);
  }

  /** Whose WAL is archived; null before `use`. */
  get database(): Database | null {
    return this.#parts?.database ?? null;
  }

  /** Of what is stored from now on. */
  set compression(compression: Compression) {
    this.#compression = compression;
    if (this.#parts !== null) this.#parts.store.compression = compression;
  }

  /** A volume that cannot be used is no obstacle: archiving fails then, and says why. */
  use(database: Database): void {
    this.#parts = this.#assemble(database);
    this.#histories = {};
    this.#historiesOf = null;
    this.#known = null;
    this.#floors = null;
    this.#window = null;
  }

  /**
   * To be called before PostgreSQL is started: it will ask for histories, and what belongs follows from
   * them. A volume that is slow or cannot be read is no obstacle.
   */
  async prepare(): Promise<void> {
    const parts = this.#parts;
    if (parts === null) return;
    const prepared = (async (): Promise<void> => {
      await parts.restorer.open();
      await parts.store.open();
      await this.#readHistories(parts);
    })().catch((error: unknown) => {
      this.#options.log.warn('The archive is not ready yet', { error: messageOf(error) });
    });
    await Promise.race([prepared, pause(PREPARE_MAX_MS, undefined, { ref: false })]);
    void this.#keepUp();
  }

  /**
   * A stop waits for PostgreSQL's archiver: it is told to leave. What it asks from now on is answered by
   * the mark alone, so that it is there, or gone, when this returns.
   */
  stopping(isStopping: boolean): void {
    if (isStopping === this.#isStopping) return;
    this.#isStopping = isStopping;
    this.#parts?.archiver.stopping(isStopping);
    setMark(leaveMark(this.#options.socket), isStopping, this.#options.log);
  }

  /** A promotion asks for files that nobody has: nobody is asked while it is under way. */
  async whilePromoting(promote: () => Promise<void>): Promise<void> {
    const { socket, log } = this.#options;
    setMark(promoteMark(socket), true, log);
    this.#parts?.restorer.breakOff();
    try {
      await promote();
    } finally {
      setMark(promoteMark(socket), false, log);
    }
  }

  /** What is replayed leads to this timeline; null: to the newest one. */
  replayTo(target: ReplayTarget | null): void {
    this.#target = target;
  }

  /** Stores a file that PostgreSQL does not hand over itself. */
  async put(file: WalFile, path: string): Promise<void> {
    if (this.#parts === null) throw new Error('there is no archive yet');
    await this.#parts.store.put(file, path);
  }

  /** Whether a file that PostgreSQL is about to hand over is there by then. */
  async untilArchived(name: string, maxMs: number): Promise<boolean> {
    const file = parseWalFile(name);
    const deadlineMs = performance.now() + maxMs;
    while (file !== null && performance.now() < deadlineMs) {
      if (this.#parts?.store.has(file) === true) return true;
      await pause(ARCHIVED_POLL_MS);
    }
    return false;
  }

  report(): ArchiveReport | null {
    if (this.#parts === null) return null;
    const { lastArchived: last, failure, waiting, pausedForMs } = this.#parts.archiver.state;
    return {
      last: last === null ? null : archived(last, this.#parts.database),
      failure: failure === null ? null : { ...failure, forMs: Date.now() - failure.sinceMs },
      waiting: waiting ?? 0,
      pausedLeftMs: pausedForMs === null ? null : Math.round(pausedForMs),
      room: this.#room,
      window: this.#window,
    };
  }

  // ── for peers ────────────────────────────────────────────────────────────────────────────

  holdings(): ArchiveHoldings | null {
    if (this.#parts === null) return null;
    const { systemIdentifier } = this.#parts.database;
    return { systemIdentifier, ranges: this.#inventory(this.#parts), histories: this.#histories };
  }

  /** All WAL that a recovery on this server can get: what is here, and what the peers have; null before `use`. */
  async contents(): Promise<ArchiveContentsHere | null> {
    const parts = this.#parts;
    if (parts === null) return null;
    const { store, database } = parts;
    await store.open();
    await this.#readHistories(parts);
    await this.#peers.refresh(database);
    const own = this.#inventory(parts);
    return {
      segmentBytes: database.segmentBytes,
      inventory: merge(own, ...this.#peers.holdings.map(({ ranges }) => ranges)),
      histories: this.#allHistories(),
      milestones: await milestonesIn(store, own, database.segmentBytes),
    };
  }

  /** For a recovery on a copy. */
  async recoverySource(
    options: Omit<RecoverySourceOptions, 'store' | 'fetchFromPeer'>,
  ): Promise<RecoverySource> {
    const parts = this.#parts;
    if (parts === null) throw new Error('there is no database yet');
    const fetchFromPeer = this.#fetching(parts.database);
    return await openRecoverySource({ ...options, store: parts.store, fetchFromPeer });
  }

  async open(name: string, systemIdentifier: string): Promise<ArchivedFile | null> {
    const file = parseWalFile(name);
    if (file === null || this.#parts?.database.systemIdentifier !== systemIdentifier) return null;
    const found = this.#parts.store.locate(file);
    if (found === null) return null;
    const { size: bytes } = await stat(found.path);
    const stream = createReadStream(found.path);
    return { stored: renderStoredFile(found.stored), bytes, stream };
  }

  // ── for retention ────────────────────────────────────────────────────────────────────────

  async retained(): Promise<WalHere | null> {
    const parts = this.#parts;
    if (parts === null) return null;
    await parts.store.open();
    await this.#readHistories(parts);
    const inventory = this.#inventory(parts);
    return {
      ...parts.database,
      inventory,
      everywhere: merge(inventory, ...this.#peers.holdings.map(({ ranges }) => ranges)),
      histories: this.#allHistories(),
    };
  }

  keepFrom(floors: readonly WalVerdict[]): void {
    this.#floors = floors;
  }

  async discard(
    { systemIdentifier, segmentBytes }: WalHere,
    verdicts: readonly WalVerdict[],
    signal: AbortSignal,
  ): Promise<number> {
    if (this.#parts?.database.systemIdentifier !== systemIdentifier) return 0;
    return await discardWal(this.#parts.store, { segmentBytes, verdicts, signal });
  }

  // ── for PostgreSQL ───────────────────────────────────────────────────────────────────────

  #assemble(database: Database): Parts {
    const { volume, walDirectory, spoolDirectory, meter, log } = this.#options;
    const { segmentBytes } = database;
    const store = new ArchiveStore({
      ...database,
      volume,
      compression: this.#compression,
      mayDiffer: (file) => file.kind === 'partial' || !this.#belongs(file, segmentBytes),
      onCorrupt: (stored, because) => {
        const file = renderStoredFile(stored);
        log.error('An archived file is corrupt and was put aside', { file, because });
      },
    });
    const restorer = new Restorer({
      store,
      spoolDirectory,
      segmentBytes,
      belongs: (file) => this.#belongs(file, segmentBytes),
      mayAskPeers: () => !this.#isStopping,
      fetchFromPeer: this.#fetching(database),
    });
    // Every heartbeat asks for the report.
    const onChange = (): void => undefined;
    const archiver = new Archiver({ store, walDirectory, segmentBytes, meter, log, onChange });
    return { database, store, archiver, restorer };
  }

  #fetching(database: Database): RestorerOptions['fetchFromPeer'] {
    return async (file, destination, signal) =>
      await this.#peers.fetch(file, { database, destination }, signal);
  }

  async #answer(question: WalQuestion, gone: AbortSignal): Promise<WalAnswer> {
    if (this.#parts === null) return later('the instance manager does not know this database yet');
    const { archiver, restorer } = this.#parts;
    if (question.verb !== 'archive') {
      this.#shipped.asked(question.file);
      return await restorer.restore(question, gone);
    }
    const answer = await archiver.archive(question.file, question.path);
    if (answer.kind === 'done') await this.#learnIfPossible(question.file, question.path);
    return answer;
  }

  #belongs(file: WalFile, segmentBytes: number): boolean {
    const segment = parseSegment(renderWalFile(file), segmentBytes);
    if (segment === null) return true;
    const histories = this.#allHistories();
    if (this.#target === null) return belongs(segment, newestLineage(histories), segmentBytes);
    const { timeline, endLsn } = this.#target;
    // Whoever is silent now was not counted on when the way was planned.
    if (endLsn !== null && segment.number >= segmentAt(endLsn, segmentBytes)) return false;
    const lineage = lineageOf(timeline, histories) ?? newestLineage(histories);
    return belongs(segment, lineage, segmentBytes);
  }

  #allHistories(): Histories {
    const theirs = this.#peers.holdings.map(({ histories }) => histories);
    return Object.assign({}, ...theirs, this.#histories) as Histories;
  }

  // ── upkeep ───────────────────────────────────────────────────────────────────────────────

  /** One look at a time; what goes wrong is tried again at the next one. */
  async #keepUp(): Promise<void> {
    const parts = this.#parts;
    if (parts === null || this.#isKeepingUp) return;
    this.#isKeepingUp = true;
    try {
      await parts.store.open();
      this.#room = this.#measured(await parts.store.space());
      await this.#readHistories(parts);
      this.#window = await this.#lookBack(parts);
      await parts.archiver.countWaiting().catch(() => 0);
      await this.#peers.refresh(parts.database);
      await this.#repair(parts);
    } catch (error) {
      this.#options.log.debug('The archive could not be looked after', { error: messageOf(error) });
    } finally {
      this.#isKeepingUp = false;
    }
  }

  #measured({ totalBytes: sizeBytes, freeBytes }: ArchiveSpace): VolumeRoom {
    const nowMs = performance.now();
    this.#growth.note(sizeBytes - freeBytes, nowMs);
    const bytesPerSecond = this.#growth.bytesPerSecond(nowMs);
    return roomOf({ sizeBytes, freeBytes, bytesPerSecond }, this.#room?.stage ?? 'ample');
  }

  /** Not for every report: what is in the archive is looked through here in any case. */
  async #lookBack(parts: Parts): Promise<WindowReport> {
    const { segmentBytes } = parts.database;
    const contents = {
      segmentBytes,
      inventory: this.#inventory(parts),
      backups: this.#options.backups(),
    };
    return await recoveryWindow(parts.store, contents, this.#allHistories());
  }

  /** Brings what peers have and this archive lacks. */
  async #repair(parts: Parts): Promise<void> {
    const { store, database } = parts;
    const lacking = lackingFiles({
      segmentBytes: database.segmentBytes,
      own: this.#inventory(parts),
      histories: this.#allHistories(),
      peers: this.#peers.holdings,
      floors: this.#floors ?? [],
    }).filter((file) => !store.has(file) && (file.kind === 'history' || this.#floors !== null));
    const untilMs = performance.now() + REPAIR_MAX_MS;
    for (const file of lacking) {
      // Segments that are just being archived here need no repair.
      const isDue = file.kind === 'history' || this.#lacked.has(renderWalFile(file));
      // What is known of the peers must not grow old, and the own WAL goes first.
      if (performance.now() > untilMs || (this.#room?.freeBytes ?? 0) < REPAIR_FREE_BYTES_MIN) {
        break;
      }
      if (isDue) await this.#repairFile(parts, file);
    }
    this.#lacked = new Set(lacking.map(renderWalFile));
  }

  async #repairFile({ store, database }: Parts, file: WalFile): Promise<void> {
    const { spoolDirectory, log } = this.#options;
    const name = renderWalFile(file);
    const destination = join(spoolDirectory, `${name}.repair`);
    const signal = AbortSignal.timeout(FETCH_MAX_MS);
    try {
      const answer = await this.#peers.fetch(file, { database, destination }, signal);
      if (answer !== 'fetched') return;
      if ((await store.put(file, destination)) === 'stored') {
        log.info('A file that the archive lacked came from a peer', { file: name });
      }
      await this.#learn(file, destination);
    } finally {
      await rm(destination, { force: true });
    }
  }

  /** There may be 200,000 segments: they are only looked through when there are others. */
  #inventory(parts: Parts): Inventory {
    const { revision } = parts.store;
    if (this.#known?.revision !== revision) {
      this.#known = { revision, segments: inventoryIn(parts.store, parts.database.segmentBytes) };
    }
    return this.#known.segments;
  }

  async #readHistories({ store }: Parts): Promise<void> {
    const { revision } = store;
    if (this.#historiesOf === revision) return;
    for (const { file } of store.files()) {
      if (file.kind !== 'history' || file.timeline in this.#histories) continue;
      const path = join(this.#options.spoolDirectory, `${renderWalFile(file)}.read`);
      try {
        if (await store.get(file, path)) await this.#learn(file, path);
      } finally {
        await rm(path, { force: true });
      }
    }
    this.#historiesOf = revision;
  }

  /** It is archived, whatever comes of this; the next look finds it. */
  async #learnIfPossible(file: WalFile, path: string): Promise<void> {
    await this.#learn(file, path).catch((error: unknown) => {
      const fields = { file: renderWalFile(file), error: messageOf(error) };
      this.#options.log.warn('A history cannot be read yet', fields);
    });
  }

  async #learn(file: WalFile, path: string): Promise<void> {
    if (file.kind !== 'history') return;
    const text = await readFile(path, 'utf8');
    this.#histories = { ...this.#histories, [file.timeline]: parseTimelineHistory(text) };
    await writeDurably(join(historiesFolder(this.#options.socket), renderWalFile(file)), text);
  }
}

function archived({ file, atMs }: LastArchived, { segmentBytes }: Database): ArchiveReport['last'] {
  const endLsn = endOfSegment(file, segmentBytes);
  return { file, at: new Date(atMs).toISOString(), ...(endLsn === null ? {} : { endLsn }) };
}
