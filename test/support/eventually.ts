import { setTimeout as pause } from 'node:timers/promises';

const TIMEOUT_MS = 60_000;
const RETRY_AFTER_MS = 200;

/** Tries until it works: for what a real Swarm does in its own time. */
export async function eventually<T>(attempt: () => Promise<T>): Promise<T> {
  const giveUpAtMs = performance.now() + TIMEOUT_MS;
  for (;;) {
    try {
      return await attempt();
    } catch (error) {
      if (performance.now() > giveUpAtMs) throw error;
      await pause(RETRY_AFTER_MS);
    }
  }
}
