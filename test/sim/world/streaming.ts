/** Streaming replication: a receiver on the standby, a sender for it on the upstream. */
import { type SimProcess } from '../kernel/process';
import { type Postgres, type PostgresWorld } from './postgres';
import { contains, type Position } from './wal';

/** `wal_retrieve_retry_interval`. */
const RETRY_MS = 150;
/** Looks for a connection that has died in silence; `wal_receiver_timeout`. */
const WATCH_MS = 1_000;
const TIMEOUT_MS = 5_000;

export class Receiver {
  readonly #own: Postgres;
  readonly #process: SimProcess;
  readonly #world: PostgresWorld;
  #sender: Sender | null = null;
  #isOn = false;
  /** PostgreSQL's words since the last success. */
  failure: string | null = null;
  /** The furthest end of the upstream's WAL that it has heard of. */
  upstreamEnd: Position | null = null;

  constructor(own: Postgres, process: SimProcess, world: PostgresWorld) {
    this.#own = own;
    this.#process = process;
    this.#world = world;
  }

  get isStreaming(): boolean {
    return this.#sender !== null;
  }

  begin(): void {
    this.#isOn = true;
    this.#connect();
  }

  end(): void {
    this.#isOn = false;
    this.#sender?.close();
  }

  /** The upstream may be another one. */
  follow(): void {
    const { upstream } = this.#own.data ?? {};
    if (this.#sender !== null && this.#sender.upstream.server !== upstream?.host) {
      this.#sender.close();
    }
  }

  /** The connection has ended. */
  lost(sender: Sender): void {
    if (this.#sender !== sender) return;
    this.#sender = null;
    this.#later();
  }

  #later(): void {
    if (this.#isOn) this.#process.after(RETRY_MS, () => this.#connect());
  }

  #connect(): void {
    if (!this.#isOn || this.#sender !== null) return;
    const host = this.#own.data?.upstream?.host;
    const upstream = host === undefined ? null : this.#world.find(host);
    const { network } = this.#world;
    if (upstream === null) {
      this.#later();
      return;
    }
    if (!network.isOpenBothWays('replication', this.#own.host, upstream.host)) {
      this.failure = 'timeout expired';
      this.#later();
      return;
    }
    if (upstream.process?.isFrozen === true) {
      this.#later();
      return;
    }
    this.failure = upstream.refusal(this.#own);
    if (this.failure !== null) {
      this.#later();
      return;
    }
    const sender = new Sender(upstream, this.#own, this, this.#world);
    this.#sender = sender;
    upstream.attach(sender);
    this.#watch(sender, 0);
  }

  #watch(sender: Sender, silentMs: number): void {
    this.#process.after(WATCH_MS, () => {
      if (this.#sender !== sender) return;
      const { upstream } = sender;
      const isHeard =
        this.#world.network.isOpenBothWays('replication', this.#own.host, upstream.host) &&
        upstream.process?.isFrozen !== true;
      if (!isHeard && silentMs + WATCH_MS >= TIMEOUT_MS) sender.close();
      else this.#watch(sender, isHeard ? 0 : silentMs + WATCH_MS);
    });
  }
}

export class Sender {
  readonly upstream: Postgres;
  /** The standby's name. */
  readonly name: string;
  /** What the upstream knows to be on the standby's disk. */
  flushed: Position;
  sent: Position;
  readonly #downstream: Postgres;
  readonly #receiver: Receiver;
  readonly #upstreamProcess: SimProcess;
  readonly #downstreamProcess: SimProcess;
  readonly #world: PostgresWorld;
  #isInFlight = false;
  #isOpen = true;

  constructor(upstream: Postgres, downstream: Postgres, receiver: Receiver, world: PostgresWorld) {
    if (upstream.process === null || downstream.process === null) throw new Error('not running');
    this.upstream = upstream;
    this.name = downstream.server;
    this.flushed = downstream.end;
    this.sent = downstream.end;
    this.#downstream = downstream;
    this.#receiver = receiver;
    this.#upstreamProcess = upstream.process;
    this.#downstreamProcess = downstream.process;
    this.#world = world;
  }

  close(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    this.upstream.detach(this);
    this.#receiver.lost(this);
  }

  /** Sends what there is, unless something is on its way already. */
  pump(): void {
    const target = this.upstream.end;
    if (!this.#isOpen || this.#isInFlight || contains(this.sent, target)) return;
    this.#isInFlight = true;
    this.sent = target;
    this.#message(this.upstream, this.#downstream, this.#downstreamProcess, () => {
      this.#receiver.upstreamEnd = target;
      this.#downstreamProcess.after(this.#downstream.temper.flushMs, () => {
        if (!this.#isOpen) return;
        this.#downstream.receive(target);
        this.#confirm(target);
      });
    });
  }

  #confirm(target: Position): void {
    this.#message(this.#downstream, this.upstream, this.#upstreamProcess, () => {
      this.flushed = target;
      this.#isInFlight = false;
      this.upstream.release();
      this.pump();
    });
  }

  #message(from: Postgres, to: Postgres, process: SimProcess, act: () => void): void {
    this.#world.network.send('replication', from.host, to.host, () => {
      process.after(0, () => {
        if (this.#isOpen) act();
      });
    });
  }
}
