/**
 * Puts the real code into simulated time: while an event of a simulated process runs, every timer
 * and every clock that it asks for is the process's own. Outside of events nothing is changed.
 */
import timersPromises from 'node:timers/promises';
import { type SimProcess } from './process';
import { type Scheduler, type SimEvent } from './scheduler';

const real = {
  setTimeout: globalThis.setTimeout,
  clearTimeout: globalThis.clearTimeout,
  setInterval: globalThis.setInterval,
  clearInterval: globalThis.clearInterval,
  now: performance.now.bind(performance),
  Date: globalThis.Date,
  pause: timersPromises.setTimeout,
};

/** The scheduler whose world exists at present; one world at a time. */
let world: Scheduler | null = null;

/** Whose code is running; null outside of every event. */
export const currentProcess = (): SimProcess | null => world?.current ?? null;

export function enterWorld(scheduler: Scheduler): void {
  world = scheduler;
}

/** What Node gives back from `setTimeout`, as far as anybody uses it. */
class SimTimer {
  readonly #process: SimProcess;
  readonly #act: () => void;
  readonly #everyMs: number | null;
  #event: SimEvent;

  constructor(process: SimProcess, act: () => void, delayMs: number, isRepeated: boolean) {
    this.#process = process;
    this.#act = act;
    this.#everyMs = isRepeated ? delayMs : null;
    this.#event = this.#arm(delayMs);
  }

  cancel(): void {
    this.#event.isCancelled = true;
    this.#isCancelled = true;
  }

  unref(): this {
    return this;
  }

  ref(): this {
    return this;
  }

  #isCancelled = false;

  #arm(delayMs: number): SimEvent {
    // Like Node: never less than a millisecond.
    const trueMs = this.#process.clock.trueMs(Math.max(1, Number.isNaN(delayMs) ? 1 : delayMs));
    return this.#process.after(trueMs, () => {
      if (this.#isCancelled) return;
      if (this.#everyMs !== null) this.#event = this.#arm(this.#everyMs);
      this.#act();
    });
  }
}

type Callback = (...args: unknown[]) => void;

const timer =
  (isRepeated: boolean, otherwise: typeof real.setTimeout) =>
  (callback: Callback, delayMs = 0, ...args: unknown[]): unknown => {
    const process = currentProcess();
    if (process === null) return otherwise(callback, delayMs, ...args);
    return new SimTimer(process, () => callback(...args), delayMs, isRepeated);
  };

const cancel =
  (otherwise: (timer: NodeJS.Timeout | undefined) => void) =>
  (timer: unknown): void => {
    if (timer instanceof SimTimer) timer.cancel();
    else otherwise(timer as NodeJS.Timeout | undefined);
  };

class AbortError extends Error {
  override readonly name = 'AbortError';
}

function pause<T>(
  delayMs = 0,
  value?: T,
  { signal }: { readonly signal?: AbortSignal } = {},
): Promise<T> {
  const process = currentProcess();
  if (process === null) return real.pause<T>(delayMs, value, { signal });
  return new Promise((resolve, reject) => {
    const fail = (): void => reject(new AbortError('The operation was aborted'));
    if (signal?.aborted === true) {
      fail();
      return;
    }
    const timer = new SimTimer(
      process,
      () => {
        signal?.removeEventListener('abort', abort);
        resolve(value as T);
      },
      delayMs,
      false,
    );
    const abort = (): void => {
      timer.cancel();
      fail();
    };
    signal?.addEventListener('abort', abort, { once: true });
  });
}

class SimDate extends real.Date {
  /** Like `Date`'s own; without an argument, the wall clock of whoever asks. */
  constructor(...given: readonly (string | number)[]) {
    super(...((given.length > 0 ? given : [SimDate.now()]) as [number]));
  }

  static override now(): number {
    return currentProcess()?.clock.wallMs() ?? real.Date.now();
  }
}

/** For the whole program; without effect outside of the events of a simulated world. */
export function installVirtualTime(): void {
  Object.assign(globalThis, {
    setTimeout: timer(false, real.setTimeout),
    setInterval: timer(true, real.setInterval as typeof real.setTimeout),
    clearTimeout: cancel(real.clearTimeout),
    clearInterval: cancel(real.clearInterval),
    Date: SimDate,
  });
  performance.now = () => currentProcess()?.clock.monotonicMs() ?? real.now();
  Object.assign(timersPromises, { setTimeout: pause });
}
