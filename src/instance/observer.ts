/** The running server, asked again and again over one connection. */
import { LocalConnection, type LocalAddress } from '../adapters/postgres/local-connection';
import {
  observeRarely,
  observeServer,
  type RareFacts,
  type RunningReport,
} from '../adapters/postgres/observe';
import { type Log } from '../adapters/log';
import { messageOf } from '../core/errors';
import { furthestLsn, type Lsn } from '../core/lsn';
import { type StandbyReport } from '../core/protocol';

const RARE_EVERY_MS = 1000;
/** A standby that has just started is about to stream: that is worth knowing at once. */
const SETTLING_MS = 5000;
const SETTLING_POLL_MS = 10;
/** A reload reaches all processes within a moment. */
const RELOAD_SETTLES_MS = 100;

export interface ObserverOptions {
  readonly address: LocalAddress;
  /** The data directory. */
  readonly directory: string;
  readonly log: Log;
  readonly onChange: () => void;
}

export class Observer {
  readonly connection: LocalConnection;
  readonly #directory: string;
  readonly #log: Log;
  readonly #onChange: () => void;
  #running: RunningReport | null = null;
  #rare: RareFacts | null = null;
  #rareDueAtMs = 0;
  #rareBeganAtMs = 0;
  /** When the last reload has reached all processes. */
  #reloadedAtMs = 0;
  /** The latest that was seen since the server was started: it never goes back. */
  #timeline = 0;
  /** How far the upstream's WAL went, by all that was heard since then. */
  #upstreamLsn: Lsn | null = null;
  #beganAtMs = 0;
  #everyMs = RARE_EVERY_MS;
  #run = new AbortController();
  #wake: () => void = () => undefined;

  constructor(options: ObserverOptions) {
    this.connection = new LocalConnection(options.address);
    this.#directory = options.directory;
    this.#log = options.log;
    this.#onChange = options.onChange;
  }

  /** null: it does not answer. The last answer is not repeated as if it were still true. */
  get running(): RunningReport | null {
    return this.#running;
  }

  get rare(): RareFacts | null {
    return this.#rare;
  }

  get isStreaming(): boolean {
    return this.#running?.state === 'standby' && this.#running.receiver?.status === 'streaming';
  }

  set everyMs(value: number) {
    if (value === this.#everyMs) return;
    this.#everyMs = value;
    this.#wake();
  }

  /** Observes once, and then again and again until `end` is called. */
  async begin(): Promise<void> {
    this.#run = new AbortController();
    this.#beganAtMs = performance.now();
    this.#rareDueAtMs = 0;
    this.#timeline = 0;
    this.#upstreamLsn = null;
    await this.observe();
    void this.#observeUntilEnded(this.#run.signal);
  }

  end(): void {
    this.#run.abort();
    this.#wake();
    this.connection.close();
    this.#running = null;
    this.#rare = null;
  }

  async observe(): Promise<void> {
    try {
      if (performance.now() >= this.#rareDueAtMs) {
        const beganAtMs = performance.now();
        // First, for a reload in the midst of it has it asked again.
        this.#rareDueAtMs = beganAtMs + RARE_EVERY_MS;
        this.#rare = await observeRarely(this.connection, this.#directory);
        this.#rareBeganAtMs = beganAtMs;
      }
      const running = await observeServer(this.connection, this.#rare?.pendingRestart ?? []);
      // PostgreSQL forgets with the walreceiver, so when the upstream dies, what that knew.
      this.#timeline = Math.max(this.#timeline, running.timeline);
      const freeBytes = this.#rare?.freeBytes;
      const seen = freeBytes === undefined ? running : { ...running, freeBytes };
      this.#running = { ...seen, timeline: this.#timeline, ...this.#heardBy(running) };
    } catch (error) {
      if (this.#running !== null && !this.#run.signal.aborted) {
        this.#log.warn('PostgreSQL does not answer', { error: messageOf(error) });
      }
      this.#running = null;
      this.#rareDueAtMs = 0;
    }
    this.#onChange();
  }

  #heardBy(running: RunningReport): Pick<StandbyReport, 'upstreamLsn'> | null {
    if (running.state !== 'standby') return null;
    this.#upstreamLsn = furthestLsn([this.#upstreamLsn, running.upstreamLsn]);
    return { upstreamLsn: this.#upstreamLsn };
  }

  /** Asks at once what is otherwise asked rarely. */
  async observeAll(): Promise<void> {
    this.#rareDueAtMs = 0;
    await this.observe();
  }

  /** What is asked rarely is asked as soon as a reload has had its effect. */
  expectReload(): void {
    this.#reloadedAtMs = performance.now() + RELOAD_SETTLES_MS;
    this.#rareDueAtMs = this.#reloadedAtMs;
    this.#wake();
  }

  /** What is known is from after the last reload. */
  get hasSeenReload(): boolean {
    return this.#rareBeganAtMs >= this.#reloadedAtMs;
  }

  async #observeUntilEnded(ended: AbortSignal): Promise<void> {
    for (;;) {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, this.#untilNextMs);
        this.#wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
      if (ended.aborted) return;
      await this.observe();
    }
  }

  get #untilNextMs(): number {
    const isSettling =
      this.#running?.state === 'standby' &&
      !this.isStreaming &&
      performance.now() - this.#beganAtMs < SETTLING_MS;
    if (isSettling) return SETTLING_POLL_MS;
    if (this.hasSeenReload) return this.#everyMs;
    return Math.min(this.#everyMs, Math.max(0, this.#reloadedAtMs - performance.now()));
  }
}
