/** A crash is answered at once; a crash loop is not: each further one in a row waits longer. */

/** A server that ran for so long does not crash because it was started. */
const STEADY_MS = 10_000;
const DELAY_MS = 1000;
const DELAY_MAX_MS = 30_000;

/** How long to wait before the next start, after so many crashes in a row. */
export const restartDelayMs = (crashes: number): number =>
  crashes <= 1 ? 0 : Math.min(DELAY_MS * 2 ** (crashes - 2), DELAY_MAX_MS);

/** How many crashes in a row there are with one more, after the server had run for so long. */
export const crashesInARow = (before: number, ranMs: number): number =>
  ranMs >= STEADY_MS ? 1 : before + 1;
