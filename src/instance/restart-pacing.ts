/** A crash is answered at once; a crash loop is not: each further one in a row waits longer. */

/** Crashes further back than this were another affair. */
const WINDOW_MS = 60_000;
const DELAY_MS = 1000;
const DELAY_MAX_MS = 30_000;

/** How long to wait before the next start, from the times of the crashes so far. */
export function restartDelayMs(crashedAtMs: readonly number[], nowMs: number): number {
  const recent = crashedAtMs.filter((atMs) => nowMs - atMs < WINDOW_MS).length;
  return recent <= 1 ? 0 : Math.min(DELAY_MS * 2 ** (recent - 2), DELAY_MAX_MS);
}
