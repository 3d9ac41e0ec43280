/**
 * Answers PostgreSQL's archive_command. PostgreSQL asks for one file at a time; while it is being
 * stored, what is `.ready` behind it is stored too, so that the answer is there when it is asked
 * for. What was stored and is never asked for does no harm: it is asked for after the next start.
 *
 * An answer never waits for a slow volume when PostgreSQL is to stop. What is under way goes on.
 */
import { join } from 'node:path';
import { ARCHIVE_PAUSE_MAX_MS } from '../../core/archive/pause';
import { renderWalFile, type WalFile } from '../../core/archive/wal-files';
import { messageOf, OperatingError } from '../../core/errors';
import { type Log } from '../../adapters/log';
import { type ArchiveStore } from './archive-store';
import { readReadyFiles } from './ready-files';
import { GrowthRate } from '../growth-rate';
import { type ArchiveMeter } from '../instance-metrics';
import { DONE, later, LEAVE, type WalAnswer } from './wal-socket';

export interface ArchiverOptions {
  readonly store: Pick<ArchiveStore, 'put'>;
  /** `pg_wal` of the data directory. */
  readonly walDirectory: string;
  readonly segmentBytes: number;
  readonly log: Pick<Log, 'info' | 'warn' | 'error'>;
  /** Absent: nobody wants to know. */
  readonly meter?: ArchiveMeter | undefined;
  /** Called whenever `state` may show something different. */
  readonly onChange: () => void;
}

export interface ArchivingFailure {
  readonly file: string;
  /** The error's code: `ArchiveVolumeFull`, `ArchiveConflict`, … */
  readonly reason: string;
  readonly message: string;
  /** On the clock of `Date.now()`, as all that is told to people. */
  readonly sinceMs: number;
}

export interface LastArchived {
  readonly file: string;
  readonly atMs: number;
}

export interface ArchiverState {
  /** The last file of which PostgreSQL was told that it is archived. */
  readonly lastArchived: LastArchived | null;
  readonly failure: ArchivingFailure | null;
  /** How many files wait, when it was last counted; null when it never was. */
  readonly waiting: number | null;
  /** For so long archiving is still paused; null when it is not. */
  readonly pausedForMs: number | null;
  /** WAL that the server writes; null when it is not known yet. */
  readonly bytesPerSecond: number | null;
}

/** Two: one is synced while the other is read, hashed and compressed. */
const AT_ONCE = 2;
/** So many are stored before they are asked for. */
const AHEAD_MAX = 16;
/** PostgreSQL marks a file as done a moment after it has got the answer. */
const ANSWERED_KEPT = 2 * AHEAD_MAX;

export class Archiver {
  readonly #options: ArchiverOptions;
  readonly #rate = new GrowthRate();
  /** What is being stored, or is stored and has not been asked for yet. */
  readonly #jobs = new Map<string, Promise<void>>();
  /** What was `.ready` at the last look, and is not being stored yet. */
  readonly #ahead = new Map<string, WalFile>();
  readonly #answered = new Set<string>();
  /** Those who wait for an answer, to be told to leave. */
  readonly #askers = new Set<() => void>();
  #running = 0;
  #isLooking = false;
  #isStopping = false;
  #pausedUntilMs = -Infinity;
  #archivedBytes = 0;
  #lastArchived: ArchiverState['lastArchived'] = null;
  #failure: ArchivingFailure | null = null;
  #waiting: number | null = null;

  constructor(options: ArchiverOptions) {
    this.#options = options;
  }

  get state(): ArchiverState {
    const pausedForMs = this.#pausedUntilMs - performance.now();
    return {
      lastArchived: this.#lastArchived,
      failure: this.#failure,
      waiting: this.#waiting,
      pausedForMs: pausedForMs > 0 ? pausedForMs : null,
      bytesPerSecond: this.#rate.bytesPerSecond(performance.now()),
    };
  }

