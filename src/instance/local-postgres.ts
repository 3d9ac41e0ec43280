/**
 * The PostgreSQL on this server: started, stopped, promoted and observed. What it is doing is known
 * from its process and from what it answers, never from what it was told to do.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { readControlData } from '../adapters/postgres/control-data';
import { explainFailure } from '../adapters/postgres/failures';
import { LocalConnection, type LocalAddress } from '../adapters/postgres/local-connection';
import { type LogEntry } from '../adapters/postgres/log-line';
import {
  observeRarely,
  observeServer,
  type RareFacts,
  type RunningReport,
} from '../adapters/postgres/observe';
import { Postmaster, type Exit } from '../adapters/postgres/postmaster';
import { killProcessesIn } from '../adapters/postgres/processes';
import { IS_STANDBY, PROMOTE } from '../adapters/postgres/sql';
import { type Log } from '../adapters/log';
import { messageOf, OperatingError } from '../core/errors';
import { type PostgresReport } from '../core/protocol';
import { hasData, hasStandbySignal, removeLeftOverLock } from './data-directory';
import { restartDelayMs } from './restart-pacing';
import { StartLog } from './start-log';

export interface LocalPostgresOptions {
  readonly directory: string;
  readonly binDirectory: string;
  readonly address: LocalAddress;
  readonly startTimeoutMs: number;
  readonly log: Log;
  /** Called whenever `report` or `rare` may have become different. */
  readonly onChange: () => void;
}

/** How long each of the ever harder ways to stop may take. */
export interface StopLimits {
  readonly fastMs: number;
  readonly immediateMs: number;
}

type Phase = 'stopped' | 'starting' | 'running' | 'stopping';

const RARE_EVERY_MS = 1000;
const SETTLING_MS = 5000;
const SETTLING_POLL_MS = 10;
/** A reload reaches all processes within a moment. */
const RELOAD_SETTLES_MS = 100;
const PROMOTE_POLL_MS = 2;
/** Promotion replays what was received first. */
const PROMOTE_MAX_MS = 60_000;
const PROMOTE_QUERY_MAX_MS = 5000;
const CRASHES_KEPT = 20;

