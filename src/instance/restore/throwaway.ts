/**
 * A PostgreSQL on a copy that is thrown away: it replays WAL up to a point and can then be looked at,
 * by nobody but the instance manager. It has no network, no archive to write to, no upstream, and
 * ends with the manager: the guard sees to that, in whatever way the manager goes.
 */
import { chmod, mkdir, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseControlData, readControlFields } from '../../adapters/postgres/control-data';
import { readText, writeDurably } from '../../adapters/postgres/durable-files';
import { explainFailure } from '../../adapters/postgres/failures';
import { LocalConnection, type LocalAddress } from '../../adapters/postgres/local-connection';
import { type LogEntry } from '../../adapters/postgres/log-line';
import { Postmaster } from '../../adapters/postgres/postmaster';
import { runProgram } from '../../adapters/postgres/programs';
import { type Log } from '../../adapters/log';
import { messageOf, OperatingError } from '../../core/errors';
import { lagBytes, type Lsn } from '../../core/lsn';
import {
  concludeRecovery,
  refuseBeforeBackup,
  type Recovery,
  type RecoverySeen,
  type RestoredTo,
} from '../../core/restore/recovery';
import { NOTHING_LOGGED, readRecoveryLog, type RecoveryLog } from '../../core/restore/recovery-log';
import { type RestoreTarget } from '../../core/restore/target';
import {
  parseMinimums,
  raise,
  renderThrowawayHba,
  renderThrowawaySettings,
  type Minimums,
} from '../../core/restore/throwaway-settings';
import { ENTRY_FILE, HBA_FILE } from '../../core/settings';
import { startGuard, type Guard } from '../guard';
import { OBSERVE_RECOVERY, type RecoveryRow } from './recovery-sql';
import { refuseForeignFiles, removeScratch, type Scratch } from './scratch';

export interface ThrowawayOptions {
  /** Holds a complete copy, ready for recovery. */
  readonly scratch: Scratch;
  /** Made, and removed again; a socket's path may have 107 bytes. */
  readonly socketDirectory: string;
  readonly binDirectory: string;
  readonly log: Log;
  /** For people to look at it over the network; absent: nobody but the instance manager can. */
  readonly access?: ThrowawayAccess;
}

export interface ThrowawayAccess {
  readonly port: number;
  /** Lines of `pg_hba.conf`. */
  readonly hba: readonly string[];
}

export interface RecoveryOrder {
  readonly target: RestoreTarget;
  readonly restoreCommand: string;
  /** What the data needs to be read; anything else is the original's affair. */
  readonly parameters?: Readonly<Record<string, string>>;
  /** It is not thrown away when all is well, see `keep`. */
  readonly isKept?: boolean;
  /** Up to here the archive has WAL, perhaps with holes; null: not known. */
  readonly walEndsAtLsn: Lsn | null;
  readonly onProgress?: (progress: RecoveryProgress) => void;
}

export interface RecoveryProgress {
  readonly lsn: Lsn;
  /** ISO 8601: end of the last transaction that was replayed. */
  readonly at: string | null;
  /** Since replay began. */
  readonly bytesPerSecond: number;
}

/** No other program listens in the directory: any will do. */
const PORT = 5432;
const POLL_MS = 100;
const QUERY_MAX_MS = 10_000;
const STOP_MAX_MS = 3000;
/** The shutdown checkpoint writes whatever was replayed into the buffers. */
const ORDERLY_STOP_MAX_MS = 10 * 60_000;
/** What was logged before the server answered may still be on its way, or wait for its DETAIL. */
const LOG_SETTLES_MS = 50;
/** Five settings can be too low, and each may have been raised more than once while the WAL was written. */
const STARTS_MAX = 20;
const NOWHERE: RestoredTo = { lsn: null, at: null, timeline: null };
/** What makes a start something else, or belongs to the original. */
const STALE_FILES: readonly string[] = ['standby.signal', 'postmaster.pid', 'postmaster.opts'];
/** Read last, it would win over the generated file. */
const AUTO_FILE = 'postgresql.auto.conf';

export class Throwaway {
  /** For programs such as psql; `connection` is the manager's own. */
  readonly address: LocalAddress;
  readonly connection: LocalConnection;
  readonly #options: ThrowawayOptions;
  readonly #guard: Guard;
  #postmaster: Postmaster | null = null;
  #log: RecoveryLog = NOTHING_LOGGED;
  #startedAtMs = 0;

