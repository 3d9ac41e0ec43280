/**
 * The PostgreSQL on this server: started, stopped, promoted and observed. What it is doing is known
 * from its process and from what it answers, never from what it was told to do.
 */
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { readControlData } from '../adapters/postgres/control-data';
import { explainFailure } from '../adapters/postgres/failures';
import { type LocalAddress, type LocalConnection } from '../adapters/postgres/local-connection';
import { type LogEntry } from '../adapters/postgres/log-line';
import { type RareFacts } from '../adapters/postgres/observe';
import { Postmaster, type Exit } from '../adapters/postgres/postmaster';
import { killProcessesIn } from '../adapters/postgres/processes';
import { IS_STANDBY, PROMOTE, SETTING } from '../adapters/postgres/sql';
import { walBytesFrom } from '../adapters/postgres/wal-end';
import { type Log } from '../adapters/log';
import { messageOf, OperatingError } from '../core/errors';
import { type Lsn } from '../core/lsn';
import { type PostgresReport, type Problem } from '../core/protocol';
import { hasData, hasStandbySignal, removeLeftOverLock } from './data-directory';
import { type PostgresMeter } from './instance-metrics';
import { Observer } from './observer';
import { RepeatedMessages } from './repeated-messages';
import { crashesInARow, restartDelayMs } from './restart-pacing';
import { ServerMessages } from './server-messages';
import { isStreamFailure, StreamFailures } from './stream-failures';
import { WarmObserver } from './warm-observer';

export interface LocalPostgresOptions {
  readonly directory: string;
  readonly binDirectory: string;
  readonly address: LocalAddress;
  readonly startTimeoutMs: number;
  /** Up to where a standby has surely replayed what the archive gave it; null when not known. */
  readonly shippedLsn: () => Lsn | null;
  /** Absent: nobody wants to know. */
  readonly meter?: PostgresMeter;
  readonly log: Log;
  /** Called whenever something of what can be read here may have become different. */
  readonly onChange: () => void;
}

/** How long each of the ever harder ways to stop may take. */
export interface StopLimits {
  readonly fastMs: number;
  readonly immediateMs: number;
}

/** The ever harder steps of a fence, as moments on the clock of `performance.now()`. */
export interface FenceTimes {
  readonly quitAtMs: number;
  readonly killAtMs: number;
}

type Phase = 'stopped' | 'starting' | 'running' | 'stopping';
type StoppedReport = Extract<PostgresReport, { state: 'stopped' }>;

const PROMOTE_POLL_MS = 2;
/** Longer than any change of role, in which a lookup of the name must not begin. */
const OUT_OF_REACH_MS = 15_000;
/** Promotion replays what was received first. */
const PROMOTE_MAX_MS = 60_000;
const PROMOTE_QUERY_MAX_MS = 5000;
const SETTING_MAX_MS = 2000;

export class LocalPostgres {
  readonly #options: LocalPostgresOptions;
  readonly #observer: Observer;
  /** Of a standby that accepts no connections. */
  readonly #warm: WarmObserver;
  readonly #messages = new ServerMessages();
  readonly #streamFailures = new StreamFailures();
  readonly #repeated = new RepeatedMessages();
  #phase: Phase = 'stopped';
  #postmaster: Postmaster | null = null;
  /** Resolves when the postmaster is gone and its control data has been read. */
  #ended: Promise<void> = Promise.resolve();
  /** null when the control data cannot be read: what is not known is not guessed. */
  #stopped: StoppedReport | null = { state: 'stopped', control: null, standbySignal: false };
  #isStopWanted = false;
  #mayWrite = false;
  #isSecluded = false;
  #recoveryBytes: number | null = null;
  /** How many fences there have been: what began before one of them must not go on after it. */
  #fences = 0;
  #fencesUnderWay = 0;
  /** In a row. */
  #crashes = 0;
  #readyAtMs = Infinity;

  constructor(options: LocalPostgresOptions) {
    this.#options = options;
    const onChange = (): void => this.#observed();
    this.#observer = new Observer({ ...options, onChange });
    this.#warm = new WarmObserver({ ...options, onChange });
  }

  get connection(): LocalConnection {
    return this.#observer.connection;
  }

