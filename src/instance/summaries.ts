/** Keeps the WAL summarizer from holding up a promotion, and from keeping WAL for ever. */
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { readText, writeDurably } from '../adapters/postgres/durable-files';
import { SUMMARIZER } from '../adapters/postgres/sql';
import { type Log } from '../adapters/log';
import { messageOf } from '../core/errors';
import { renderSummaries, SUMMARIES_FILE } from '../core/settings';
import { isStuck, keepsUp, mayBegin, type Summarizer } from '../core/summaries';
import { type LocalPostgres } from './local-postgres';

export interface SummariesOptions {
  readonly directory: string;
  readonly majorVersion: number;
  readonly postgres: Pick<LocalPostgres, 'connection' | 'report' | 'reload' | 'untilSetting'>;
  readonly log: Log;
}

/** PostgreSQL has summaries since then. */
const FIRST_VERSION = 17;
const WATCH_EVERY_MS = 10_000;
const QUERY_MAX_MS = 2000;
/** What a promotion may lose by waiting for a summarizer that has just been woken. */
const CATCH_UP_MAX_MS = 100;
const CATCH_UP_POLL_MS = 5;
const WAKE_EVERY_MS = 20;

export class Summaries {
  readonly #options: SummariesOptions;
  #isPromoting = false;
  #before: Summarizer | null = null;

  constructor(options: SummariesOptions) {
    this.#options = options;
    if (this.#hasSummaries) setInterval(() => void this.#watch(), WATCH_EVERY_MS).unref();
  }

  /** The summarizer is woken until the promotion is over, or left out of it. */
  async whilePromoting(promote: () => Promise<void>): Promise<void> {
    this.#isPromoting = true;
    const pid = await this.#prepare().catch((error: unknown) => {
      this.#options.log.warn('The WAL summarizer cannot be seen', { error: messageOf(error) });
      return null;
    });
    const waking = setInterval(() => wake(pid), WAKE_EVERY_MS);
    try {
      await promote();
    } finally {
      clearInterval(waking);
      this.#isPromoting = false;
    }
  }

  get #hasSummaries(): boolean {
    return this.#options.majorVersion >= FIRST_VERSION;
  }

  /** The process to be woken; null when there is none that a promotion waits for. */
  async #prepare(): Promise<number | null> {
    if (!this.#hasSummaries) return null;
    const deadlineMs = performance.now() + CATCH_UP_MAX_MS;
    for (;;) {
      const summarizer = await this.#look();
      if (!summarizer.isOn) return null;
      if (keepsUp(summarizer)) return summarizer.pid;
      if (performance.now() > deadlineMs) break;
      wake(summarizer.pid);
      await sleep(CATCH_UP_POLL_MS);
    }
    await this.#leaveOut('it does not keep up, and a promotion would wait for it');
    return null;
  }

  async #watch(): Promise<void> {
    const { log, postgres } = this.#options;
    const { report } = postgres;
    if (report.state !== 'primary' && (report.state !== 'standby' || report.isWarm)) return;
    if (this.#isPromoting) return;
    try {
      const [before, now] = [this.#before, await this.#look()];
      this.#before = now;
      wake(now.pid);
      if (before !== null && isStuck(before, now)) await this.#leaveOut('it reads no more WAL');
      else if (!now.isOn && mayBegin(now)) await this.#takeIn();
    } catch (error) {
      log.debug('The WAL summarizer cannot be seen', { error: messageOf(error) });
    }
  }

  async #look(): Promise<Summarizer> {
    const { connection } = this.#options.postgres;
    const [row] = await connection.query<Summarizer>(SUMMARIZER, { timeoutMs: QUERY_MAX_MS });
    if (row === undefined) throw new Error('no row about the WAL summarizer');
    return row;
  }

  /** Every process has the new setting, or will have it before it hears of the promotion. */
  async #leaveOut(because: string): Promise<void> {
    const { directory, log, postgres } = this.#options;
    log.warn('WAL is not summarized for now: the next backup must be a full one', { because });
    await writeDurably(join(directory, SUMMARIES_FILE), renderSummaries(true));
    await postgres.reload();
    await postgres.untilSetting('summarize_wal', 'off');
  }

  /** What an earlier boot has left out, too. */
  async #takeIn(): Promise<void> {
    const { directory, log, postgres } = this.#options;
    const path = join(directory, SUMMARIES_FILE);
    if ((await readText(path)) === renderSummaries(false)) return;
    await writeDurably(path, renderSummaries(false));
    await postgres.reload();
    log.info('WAL is summarized again');
  }
}

/** Any signal that it handles wakes it; this one makes it read its settings. */
function wake(pid: number | null): void {
  try {
    if (pid !== null) process.kill(pid, 'SIGHUP');
  } catch {
    // It has ended: nobody waits for it then.
  }
}
