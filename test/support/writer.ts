/**
 * A client that writes without pause and remembers what became of every write: the end-to-end tests
 * and the benchmarks judge a change of primary by it. One connection, one row in one transaction
 * every few milliseconds; when the connection is lost, it races for the next writable server.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { DatabaseError, type ClientBase } from 'pg';
import { parseLibpqUri, type LibpqUri } from './libpq-uri';
import { raceForSession, type Session } from './race';
import { countOf, longestGap, missingIds, type Attempt, type Gap, type Outcome } from './writes';

export interface WriterOptions {
  /** From one write to the next, unless the answer takes longer. */
  readonly intervalMs?: number;
  readonly connectTimeoutMs?: number;
  readonly answerTimeoutMs?: number;
  readonly retryMs?: number;
  /** Made when it is missing; several writers can share it. */
  readonly table?: string;
}

const DEFAULTS = {
  intervalMs: 5,
  connectTimeoutMs: 1000,
  answerTimeoutMs: 2000,
  retryMs: 5,
  table: 'pgswarm_writer',
};
const WAIT_MS_MAX = 60_000;
/** In hexadecimal; the name of a WAL file begins with it. */
const TIMELINE = `left(pg_walfile_name(pg_current_wal_insert_lsn()), 8) as timeline`;

interface Waiter {
  readonly isMet: (attempt: Attempt) => boolean;
  readonly resolve: (attempt: Attempt) => void;
  readonly reject: (problem: Error) => void;
}

export class Writer {
  readonly #uri: LibpqUri;
  readonly #options: Required<WriterOptions>;
  /** Tells this writer's rows from those of others. */
  readonly run = `${Date.now()}-${process.pid}-${Math.floor(Math.random() * 1e9)}`;
  readonly #attempts: Attempt[] = [];
  readonly #waiters = new Set<Waiter>();
  readonly #end = new AbortController();
  #acknowledged = 0;
  #loop: Promise<void> | null = null;