  get report(): PostgresReport {
    switch (this.#phase) {
      case 'stopped':
        return this.#stopped ?? { state: 'unknown' };
      case 'starting':
        return { state: 'starting', recoveryBytes: this.#recoveryBytes };
      case 'stopping':
        return { state: 'stopping' };
      case 'running':
        return this.#warm.report ?? this.#observer.running ?? { state: 'unknown' };
    }
  }

  get rare(): RareFacts | null {
    return this.#phase === 'running' ? this.#observer.rare : null;
  }

  /** Whether what a reload has changed, and what it could not, is known; a warm standby says neither. */
  get hasSeenReload(): boolean {
    return this.#warm.report !== null || this.#observer.hasSeenReload;
  }

  /** It has failed to stream for so long that its upstream may be elsewhere by now. */
  get isOutOfReach(): boolean {
    const { isStreaming } = this.#observer;
    return this.#streamFailures.lasting(performance.now(), isStreaming, OUT_OF_REACH_MS) !== null;
  }

  /** Why a standby has not been streaming for a while; null when it is, or nothing is known. */
  get streamProblem(): Problem | null {
    const words = this.#streamFailures.lasting(performance.now(), this.#observer.isStreaming);
    if (words === null) return null;
    const { code, message } = explainFailure(
      new OperatingError('transient', 'ProgramFailed', words),
      { attempted: 'streaming from the upstream', otherwise: 'NotStreaming' },
    ) as OperatingError;
    return { reason: code, message };
  }

  /**
   * It runs as primary, or may become one at any moment: from just before it is started or promoted
   * until every process of it is gone.
   */
  get mayWrite(): boolean {
    return this.#mayWrite;
  }

  /** It runs, or did last, where nobody reaches it. */
  get isSecluded(): boolean {
    return this.#isSecluded;
  }

  /** Observations are this far apart. */
  set pollEveryMs(value: number) {
    this.#observer.everyMs = value;
  }

  /** Reads the control data of a server that does not run. */
  async inspect(): Promise<void> {
    const { directory, binDirectory } = this.#options;
    this.#stopped = null;
    const standbySignal = await hasStandbySignal(directory);
    const control = (await hasData(directory))
      ? await readControlData(directory, binDirectory)
      : null;
    this.#stopped = { state: 'stopped', control, standbySignal };
    this.#options.onChange();
  }

  /**
   * Returns when connections are accepted; an abort ends the waiting, not the server. Secluded, it is
   * out of reach of everybody whose writes would count, and needs no lease.
   */
  async start(abort: AbortSignal, { isSecluded = false } = {}): Promise<void> {
    const { directory, binDirectory, address } = this.#options;
    const fences = this.#fences;
    this.#throwIfFencedSince(fences);
    await sleep(restartDelayMs(this.#crashes), undefined, { signal: abort });
    await killProcessesIn(directory);
    await removeLeftOverLock(directory);
    await removeLeftOverSocketLock(address);
    const isStandby = await hasStandbySignal(directory);
    this.#recoveryBytes = isStandby ? null : await this.#bytesToRecover();
    // From here on nothing waits: a stop or a fence that was told meanwhile is not overtaken.
    abort.throwIfAborted();
    this.#throwIfFencedSince(fences);
    this.#isSecluded = isSecluded;
    if (!isStandby && !isSecluded) this.#enableWrites(fences);
    this.#isStopWanted = false;
    this.#messages.clear();
    this.#streamFailures.clear();
    const onLog = (entry: LogEntry): void => this.#read(entry);
    const postmaster = new Postmaster({ directory, binDirectory, onLog });
    this.#postmaster = postmaster;
    this.#options.meter?.started();
    this.#readyAtMs = Infinity;
    this.#enter('starting');
    this.#ended = this.#watchEnd(postmaster);
    await Promise.race([this.#watchReady(postmaster), this.#ended, aborted(abort)]);
    abort.throwIfAborted();
    this.#throwIfFencedSince(fences);
    if (!postmaster.hasExited) return;
    await this.#ended;
    throw explainFailure(new OperatingError('transient', 'ProgramFailed', this.#messages.ofStart), {
      attempted: 'starting PostgreSQL',
      otherwise: 'StartFailed',
    });
  }

  /** What it has said since its last start that tells why it ended. */
  get lastWords(): string {
    return this.#messages.ofStart;
  }

  /** Fast, then immediate, then by killing every process; returns when nothing of it is left. */
  async stop(limits: StopLimits): Promise<void> {
    const postmaster = this.#postmaster;
    if (postmaster === null) {
      if (this.#stopped !== null) return;
      const message = 'PostgreSQL does not run, but its control data cannot be read';
      throw new OperatingError('transient', 'ControlDataUnreadable', message);
    }
    this.#isStopWanted = true;
    this.#enter('stopping');
    const { log } = this.#options;
    postmaster.signal('SIGINT');
    if (!(await postmaster.exitsWithin(limits.fastMs))) {
      log.warn('PostgreSQL does not stop in time: stopping it at once', { ...limits });
      postmaster.signal('SIGQUIT');
      if (!(await postmaster.exitsWithin(limits.immediateMs))) {
        log.error('PostgreSQL does not stop: killing all of its processes', { ...limits });
        await postmaster.kill();
      }
    }
    await this.#ended;
  }

  /**
   * Returns when nothing of PostgreSQL is left: a fast stop at once, which may take until `quitAtMs`,
   * then an immediate one, at `killAtMs` the end of every process. A start or a promotion under way
   * ends with an error, and none begins meanwhile. To be called once or more often.
   */
  async fence(times: FenceTimes): Promise<void> {
    this.#fences += 1;
    this.#fencesUnderWay += 1;
    this.#options.meter?.fenced();
    try {
      const postmaster = this.#postmaster;
      if (postmaster === null) await killProcessesIn(this.#options.directory);
      else await this.#fence(postmaster, times);
    } finally {
      this.#fencesUnderWay -= 1;
    }
  }

  /** Returns as soon as writes are accepted. */
  async promote(): Promise<void> {
    const fences = this.#fences;
    this.#throwIfFencedSince(fences);
    if (this.#postmaster?.hasExited === false) this.#enableWrites(fences);
    const query = { timeoutMs: PROMOTE_QUERY_MAX_MS };
    const deadlineMs = performance.now() + PROMOTE_MAX_MS;
    await this.connection.query(PROMOTE, query);
    for (;;) {
      const [row] = await this.connection.query<{ is_standby: boolean }>(IS_STANDBY, query);
      this.#throwIfFencedSince(fences);
      if (row?.is_standby === false) break;
      if (performance.now() > deadlineMs) {
        const message = `the promotion takes longer than ${PROMOTE_MAX_MS / 1000} s`;
        throw new OperatingError('transient', 'PromotionSlow', message);
      }
      await sleep(PROMOTE_POLL_MS);
    }
    await this.#observer.observe();
  }

  /** Makes the server read its configuration files again. */
  async reload(): Promise<void> {
    await this.#postmaster?.reload();
    this.#observer.expectReload();
  }

  /** What kept it from streaming until now was said of another upstream. */
  forgetStreamFailures(): void {
    this.#streamFailures.clear();
  }

  /** After a reload: returns when new statements see the setting's value. */
  async untilSetting(name: string, value: string): Promise<void> {
    const deadlineMs = performance.now() + SETTING_MAX_MS;
    for (;;) {
      const [row] = await this.connection.query<{ value: string }>(SETTING, {
        values: [name],
        timeoutMs: PROMOTE_QUERY_MAX_MS,
      });
      if (row?.value === value) return;
      if (performance.now() > deadlineMs) {
        const message = `${name} is still '${row?.value ?? ''}' after a reload, expected '${value}'`;
        throw new OperatingError('transient', 'SettingNotInForce', message);
      }
      await sleep(PROMOTE_POLL_MS);
    }
  }

  /** Observes everything at once. */
  async observe(): Promise<void> {
    await (this.#warm.report === null ? this.#observer.observeAll() : this.#warm.look());
  }

  async #fence(postmaster: Postmaster, { quitAtMs, killAtMs }: FenceTimes): Promise<void> {
    const { log } = this.#options;
    this.#isStopWanted = true;
    const isStopped = this.#stopsBy(quitAtMs, postmaster, 'SIGINT');
    if (this.#phase !== 'stopping') this.#enter('stopping');
    if (await isStopped) return;
    log.warn('PostgreSQL does not stop in time to be fenced: stopping it at once');
    if (await this.#stopsBy(killAtMs, postmaster, 'SIGQUIT')) return;
    log.error('PostgreSQL does not stop in time to be fenced: killing all of its processes');
    await postmaster.kill();
  }

  /** A step for which the time is over already is left out. */
  async #stopsBy(
    atMs: number,
    postmaster: Postmaster,
    signal: 'SIGINT' | 'SIGQUIT',
  ): Promise<boolean> {
    const leftMs = atMs - performance.now();
    if (leftMs <= 0) return postmaster.hasExited;
    postmaster.signal(signal);
    return await postmaster.exitsWithin(leftMs);
  }

  #throwIfFencedSince(fences: number): void {
    if (fences === this.#fences && this.#fencesUnderWay === 0) return;
    const message = 'PostgreSQL was fenced: what was under way is broken off';
    throw new OperatingError('stale', 'Fenced', message);
  }

  /** Whoever is told of it may answer with a fence. */
  #enableWrites(fences: number): void {
    this.#setMayWrite(true);
    try {
      this.#throwIfFencedSince(fences);
    } catch (error) {
      if (this.#postmaster === null) this.#setMayWrite(false);
      throw error;
    }
  }

  #setMayWrite(mayWrite: boolean): void {
    if (mayWrite === this.#mayWrite) return;
    this.#mayWrite = mayWrite;
    this.#options.onChange();
  }

  /** Somebody may have promoted it by hand. */
  #observed(): void {
    const isPrimary = this.#observer.running?.state === 'primary' && !this.#isSecluded;
    if (isPrimary && this.#postmaster?.hasExited === false) this.#mayWrite = true;
    this.#options.onChange();
  }

  /** What a crash recovery will replay; null when it was stopped in order, or nothing is known. */
  async #bytesToRecover(): Promise<number | null> {
    const control = this.#stopped?.control ?? null;
    if (control === null || control.clusterState.startsWith('shut down')) return null;
    return await walBytesFrom(join(this.#options.directory, 'pg_wal'), control.checkpointLsn);
  }

  #enter(phase: Phase): void {
    this.#phase = phase;
    this.#options.onChange();
  }

  async #watchReady(postmaster: Postmaster): Promise<void> {
    const { startTimeoutMs, log } = this.#options;
    const slow = setTimeout(() => {
      log.warn('PostgreSQL is still starting', { seconds: startTimeoutMs / 1000 });
    }, startTimeoutMs);
    const readiness = await postmaster.ready();
    clearTimeout(slow);
    if (readiness === null) return;
    await (readiness === 'warm' ? this.#warm : this.#observer).begin();
    if (postmaster.hasExited) this.#endObserving();
    else if (this.#phase === 'starting') this.#enter('running');
    this.#readyAtMs = performance.now();
  }

  async #watchEnd(postmaster: Postmaster): Promise<void> {
    const exit = await postmaster.exited;
    this.#endObserving();
    this.#phase = 'stopping';
    this.#setMayWrite(false);
    if (!this.#isStopWanted) this.#noteCrash(exit);
    try {
      await this.inspect();
    } catch (error) {
      this.#options.log.error('The control data cannot be read', { error: messageOf(error) });
    }
    this.#postmaster = null;
    this.#enter('stopped');
  }

  #endObserving(): void {
    this.#observer.end();
    this.#warm.end();
  }

  #noteCrash(exit: Exit): void {
    this.#crashes = crashesInARow(this.#crashes, performance.now() - this.#readyAtMs);
    this.#options.meter?.crashed();
    this.#options.log.error('PostgreSQL has ended by itself', { ...exit });
  }

  #read(entry: LogEntry): void {
    const { severity, level, message, fields } = entry;
    const nowMs = performance.now();
    this.#messages.add(entry);
    if (isStreamFailure(entry)) this.#streamFailures.add(message, nowMs);
    if (this.#repeated.has(entry, nowMs)) return;
    this.#options.log.log(severity, message, { postgres: level, ...fields });
  }
}

async function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  await new Promise<void>((resolve) => {
    signal.addEventListener('abort', () => resolve(), { once: true });
  });
}

/**
 * As with the lock on the data directory: nothing else listens in a directory of our own, and the
 * process id in the file may be another process's by now.
 */
async function removeLeftOverSocketLock({ socketDirectory, port }: LocalAddress): Promise<void> {
  await rm(join(socketDirectory, `.s.PGSQL.${port}.lock`), { force: true });
}