  /** The answer for a file that PostgreSQL wants to be archived. */
  async archive(file: WalFile, path: string): Promise<WalAnswer> {
    if (this.#isStopping) return LEAVE;
    const { pausedForMs } = this.state;
    if (pausedForMs !== null) {
      return later(`archiving is paused for another ${Math.ceil(pausedForMs / 1000)} s`);
    }
    const name = renderWalFile(file);
    try {
      const job = this.#jobFor(file, path);
      void this.#goAhead();
      if ((await this.#unlessLeaving(job)) === 'leave') return LEAVE;
      this.#jobs.delete(name);
      this.#noteArchived(file);
      return DONE;
    } catch (error) {
      this.#noteFailure(name, error);
      return later(messageOf(error));
    }
  }

  /** Keeps PostgreSQL waiting, for a bounded time; says for how long. */
  pause(forMs: number): number {
    const boundedMs = Math.min(forMs, ARCHIVE_PAUSE_MAX_MS);
    if (this.state.pausedForMs === null) {
      this.#options.log.warn('Archiving is paused', { seconds: Math.round(boundedMs / 1000) });
    }
    this.#pausedUntilMs = performance.now() + boundedMs;
    this.#options.onChange();
    return boundedMs;
  }

  resume(): void {
    if (this.state.pausedForMs === null) return;
    this.#pausedUntilMs = -Infinity;
    this.#options.log.info('Archiving goes on');
    this.#options.onChange();
  }

  /**
   * While PostgreSQL is being stopped its archiver is told to leave, at once. What was stored ahead
   * is compared again after that: by then `pg_wal` may be another one.
   */
  stopping(isStopping: boolean): void {
    this.#isStopping = isStopping;
    if (!isStopping) return;
    for (const leave of this.#askers) leave();
    this.#jobs.clear();
    this.#ahead.clear();
  }

  /** Counts what waits; to be called now and then, so that it is known while nothing is asked. */
  async countWaiting(): Promise<number> {
    const { length } = await readReadyFiles(this.#options.walDirectory);
    this.#noteWaiting(length);
    return length;
  }

  #jobFor(file: WalFile, path: string): Promise<void> {
    const name = renderWalFile(file);
    const known = this.#jobs.get(name);
    if (known !== undefined) return known;
    // Nobody has asked for these: they are not what PostgreSQL wants any more.
    if (this.#jobs.size > AHEAD_MAX) this.#jobs.clear();
    const job = this.#store(file, path);
    this.#jobs.set(name, job);
    this.#ahead.delete(name);
    // One that failed is tried again when it is asked for.
    job.catch(() => this.#forget(name, job));
    return job;
  }

  async #store(file: WalFile, path: string): Promise<void> {
    const { store, meter, segmentBytes } = this.#options;
    const beganMs = performance.now();
    this.#running += 1;
    try {
      await store.put(file, path);
      const bytes = file.kind === 'segment' ? segmentBytes : 0;
      meter?.archived(bytes, performance.now() - beganMs);
    } catch (error) {
      meter?.archiveFailed();
      throw error;
    } finally {
      this.#running -= 1;
    }
    void this.#goAhead();
  }

  #forget(name: string, job: Promise<void>): void {
    if (this.#jobs.get(name) === job) this.#jobs.delete(name);
  }

  /** Stores what will be asked for next. */
  async #goAhead(): Promise<void> {
    if (this.#isLooking || !this.#mayGoAhead()) return;
    if (this.#ahead.size === 0) await this.#look();
    for (const [name, file] of this.#ahead) {
      if (!this.#mayGoAhead()) return;
      void this.#jobFor(file, join(this.#options.walDirectory, name));
    }
  }

  async #look(): Promise<void> {
    this.#isLooking = true;
    try {
      const ready = await readReadyFiles(this.#options.walDirectory);
      this.#noteWaiting(ready.length);
      for (const file of ready) {
        const name = renderWalFile(file);
        const isDealtWith = this.#jobs.has(name) || this.#answered.has(name);
        if (!isDealtWith) this.#ahead.set(name, file);
      }
    } catch {
      // Whatever it is, PostgreSQL asks for the file itself; then the error is told.
    } finally {
      this.#isLooking = false;
    }
  }

  #mayGoAhead(): boolean {
    return (
      this.#running < AT_ONCE &&
      this.#jobs.size < AHEAD_MAX &&
      !this.#isStopping &&
      this.state.pausedForMs === null
    );
  }

  async #unlessLeaving(job: Promise<void>): Promise<'done' | 'leave'> {
    return await new Promise((resolve, reject) => {
      const leave = (): void => resolve('leave');
      this.#askers.add(leave);
      job.then(() => resolve('done'), reject).finally(() => this.#askers.delete(leave));
    });
  }

  #noteArchived(file: WalFile): void {
    const { log, onChange, segmentBytes } = this.#options;
    const name = renderWalFile(file);
    this.#answered.add(name);
    const [oldest] = this.#answered;
    if (this.#answered.size > ANSWERED_KEPT && oldest !== undefined) this.#answered.delete(oldest);
    if (this.#failure !== null) log.info('Archiving works again', { file: name });
    this.#failure = null;
    this.#lastArchived = { file: name, atMs: Date.now() };
    if (file.kind === 'segment') this.#archivedBytes += segmentBytes;
    if (this.#waiting !== null) this.#noteWaiting(Math.max(0, this.#waiting - 1));
    onChange();
  }

  #noteWaiting(waiting: number): void {
    this.#waiting = waiting;
    const bytes = this.#archivedBytes + waiting * this.#options.segmentBytes;
    this.#rate.note(bytes, performance.now());
  }

  /** The first failure and every other reason are of interest, not each repetition. */
  #noteFailure(file: string, error: unknown): void {
    const { log, onChange } = this.#options;
    const reason = error instanceof OperatingError ? error.code : 'ArchiveFailed';
    const before = this.#failure;
    const sinceMs = before?.sinceMs ?? Date.now();
    this.#failure = { file, reason, message: messageOf(error), sinceMs };
    if (before?.reason === reason) return;
    log.error('Archiving fails', { ...this.#failure });
    onChange();
  }
}