  constructor(options: ThrowawayOptions) {
    const { scratch, socketDirectory, log } = options;
    this.#options = options;
    this.address = { socketDirectory, port: options.access?.port ?? PORT };
    this.connection = new LocalConnection(this.address);
    this.#guard = startGuard({ directory: scratch.dataDirectory, log, onEnd: () => undefined });
  }

  /**
   * Replays up to the target. Returns when recovery has ended, well or not; the server runs then
   * unless `end` says otherwise. Throws when it could not even be tried, or is called off.
   */
  async recover(order: RecoveryOrder, signal: AbortSignal): Promise<Recovery> {
    const { dataDirectory } = this.#options.scratch;
    await refuseForeignFiles(dataDirectory);
    const label = (await readText(join(dataDirectory, 'backup_label'))) ?? '';
    const refused = refuseBeforeBackup(order.target, label);
    if (refused !== null) return refused;
    const control = await this.#readControl();
    let { minimums } = control;
    for (let starts = 1; ; starts += 1) {
      await this.#prepare(order, minimums);
      const seen = await this.#run(order, control.segmentBytes, signal);
      const recovery = this.#conclude(seen);
      const isTooLow = recovery.problem?.reason === 'ParameterTooLow';
      if (!isTooLow || starts === STARTS_MAX) return recovery;
      // They were raised later than the backup was made; replay goes on where it was.
      minimums = raise(minimums, seen.log.tooLow);
      await this.stop();
    }
  }

  /** Until it has ended by itself; throws when it is called off before. */
  async ended(signal: AbortSignal): Promise<void> {
    const postmaster = this.#postmaster;
    while (postmaster !== null && !(await postmaster.exitsWithin(POLL_MS))) {
      signal.throwIfAborted();
    }
  }

  /** At once: nothing of it has to be kept. Returns when no process of it is left. */
  async stop(): Promise<void> {
    this.connection.close();
    const postmaster = this.#postmaster;
    this.#postmaster = null;
    if (postmaster === null) return;
    postmaster.signal('SIGQUIT');
    if (!(await postmaster.exitsWithin(STOP_MAX_MS))) await postmaster.kill();
  }

  /** Stops it in order, after a promotion: what is left can be a server's data, once it is synced. */
  async keep(): Promise<void> {
    const { scratch, socketDirectory, binDirectory } = this.#options;
    this.connection.close();
    this.#postmaster?.signal('SIGINT');
    await this.#postmaster?.exitsWithin(ORDERLY_STOP_MAX_MS);
    await this.stop();
    this.#guard.close();
    await rm(socketDirectory, { recursive: true, force: true });
    const { clusterState } = await readControlFields(scratch.dataDirectory, binDirectory);
    if (clusterState === 'shut down') return;
    const message = `what was restored could not be stopped in order: it is ${clusterState}`;
    throw new OperatingError('transient', 'StopFailed', message);
  }

  /** Stops it and leaves nothing. */
  async remove(): Promise<void> {
    const { scratch, socketDirectory } = this.#options;
    await this.stop();
    this.#guard.close();
    await removeScratch(scratch);
    await rm(socketDirectory, { recursive: true, force: true });
  }