  constructor(uri: string, options: WriterOptions = {}) {
    this.#uri = parseLibpqUri(uri);
    const { connectTimeoutMs } = this.#uri;
    this.#options = {
      ...DEFAULTS,
      ...(connectTimeoutMs === null ? {} : { connectTimeoutMs }),
      ...options,
    };
  }

  /** Every attempt that has ended, in order. */
  get attempts(): readonly Attempt[] {
    return this.#attempts;
  }

  /** How many writes were acknowledged. */
  get acknowledged(): number {
    return this.#acknowledged;
  }

  /** How many writes may or may not be in the table. */
  get unknown(): number {
    return countOf(this.#attempts, 'unknown');
  }

  /** Who acknowledged the last write; null before the first. */
  get server(): string | null {
    return this.#attempts.findLast(({ outcome }) => outcome === 'acknowledged')?.server ?? null;
  }

  /** The clock of every time in the history. */
  now(): number {
    return performance.now();
  }

  /** Makes the table and begins; resolves with the first acknowledged write. */
  async start(timeoutMs = WAIT_MS_MAX): Promise<void> {
    if (this.#loop !== null) throw new Error('this writer was started before');
    const first = this.waitForWrites(1, timeoutMs);
    this.#loop = this.#write();
    try {
      await first;
    } catch (error) {
      await this.stop();
      throw error;
    }
  }

  /** Ends after the write that is under way. */
  async stop(): Promise<void> {
    this.#end.abort();
    await this.#loop;
  }

  /** The longest time without an acknowledged write that ended, or still lasts, after `sinceMs`. */
  longestGap(sinceMs: number, untilMs: number = this.now()): Gap {
    return longestGap(this.#attempts, { sinceMs, untilMs });
  }

  /** Ids of acknowledged writes that this server does not have: none, or commits were lost. */
  async missing(client: ClientBase): Promise<number[]> {
    const attempts = [...this.#attempts];
    const { rows } = await client.query<{ id: number }>(
      `select id from ${this.#options.table} where run = $1`,
      [this.run],
    );
    return missingIds(
      attempts,
      rows.map(({ id }) => id),
    );
  }

  /** As `missing`, on the server that accepts writes now. */
  async missingOnPrimary(): Promise<number[]> {
    const signal = AbortSignal.timeout(WAIT_MS_MAX);
    const session = await raceForSession(this.#uri, {
      ...this.#options,
      answerTimeoutMs: WAIT_MS_MAX,
      signal,
    });
    try {
      return await this.missing(session.client);
    } finally {
      session.close();
    }
  }

  /** Resolves when so many more writes have been acknowledged. */
  async waitForWrites(count: number, timeoutMs = WAIT_MS_MAX): Promise<void> {
    const wanted = this.#acknowledged + count;
    await this.#wait(`${count} writes`, timeoutMs, () => this.#acknowledged >= wanted);
  }

  /** Resolves with the first write that is acknowledged by another server than this one. */
  waitForOtherServer(than: string | null, timeoutMs = WAIT_MS_MAX): Promise<Attempt> {
    const what = `a write to another server than ${than ?? 'none'}`;
    return this.#wait(what, timeoutMs, ({ server }) => server !== than);
  }

  /** Resolves with the first acknowledged write that was sent after this moment. */
  waitForWriteSince(sinceMs: number, timeoutMs = WAIT_MS_MAX): Promise<Attempt> {
    return this.#wait('a new write', timeoutMs, ({ sentAtMs }) => sentAtMs > sinceMs);
  }

  async #wait(
    what: string,
    timeoutMs: number,
    isMet: (attempt: Attempt) => boolean,
  ): Promise<Attempt> {
    let timer: NodeJS.Timeout | undefined;
    let waiter: Waiter | undefined;
    const met = new Promise<Attempt>((resolve, reject) => {
      waiter = { isMet, resolve, reject };
      this.#waiters.add(waiter);
      timer = setTimeout(() => {
        const last = this.#attempts.at(-1)?.problem ?? 'none failed';
        reject(new Error(`waited ${timeoutMs / 1000} s for ${what}; the last problem: ${last}`));
      }, timeoutMs);
    });
    try {
      return await met;
    } finally {
      clearTimeout(timer);
      if (waiter !== undefined) this.#waiters.delete(waiter);
    }
  }

  async #write(): Promise<void> {
    const { signal } = this.#end;
    let session: Session | null = null;
    try {
      for (let id = 1; !signal.aborted;) {
        session ??= await this.#connect();
        const dueMs = this.now() + this.#options.intervalMs;
        if (!session.isLost()) {
          this.#record(await this.#attempt(session, id));
          id += 1;
        }
        if (session.isLost()) session = null;
        else await sleep(Math.max(0, dueMs - this.now()));
      }
    } catch (error) {
      this.#giveUp(signal.aborted ? new Error('the writer was stopped') : (error as Error));
    } finally {
      session?.close();
    }
    this.#giveUp(new Error('the writer was stopped'));
  }

  /** Nobody waits for writes that will never come. */
  #giveUp(problem: Error): void {
    for (const waiter of this.#waiters) waiter.reject(problem);
  }

  async #connect(): Promise<Session> {
    const session = await raceForSession(this.#uri, { ...this.#options, signal: this.#end.signal });
    if (this.#acknowledged > 0) return session;
    await session.client
      .query(
        `create table if not exists ${this.#options.table}
           (run text, id integer, at timestamptz not null default clock_timestamp(), primary key (run, id))`,
      )
      .catch((error: unknown) => {
        session.close();
        if (isRefusal(error)) throw error;
      });
    return session;
  }

  async #attempt(session: Session, id: number): Promise<Attempt> {
    const { server, client } = session;
    const sentAtMs = this.now();
    const ended = (outcome: Outcome, timeline: number | null, problem: string | null): Attempt => ({
      ...{ id, server, sentAtMs, endedAtMs: this.now(), outcome, timeline, problem },
    });
    try {
      const text = `insert into ${this.#options.table} (run, id) values ($1, $2) returning ${TIMELINE}`;
      const values = [this.run, id];
      const { rows } = await client.query<{ timeline: string }>({ name: 'write', text, values });
      return ended('acknowledged', Number.parseInt(rows[0]?.timeline ?? '', 16), null);
    } catch (error) {
      // Whatever it was, this connection is not one to go on with.
      session.close();
      await lost(session);
      return ended(isRefusal(error) ? 'refused' : 'unknown', null, (error as Error).message);
    }
  }

  #record(attempt: Attempt): void {
    this.#attempts.push(attempt);
    if (attempt.outcome !== 'acknowledged') return;
    this.#acknowledged += 1;
    for (const waiter of this.#waiters) if (waiter.isMet(attempt)) waiter.resolve(attempt);
  }
}

/**
 * Only an error of the statement says that nothing was committed. A fatal one ends the session, and
 * can come after the commit: a wait for synchronous standbys that is broken off by a stop.
 */
function isRefusal(error: unknown): boolean {
  return error instanceof DatabaseError && error.severity === 'ERROR';
}

/** A destroyed socket closes in the next turn of the event loop. */
async function lost(session: Session): Promise<void> {
  while (!session.isLost()) await new Promise(setImmediate);
}
