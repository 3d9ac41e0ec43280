/** A program that runs on a machine: it can be stopped for a while, and it can end for ever. */
import { type Scheduler, type SimEvent } from './scheduler';

/** The clocks of one machine, shared by all of its programs. */
export class MachineClock {
  readonly #scheduler: Scheduler;
  /** What its monotonic clock shows at the beginning, and how fast it goes. */
  readonly #bootMs: number;
  readonly #rate: number;
  #wallOffsetMs = 0;

  constructor(scheduler: Scheduler, bootMs: number, driftPpm: number) {
    this.#scheduler = scheduler;
    this.#bootMs = bootMs;
    this.#rate = 1 + driftPpm / 1_000_000;
  }

  monotonicMs(): number {
    return this.#bootMs + this.#scheduler.nowMs * this.#rate;
  }

  /** True time until this clock has gone on by `milliseconds`. */
  trueMs(milliseconds: number): number {
    return milliseconds / this.#rate;
  }

  wallMs(): number {
    return EPOCH_MS + this.#scheduler.nowMs * this.#rate + this.#wallOffsetMs;
  }

  /** Somebody sets the wall clock. */
  jumpWall(milliseconds: number): void {
    this.#wallOffsetMs += milliseconds;
  }
}

const EPOCH_MS = Date.UTC(2026, 0, 1);

export class SimProcess {
  readonly name: string;
  /** Name of the machine, for the network. */
  readonly host: string;
  readonly clock: MachineClock;
  /** Whether real code runs in it: then promises have to be waited for after every event. */
  readonly runsCode: boolean;
  readonly #scheduler: Scheduler;
  readonly #held: SimEvent[] = [];
  readonly #ends = new Set<() => void>();
  #freezes = 0;
  #isAlive = true;

  constructor(
    scheduler: Scheduler,
    identity: {
      readonly name: string;
      readonly host: string;
      readonly clock: MachineClock;
      readonly runsCode: boolean;
    },
  ) {
    this.#scheduler = scheduler;
    this.name = identity.name;
    this.host = identity.host;
    this.clock = identity.clock;
    this.runsCode = identity.runsCode;
  }

  get isAlive(): boolean {
    return this.#isAlive;
  }

  get isFrozen(): boolean {
    return this.#freezes > 0 && this.#isAlive;
  }

  /** `delayMs` of true time. */
  after(delayMs: number, act: () => void): SimEvent {
    return this.#scheduler.after(delayMs, act, this);
  }

  /** May be frozen for several reasons at once. */
  freeze(): void {
    this.#freezes += 1;
  }

  thaw(): void {
    this.#freezes -= 1;
    if (this.#freezes === 0) this.#scheduler.resume(this.#held.splice(0));
  }

  hold(event: SimEvent): void {
    this.#held.push(event);
  }

  /** Whatever it had still to do is never done. */
  kill(): void {
    if (!this.#isAlive) return;
    this.#isAlive = false;
    this.#held.length = 0;
    for (const end of this.#ends) end();
    this.#ends.clear();
  }

  /** What the kernel does when it ends; returns what takes this back. */
  onEnd(end: () => void): () => void {
    this.#ends.add(end);
    return () => this.#ends.delete(end);
  }
}
