/**
 * Time is a queue of events. One event runs at a time, with everything that it sets off in the
 * same moment; then the next one. Nothing in the simulated world happens outside of an event.
 */
import { type SimProcess } from './process';

export interface SimEvent {
  atMs: number;
  /** Events of the same moment run in the order in which they were asked for. */
  readonly order: number;
  /** In whose program it happens; null: in the world itself. */
  readonly process: SimProcess | null;
  readonly act: () => void;
  isCancelled: boolean;
}

export class Scheduler {
  readonly #queue: SimEvent[] = [];
  #nowMs = 0;
  #order = 0;
  #current: SimProcess | null = null;
  #isStopped = false;
  #eventsRun = 0;

  /** The only true time; nobody in the world can read it. */
  get nowMs(): number {
    return this.#nowMs;
  }

  /** Whose code is running. */
  get current(): SimProcess | null {
    return this.#current;
  }

  get isStopped(): boolean {
    return this.#isStopped;
  }

  get eventsRun(): number {
    return this.#eventsRun;
  }

  after(delayMs: number, act: () => void, process: SimProcess | null = null): SimEvent {
    const atMs = this.#nowMs + Math.max(0, delayMs);
    const event = { atMs, order: (this.#order += 1), process, act, isCancelled: false };
    this.#push(event);
    return event;
  }

  /** No event after the present one. */
  stop(): void {
    this.#isStopped = true;
  }

  async runFor(durationMs: number): Promise<void> {
    await this.runUntil(this.#nowMs + durationMs);
  }

  async runUntil(endMs: number): Promise<void> {
    // From here on this is a microtask, so that `drained` waits for all the others.
    await Promise.resolve();
    for (;;) {
      const event = this.#queue[0];
      if (event === undefined || event.atMs > endMs || this.#isStopped) break;
      this.#pop();
      if (event.isCancelled) continue;
      this.#nowMs = event.atMs;
      await this.#run(event);
    }
    if (!this.#isStopped) this.#nowMs = Math.max(this.#nowMs, endMs);
  }

  async #run(event: SimEvent): Promise<void> {
    const { process, act } = event;
    if (process === null) {
      act();
    } else if (process.isFrozen) {
      process.hold(event);
      return;
    } else if (process.isAlive) {
      this.#current = process;
      act();
      if (process.runsCode) await drained();
      this.#current = null;
    }
    this.#eventsRun += 1;
  }

  /** For events that a frozen process could not run: they are due now, in their old order. */
  resume(held: readonly SimEvent[]): void {
    for (const event of held) {
      this.#push({ ...event, atMs: this.#nowMs, order: (this.#order += 1) });
    }
  }

  #push(event: SimEvent): void {
    const queue = this.#queue;
    let index = queue.push(event) - 1;
    while (index > 0) {
      const parent = (index - 1) >> 1;
      if (isEarlier(queue[parent]!, event)) break;
      queue[index] = queue[parent]!;
      index = parent;
    }
    queue[index] = event;
  }

  #pop(): void {
    const queue = this.#queue;
    const last = queue.pop();
    if (last === undefined || queue.length === 0) return;
    let index = 0;
    for (;;) {
      let child = 2 * index + 1;
      if (child >= queue.length) break;
      const right = queue[child + 1];
      if (right !== undefined && isEarlier(right, queue[child]!)) child += 1;
      if (isEarlier(last, queue[child]!)) break;
      queue[index] = queue[child]!;
      index = child;
    }
    queue[index] = last;
  }
}

const isEarlier = (a: SimEvent, b: SimEvent): boolean =>
  a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order);

/** Resolves when no microtask is left: Node looks at its ticks only then. */
const drained = (): Promise<void> => new Promise((resolve) => process.nextTick(resolve));
