/** The time that a command spends waiting. */
import { performance } from 'node:perf_hooks';
import { setTimeout } from 'node:timers/promises';

export interface CliClock {
  monotonicMs(): number;
  /** Waits; false when Ctrl-C ended the wait. */
  pause(ms: number): Promise<boolean>;
}

/** The real one; `signal` is aborted by Ctrl-C. */
export const createClock = (signal: AbortSignal): CliClock => ({
  monotonicMs: () => performance.now(),
  pause: async (ms) => {
    try {
      await setTimeout(ms, undefined, { signal });
      return true;
    } catch {
      return false;
    }
  },
});
