/** By how much something grows per second, from how much there was at some moments. */

/** Long enough for a checkpoint's peak, short enough to follow the load; and never too short to know. */
const WINDOW_MS = 5 * 60_000;
const WINDOWS_KNOWN = 6;
/** From less nothing can be said: WAL comes in whole segments. */
const KNOWN_AFTER_MS = 10_000;
/** More moments say no more about the window. */
const EVERY_MS = 2_000;

interface Moment {
  readonly atMs: number;
  readonly bytes: number;
}

export class GrowthRate {
  #moments: readonly Moment[] = [];
  #last: Moment | null = null;

  /** From less than this nothing is concluded. */
  readonly #knownAfterMs: number;
  readonly #windowMs: number;

  constructor(knownAfterMs = KNOWN_AFTER_MS) {
    this.#knownAfterMs = knownAfterMs;
    this.#windowMs = Math.max(WINDOW_MS, WINDOWS_KNOWN * knownAfterMs);
  }

  /** There have been so many bytes in all. */
  note(bytes: number, atMs: number): void {
    this.#last = { atMs, bytes };
    const newest = this.#moments.at(-1);
    if (newest !== undefined && atMs - newest.atMs < EVERY_MS) return;
    // One before the window stays: the window is to be covered whole.
    const covering = this.#moments.findLastIndex((each) => each.atMs <= atMs - this.#windowMs);
    this.#moments = [...this.#moments.slice(Math.max(covering, 0)), this.#last];
  }

  /** Null when it is not known yet; 0 when there are fewer than before. */
  bytesPerSecond(nowMs: number): number | null {
    const [first] = this.#moments;
    if (first === undefined || this.#last === null) return null;
    const passedMs = nowMs - first.atMs;
    if (passedMs < this.#knownAfterMs) return null;
    return Math.max(0, ((this.#last.bytes - first.bytes) * 1000) / passedMs);
  }
}
