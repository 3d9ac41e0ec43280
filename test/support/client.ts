/**
 * The client of the fault matrix: several writers that follow the primary, and one that stays with
 * the server that was primary in the beginning. It keeps the whole history and judges it.
 */
import { gapOfAll, merged, twoWriters, type TwoWriters } from './history';
import { parseLibpqUri } from './libpq-uri';
import { raceForSession, serverOf } from './race';
import { StubbornClient, type StubbornOptions } from './stubborn-client';
import { Writer } from './writer';
import { countOf, type Attempt, type Gap } from './writes';

export interface ClientOptions {
  /** Names every server, and asks for the one that accepts writes. */
  readonly uri: string;
  readonly table: string;
  readonly writers?: number;
  /** Of the stubborn one: see there. Null: without it. */
  readonly stubborn: Pick<StubbornOptions, 'daemon' | 'image' | 'beside'> | null;
}

/** What became of all writes. */
export interface Judgement extends TwoWriters {
  readonly acknowledged: number;
  readonly unknown: number;
  /** Acknowledged writes that the present primary does not have. */
  readonly lost: number;
  /** Writes without an answer that it does not have either. */
  readonly absent: number;
  /** Rows in its table, of this client alone. */
  readonly rows: number;
}

const writersDefault = 4;
const judgeMaxMs = 60_000;
/** Short, so that the gap is the cluster's and not the client's: the writers do not ask in step. */
const impatience = { intervalMs: 10, connectTimeoutMs: 300, answerTimeoutMs: 1000, retryMs: 25 };

export class WritingClient {
  readonly #options: ClientOptions;
  readonly #writers: readonly Writer[];
  #stubborn: StubbornClient | null = null;

  constructor(options: ClientOptions) {
    this.#options = options;
    const { uri, table, writers = writersDefault } = options;
    this.#writers = Array.from(
      { length: writers },
      () => new Writer(uri, { ...impatience, table }),
    );
  }

  /** Resolves when every writer has written. */
  async start(): Promise<void> {
    const [first, ...others] = this.#writers;
    await first?.start(); // Makes the table.
    await Promise.all(others.map((writer) => writer.start()));
    this.#stubborn = await this.#stay();
  }

  async stop(): Promise<void> {
    await Promise.all([...this.#writers.map((writer) => writer.stop()), this.#stubborn?.stop()]);
  }

  now(): number {
    return performance.now();
  }

  /** Who acknowledged the last write, as `host:port`. */
  get server(): string | null {
    return this.#writers[0]?.server ?? null;
  }

  /** Resolves when each writer has got so many more writes through. */
  async waitForWrites(count: number, timeoutMs?: number): Promise<void> {
    await Promise.all(this.#writers.map((writer) => writer.waitForWrites(count, timeoutMs)));
  }

  /** Resolves with the first write that another server acknowledges. */
  waitForOtherServer(than: string, timeoutMs: number): Promise<Attempt> {
    return firstOf(this.#writers.map((writer) => writer.waitForOtherServer(than, timeoutMs)));
  }

  /** Resolves with the first write that was sent after this moment and got through. */
  waitForWriteSince(sinceMs: number, timeoutMs: number): Promise<Attempt> {
    return firstOf(this.#writers.map((writer) => writer.waitForWriteSince(sinceMs, timeoutMs)));
  }

  /** Longest time in which no writer got anything through; the stubborn one is not asked. */
  longestGap(sinceMs: number, untilMs: number = this.now()): Gap {
    const histories = this.#writers.map(({ attempts }) => attempts);
    return gapOfAll(histories, { sinceMs, untilMs });
  }

  /** Whether any writer got something through in this time. */
  hasWritten(sinceMs: number, untilMs: number): boolean {
    return this.#writers.some(({ attempts }) =>
      attempts.some(
        ({ outcome, sentAtMs, endedAtMs }) =>
          outcome === 'acknowledged' && sentAtMs >= sinceMs && endedAtMs <= untilMs,
      ),
    );
  }

  /** Reads the present primary's table, after the end. */
  async judge(): Promise<Judgement> {
    const attempts = merged(this.#clients().map((client) => client.attempts));
    const options = { ...impatience, answerTimeoutMs: judgeMaxMs };
    const signal = AbortSignal.timeout(judgeMaxMs);
    const session = await raceForSession(parseLibpqUri(this.#options.uri), { ...options, signal });
    try {
      const { rows } = await session.client.query<{ key: string }>(
        `select run || '/' || id as key from ${this.#options.table}`,
      );
      const present = new Set(rows.map(({ key }) => key));
      const missing = this.#clients().flatMap(({ run, attempts: own }) =>
        own.filter(({ id }) => !present.has(`${run}/${id}`)),
      );
      return {
        ...twoWriters(attempts),
        acknowledged: countOf(attempts, 'acknowledged'),
        unknown: countOf(attempts, 'unknown'),
        lost: countOf(missing, 'acknowledged'),
        absent: countOf(missing, 'unknown'),
        rows: rows.length,
      };
    } finally {
      session.close();
    }
  }

  #clients(): (Writer | StubbornClient)[] {
    return this.#stubborn === null ? [...this.#writers] : [...this.#writers, this.#stubborn];
  }

  async #stay(): Promise<StubbornClient | null> {
    const { stubborn, table } = this.#options;
    const { server } = this;
    if (stubborn === null || server === null) return null;
    const uri = parseLibpqUri(this.#options.uri);
    const hosts = uri.hosts.filter((host) => serverOf(host) === server);
    return StubbornClient.start({ ...stubborn, table, uri: { ...uri, hosts } });
  }
}

/** The first to succeed; when none does, the first one's failure. */
function firstOf<T>(waiting: readonly Promise<T>[]): Promise<T> {
  return Promise.any(waiting).catch((error: unknown) => {
    throw error instanceof AggregateError ? error.errors[0] : error;
  });
}
