/**
 * The client of the fault matrix: several writers that follow the primary, and one that stays with
 * the server that was primary in the beginning. It keeps the whole history and judges it.
 */
import { type Docker } from '../lab/docker';
import { gapOfAll, merged, twoWriters, type TwoWriters } from './history';
import { parseLibpqUri } from './libpq-uri';
import { raceForSession, serverOf } from './race';
import { StubbornClient } from './stubborn-client';
import { Writer } from './writer';
import { countOf, type Attempt, type Gap } from './writes';

export interface ClientOptions {
  /** Names every server, and asks for the one that accepts writes. */
  readonly uri: string;
  readonly table: string;
  readonly writers?: number;
  /** For the stubborn one: see there. Null: without it. */
  readonly stubborn: {
    readonly daemon: Docker;
    readonly image: string;
    /** Container of the node on which the primary is, as `host:port` says. */
    readonly beside: (server: string) => string;
  } | null;
}

/** What became of all writes. */
export interface Judgement extends TwoWriters {
  readonly acknowledged: number;
  readonly unknown: number;
  /** Acknowledged writes that the present primary does not have. */
  readonly lost: number;
  /** Of these, those of the stubborn client. */
  readonly lostStubborn: number;
}

const writersDefault = 4;
const judgeMaxMs = 60_000;
/** Short, so that the gap is the cluster's and not the client's. */
const impatience = { intervalMs: 10, connectTimeoutMs: 300, answerTimeoutMs: 1000, retryMs: 10 };

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
    return Promise.any(
      this.#writers.map((writer) => writer.waitForOtherServer(than, timeoutMs)),
    ).catch((error: unknown) => {
      throw error instanceof AggregateError ? error.errors[0] : error;
    });
  }

  /** Longest time in which no writer got anything through; the stubborn one is not asked. */
  longestGap(sinceMs: number, untilMs: number = this.now()): Gap {
    const histories = this.#writers.map(({ attempts }) => attempts);
    return gapOfAll(histories, { sinceMs, untilMs });
  }

  /** When the stubborn client's last write was acknowledged after this moment; null for none. */
  lastStubbornWrite(sinceMs: number): number | null {
    const written = this.#stubborn?.attempts.findLast(({ outcome }) => outcome === 'acknowledged');
    return written === undefined || written.endedAtMs < sinceMs ? null : written.endedAtMs;
  }

  /** Reads the present primary's table, after the end. */
  async judge(): Promise<Judgement> {
    const attempts = this.#attempts();
    const options = { ...impatience, answerTimeoutMs: judgeMaxMs };
    const signal = AbortSignal.timeout(judgeMaxMs);
    const session = await raceForSession(parseLibpqUri(this.#options.uri), { ...options, signal });
    try {
      let lost = 0;
      for (const writer of this.#writers) lost += (await writer.missing(session.client)).length;
      const lostStubborn = (await this.#stubborn?.missing(session.client))?.length ?? 0;
      return {
        ...twoWriters(attempts),
        acknowledged: countOf(attempts, 'acknowledged'),
        unknown: countOf(attempts, 'unknown'),
        lost: lost + lostStubborn,
        lostStubborn,
      };
    } finally {
      session.close();
    }
  }

  /** Attempts of everybody, in the order in which they ended. */
  #attempts(): Attempt[] {
    const histories = this.#writers.map(({ attempts }) => attempts);
    return merged([...histories, this.#stubborn?.attempts ?? []]);
  }

  async #stay(): Promise<StubbornClient | null> {
    const { stubborn, table } = this.#options;
    const { server } = this;
    if (stubborn === null || server === null) return null;
    const uri = parseLibpqUri(this.#options.uri);
    const { daemon, image, beside } = stubborn;
    const hosts = uri.hosts.filter((host) => serverOf(host) === server);
    return StubbornClient.start({
      ...{ daemon, image, beside: beside(server), table, uri: { ...uri, hosts } },
    });
  }
}