export class LocalPostgres {
  readonly connection: LocalConnection;
  readonly #options: LocalPostgresOptions;
  readonly #startLog = new StartLog();
  #phase: Phase = 'stopped';
  #postmaster: Postmaster | null = null;
  /** Resolves when the postmaster is gone and its control data has been read. */
  #ended: Promise<void> = Promise.resolve();
  #stopped: Extract<PostgresReport, { state: 'stopped' }> = {
    state: 'stopped',
    control: null,
    standbySignal: false,
  };
  #running: RunningReport | null = null;
  #rare: RareFacts | null = null;
  #rareDueAtMs = 0;
  #startedAtMs = 0;
  #isStopWanted = false;
  #crashedAtMs: number[] = [];
  #pollEveryMs = RARE_EVERY_MS;
  #wakePoll: () => void = () => undefined;

  constructor(options: LocalPostgresOptions) {
    this.#options = options;
    this.connection = new LocalConnection(options.address);
  }

  get report(): PostgresReport {
    switch (this.#phase) {
      case 'stopped':
        return this.#stopped;
      case 'starting':
      case 'stopping':
        return { state: this.#phase };
      case 'running':
        return this.#running ?? { state: 'unknown' };
    }
  }

  get rare(): RareFacts | null {
    return this.#phase === 'running' ? this.#rare : null;
  }

  /** Observations are this far apart. */
  set pollEveryMs(value: number) {
    if (value === this.#pollEveryMs) return;
    this.#pollEveryMs = value;
    this.#wakePoll();
  }

  /** Reads the control data of a server that does not run. */
  async inspect(): Promise<void> {
    const { directory, binDirectory } = this.#options;
    const control = (await hasData(directory))
      ? await readControlData(directory, binDirectory)
      : null;
    this.#stopped = {
      state: 'stopped',
      control,
      standbySignal: await hasStandbySignal(directory),
    };
    this.#options.onChange();
  }

  /** Returns when connections are accepted; an abort ends the waiting, not the server. */
  async start(abort: AbortSignal): Promise<void> {
    const { directory } = this.#options;
    await sleep(restartDelayMs(this.#crashedAtMs, performance.now()), undefined, { signal: abort });
    await killProcessesIn(directory, null);
    await removeLeftOverLock(directory);
    // From here on nothing waits: a stop that was told meanwhile is not overtaken by this start.
    abort.throwIfAborted();
    this.#isStopWanted = false;
    this.#startLog.clear();
    const postmaster = new Postmaster({
      directory,
      binDirectory: this.#options.binDirectory,
      onLog: (entry) => this.#log(entry),
    });
    this.#postmaster = postmaster;
    this.#enter('starting');
    this.#ended = this.#watch(postmaster);
    await Promise.race([this.#watchReady(postmaster), this.#ended, aborted(abort)]);
    abort.throwIfAborted();
    if (!postmaster.hasExited) return;
    await this.#ended;
    throw explainFailure(new OperatingError('transient', 'ProgramFailed', this.#startLog.text), {
      attempted: 'starting PostgreSQL',
      otherwise: 'StartFailed',
    });
  }

  /** Fast, then immediate, then by killing every process; returns when nothing of it is left. */
  async stop(limits: StopLimits): Promise<void> {
    const postmaster = this.#postmaster;
    if (postmaster === null) return;
    this.#isStopWanted = true;
    this.#enter('stopping');
    const { log } = this.#options;
    postmaster.signal('SIGINT');
    if (!(await this.#exitsWithin(limits.fastMs))) {
      log.warn('PostgreSQL does not stop in time: stopping it at once', { ...limits });
      postmaster.signal('SIGQUIT');
      if (!(await this.#exitsWithin(limits.immediateMs))) {
        log.error('PostgreSQL does not stop: killing all of its processes', { ...limits });
        await postmaster.kill();
      }
    }
    await this.#ended;
  }

  /** Returns as soon as writes are accepted. */
  async promote(): Promise<void> {
    const query = { timeoutMs: PROMOTE_QUERY_MAX_MS };
    const deadlineMs = performance.now() + PROMOTE_MAX_MS;
    await this.connection.query(PROMOTE, query);
    for (;;) {
      const [row] = await this.connection.query<{ is_standby: boolean }>(IS_STANDBY, query);
      if (row?.is_standby === false) break;
      if (performance.now() > deadlineMs) {
        const message = `the promotion takes longer than ${PROMOTE_MAX_MS / 1000} s`;
        throw new OperatingError('transient', 'PromotionSlow', message);
      }
      await sleep(PROMOTE_POLL_MS);
    }
    await this.#observe();
  }

  /** Makes the server read its configuration files again. */
  reload(): void {
    this.#postmaster?.signal('SIGHUP');
    this.#rareDueAtMs = performance.now() + RELOAD_SETTLES_MS;
  }

  /** Asks at once what is otherwise asked rarely. */
  async observeNow(): Promise<void> {
    this.#rareDueAtMs = 0;
    await this.#observe();
  }

  #enter(phase: Phase): void {
    this.#phase = phase;
    this.#options.onChange();
  }

  async #watchReady(postmaster: Postmaster): Promise<void> {
    const slow = setTimeout(() => {
      const seconds = this.#options.startTimeoutMs / 1000;
      this.#options.log.warn('PostgreSQL is still starting', { seconds });
    }, this.#options.startTimeoutMs);
    const isReady = await postmaster.ready();
    clearTimeout(slow);
    if (!isReady) return;
    await this.#observe();
    if (this.#phase === 'starting') this.#enter('running');
    this.#startedAtMs = performance.now();
    void this.#poll(postmaster);
  }

  async #watch(postmaster: Postmaster): Promise<void> {
    const exit = await postmaster.exited;
    this.connection.close();
    this.#running = null;
    this.#rare = null;
    this.#phase = 'stopping';
    if (!this.#isStopWanted) this.#noteCrash(exit);
    try {
      await this.inspect();
    } catch (error) {
      this.#options.log.error('The control data cannot be read', { error: messageOf(error) });
    }
    this.#postmaster = null;
    this.#wakePoll();
    this.#enter('stopped');
  }

  #noteCrash(exit: Exit): void {
    this.#crashedAtMs = [...this.#crashedAtMs, performance.now()].slice(-CRASHES_KEPT);
    this.#options.log.error('PostgreSQL has ended by itself', { ...exit });
  }

  /** Observes until the postmaster is gone. */
  async #poll(postmaster: Postmaster): Promise<void> {
    for (;;) {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, this.#untilNextPollMs);
        this.#wakePoll = () => {
          clearTimeout(timer);
          resolve();
        };
      });
      if (postmaster.hasExited) return;
      if (this.#phase === 'running') await this.#observe();
    }
  }

  /** A standby that has just started is about to stream: that is worth knowing at once. */
  get #untilNextPollMs(): number {
    const isSettling =
      this.#running?.state === 'standby' &&
      this.#running.receiver?.status !== 'streaming' &&
      performance.now() - this.#startedAtMs < SETTLING_MS;
    return isSettling ? SETTLING_POLL_MS : this.#pollEveryMs;
  }

  /** What cannot be asked is unknown: the last answer is not repeated as if it were still true. */
  async #observe(): Promise<void> {
    try {
      if (performance.now() >= this.#rareDueAtMs) {
        this.#rare = await observeRarely(this.connection);
        this.#rareDueAtMs = performance.now() + RARE_EVERY_MS;
      }
      this.#running = await observeServer(this.connection, this.#rare?.pendingRestart ?? []);
    } catch (error) {
      if (this.#phase === 'running' && this.#running !== null) {
        this.#options.log.warn('PostgreSQL does not answer', { error: messageOf(error) });
      }
      this.#running = null;
    }
    this.#options.onChange();
  }

  async #exitsWithin(milliseconds: number): Promise<boolean> {
    const postmaster = this.#postmaster;
    if (postmaster === null) return true;
    const timer = new AbortController();
    const late = sleep(milliseconds, false, { signal: timer.signal }).catch(() => false);
    const isOut = await Promise.race([postmaster.exited.then(() => true), late]);
    timer.abort();
    return isOut;
  }

  #log(entry: LogEntry): void {
    this.#startLog.add(entry);
    const { severity, level, message, fields } = entry;
    this.#options.log.log(severity, message, { postgres: level, ...fields });
  }
}

async function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  await new Promise<void>((resolve) => {
    signal.addEventListener('abort', () => resolve(), { once: true });
  });
}
