/**
 * The promise of a peer: "I will not be promoted for this long". A primary that no leader answers
 * may go on while all its peers have promised, because nobody else could take its place.
 *
 * Nothing here is written to disk. A restart forgets what was promised, so whoever was started less
 * than a lease ago behaves as if it had just promised.
 */
import { TTL_MAX_MS } from './lease';
import { type PromiseAnswer, type PromiseRequest, type Task } from './protocol';

/** The instance that is asked. */
export interface PromisingSelf {
  readonly cluster: string;
  readonly server: string;
  /** Of the newest assignment that it has obeyed; 0 without one. */
  readonly term: number;
  /** What it is told to be; null before the first assignment. */
  readonly task: Task['kind'] | null;
  /** The roll call that it answers; null without one. */
  readonly rollCall: string | null;
}

/** Whether to promise. Who promises remembers it before anything else happens. */
export function answerPromise(request: PromiseRequest, self: PromisingSelf): PromiseAnswer {
  const because = reasonToRefuse(request, self);
  return because === null ? { promised: true } : { promised: false, because };
}

function reasonToRefuse(request: PromiseRequest, self: PromisingSelf): string | null {
  const { cluster, from, to, term, forMs } = request;
  if (cluster !== self.cluster) return `this is a server of ${self.cluster}, not of ${cluster}`;
  if (to !== self.server) return `this is ${self.server}, not ${to}`;
  if (from === self.server) return `${from} cannot promise to itself`;
  if (!(forMs > 0 && forMs <= TTL_MAX_MS)) {
    return `a promise is for more than 0 and at most ${TTL_MAX_MS} ms, not for ${forMs}`;
  }
  // What it obeyed before it was restarted it does not know: a roll call, perhaps.
  if (self.task === null) return `${self.server} has just started and no leader has spoken to it`;
  if (self.term > term) {
    return `${self.server} has obeyed term ${self.term}; ${from} was primary in term ${term}`;
  }
  if (self.task === 'primary' && self.term === term) {
    return `${self.server} is itself told to be primary in term ${term}`;
  }
  // Whoever counts the votes must be sure that no one changes his mind.
  if (self.rollCall !== null) return `${self.server} answers a roll call: a failover has begun`;
  return null;
}

/** End of all promises given so far, on the clock of `nowMs`: a later one never shortens another. */
export const promisedUntil = (before: number | null, nowMs: number, forMs: number): number =>
  Math.max(before ?? -Infinity, nowMs + forMs);

/**
 * How long this instance must not be promoted: what is left of its promises, or of the first
 * `ttlMs` since its start, when a promise of its predecessor may still run. null when it is free.
 * All moments on one monotonic clock.
 */
export function promiseLeftMs(
  untilMs: number | null,
  bootedAtMs: number,
  ttlMs: number,
  nowMs: number,
): number | null {
  const leftMs = Math.max(untilMs ?? -Infinity, bootedAtMs + ttlMs) - nowMs;
  return leftMs > 0 ? Math.ceil(leftMs) : null;
}