  async #readControl(): Promise<{ readonly minimums: Minimums; readonly segmentBytes: number }> {
    const { scratch, binDirectory } = this.#options;
    const text = await runProgram('pg_controldata', ['-D', scratch.dataDirectory], {
      binDirectory,
    });
    const { segmentBytes } = parseControlData(text);
    return { minimums: parseMinimums(text), segmentBytes: Number(segmentBytes) };
  }

  async #prepare(order: RecoveryOrder, minimums: Minimums): Promise<void> {
    const { scratch, access } = this.#options;
    const { dataDirectory } = scratch;
    const { socketDirectory, port } = this.address;
    const settings = renderThrowawaySettings({
      socketDirectory,
      port,
      isOpen: access !== undefined,
      restoreCommand: order.restoreCommand,
      target: order.target,
      minimums,
      parameters: order.parameters ?? {},
      isKept: order.isKept ?? false,
    });
    await rm(socketDirectory, { recursive: true, force: true });
    await mkdir(socketDirectory, { recursive: true, mode: 0o700 });
    await chmod(dataDirectory, 0o700);
    for (const name of STALE_FILES) await rm(join(dataDirectory, name), { force: true });
    await emptyDirectory(join(dataDirectory, 'pg_replslot'));
    await writeDurably(join(dataDirectory, ENTRY_FILE), settings);
    await writeDurably(join(dataDirectory, AUTO_FILE), '');
    await writeDurably(join(dataDirectory, HBA_FILE), renderThrowawayHba(access?.hba ?? []));
    await writeDurably(join(dataDirectory, 'recovery.signal'), '');
  }

  async #run(
    order: RecoveryOrder,
    segmentBytes: number,
    signal: AbortSignal,
  ): Promise<RecoverySeen> {
    const { scratch, binDirectory } = this.#options;
    signal.throwIfAborted();
    this.#log = NOTHING_LOGGED;
    this.#startedAtMs = performance.now();
    const onLog = (entry: LogEntry): void => this.#read(entry, order);
    const directory = scratch.dataDirectory;
    const postmaster = new Postmaster({ directory, binDirectory, onLog, isNice: true });
    this.#postmaster = postmaster;
    // What waits below waits for its exit, too.
    const callOff = (): void => void postmaster.kill();
    signal.addEventListener('abort', callOff, { once: true });
    try {
      const { end, replayed } = await this.#watch(postmaster, order);
      signal.throwIfAborted();
      if (end !== 'exited') await sleep(LOG_SETTLES_MS);
      const { target, walEndsAtLsn } = order;
      return { end, log: this.#log, target, replayed, walEndsAtLsn, segmentBytes };
    } finally {
      signal.removeEventListener('abort', callOff);
    }
  }

  async #watch(
    postmaster: Postmaster,
    order: RecoveryOrder,
  ): Promise<Pick<RecoverySeen, 'end' | 'replayed'>> {
    let replayed = NOWHERE;
    await postmaster.ready();
    while (!postmaster.hasExited) {
      const row = await this.#observe();
      if (row !== null) {
        replayed = { lsn: row.lsn, at: row.at, timeline: row.timeline };
        this.#tell(order, row.lsn, row.at);
        if (!row.is_recovering) return { end: 'promoted', replayed };
        if (row.pause === 'paused') return { end: 'paused', replayed };
      }
      await postmaster.exitsWithin(POLL_MS);
    }
    await postmaster.exited;
    return { end: 'exited', replayed };
  }

  /** null when it does not answer: it is promoted in this moment, or ends. */
  async #observe(): Promise<RecoveryRow | null> {
    try {
      const query = { timeoutMs: QUERY_MAX_MS };
      const [row] = await this.connection.query<RecoveryRow>(OBSERVE_RECOVERY, query);
      return row ?? null;
    } catch (error) {
      this.#options.log.debug('The throwaway does not answer', { error: messageOf(error) });
      return null;
    }
  }

  #read(entry: LogEntry, order: RecoveryOrder): void {
    const before = this.#log.progressLsn;
    this.#log = readRecoveryLog(this.#log, entry);
    const { progressLsn } = this.#log;
    if (progressLsn !== before) this.#tell(order, progressLsn, null);
    const { log } = this.#options;
    log.debug(entry.message, { postgres: entry.level, throwaway: true, ...entry.fields });
  }

  #tell({ onProgress }: RecoveryOrder, lsn: Lsn | null, at: string | null): void {
    const { redoFromLsn } = this.#log;
    if (onProgress === undefined || lsn === null || redoFromLsn === null) return;
    const seconds = (performance.now() - this.#startedAtMs) / 1000;
    onProgress({ lsn, at, bytesPerSecond: Math.round(lagBytes(lsn, redoFromLsn) / seconds) });
  }

  /** What core does not know is looked up among PostgreSQL's other words. */
  #conclude(seen: RecoverySeen): Recovery {
    const recovery = concludeRecovery(seen);
    if (recovery.problem?.reason !== 'RecoveryFailed') return recovery;
    const words = new OperatingError('transient', 'ProgramFailed', recovery.problem.message);
    const explained = explainFailure(words, {
      attempted: 'replaying WAL on a copy',
      otherwise: 'RecoveryFailed',
    }) as OperatingError;
    const { code: reason, message } = explained;
    return { ...recovery, message, problem: { reason, message } };
  }
}

async function emptyDirectory(path: string): Promise<void> {
  for (const name of await readdir(path).catch(() => [])) {
    await rm(join(path, name), { recursive: true });
  }
}
