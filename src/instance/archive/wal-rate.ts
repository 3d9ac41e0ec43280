/** How much WAL a server writes per second, from how much there was at some moments. */

/** Long enough for a checkpoint's peak, short enough to follow the load. */
const WINDOW_MS = 5 * 60_000;
/** From less nothing can be said: WAL comes in whole segments. */
const KNOWN_AFTER_MS = 10_000;
/** More moments say no more about the window. */
const EVERY_MS = 2_000;

interface Moment {
  readonly atMs: number;
  readonly bytes: number;
}

export class WalRate {
  #moments: readonly Moment[] = [];
  #last: Moment | null = null;

  /** There have been so many bytes in all; the number is never less than the one before. */
  note(bytes: number, atMs: number): void {
    this.#last = { atMs, bytes };
    const newest = this.#moments.at(-1);
    if (newest !== undefined && atMs - newest.atMs < EVERY_MS) return;
    // One before the window stays: the window is to be covered whole.
    const covering = this.#moments.findLastIndex((each) => each.atMs <= atMs - WINDOW_MS);
    this.#moments = [...this.#moments.slice(Math.max(covering, 0)), this.#last];
  }

  /** Null when it is not known yet. */
  bytesPerSecond(nowMs: number): number | null {
    const [first] = this.#moments;
    if (first === undefined || this.#last === null) return null;
    const passedMs = nowMs - first.atMs;
    if (passedMs < KNOWN_AFTER_MS) return null;
    return Math.max(0, ((this.#last.bytes - first.bytes) * 1000) / passedMs);
  }
}
