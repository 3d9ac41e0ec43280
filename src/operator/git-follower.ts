/**
 * Follows a branch while this operator leads: looks at it again and again, at once when the
 * webhook says so, and ever less often while the Git server does not answer.
 */
import { setTimeout as pause } from 'node:timers/promises';
import { type Log } from '../adapters/log';
import { messageOf, OperatingError } from '../core/errors';
import { shortId } from '../core/git/source';
import { type SourceTrouble } from '../core/status';
import { type Adopted } from './git-adopt';
import { type Fate, type Round } from './git-round';

export interface FollowerPorts {
  readonly log: Log;
  readonly pollMs: number;
  readonly look: (signal: AbortSignal) => Promise<Round>;
  readonly adopt: (round: Round, signal: AbortSignal) => Promise<Adopted>;
  /** What is wrong with the source as a whole, for every cluster that comes from it. */
  readonly troubled: (trouble: SourceTrouble) => void;
  /** What is wrong for each cluster, after a look that worked. */
  readonly seen: (round: Round, adopted: Adopted) => void;
  /** What became of the commit, whenever that is another thing than before. */
  readonly report: (round: Round) => void;
}

/** Between two looks while nothing works: twice as long each time, at most this. */
const BACKOFF_MAX_MS = 5 * 60_000;
/** A webhook can be sent again by whoever has seen it: no more often is looked because of one. */
const ASKED_EVERY_MS = 500;
/** Others push as well: so often in a row it is done again at once. */
const RACES_MAX = 5;

export class GitFollower {
  readonly #ports: FollowerPorts;
  #stop: AbortController | null = null;
  #wake: AbortController | null = null;
  #isAsked = false;
  #trouble: string | null = null;
  #reported: string | null = null;

  constructor(ports: FollowerPorts) {
    this.#ports = ports;
  }

  start(): void {
    this.stop();
    const stop = new AbortController();
    this.#stop = stop;
    this.#reported = null;
    void this.#run(stop.signal);
  }

  stop(): void {
    this.#stop?.abort();
    this.#stop = null;
  }

  /** Something was pushed. */
  look(): void {
    this.#isAsked = true;
    this.#wake?.abort();
  }

  async #run(signal: AbortSignal): Promise<void> {
    let failures = 0;
    let races = 0;
    while (!signal.aborted) {
      this.#isAsked = false;
      const begunMs = performance.now();
      const outcome = await this.#turn(signal);
      failures = outcome === 'failed' ? failures + 1 : 0;
      races = outcome === 'moved' ? races + 1 : 0;
      if (races > 0 && races <= RACES_MAX) continue;
      await this.#rest(Math.min(this.#ports.pollMs * 2 ** failures, BACKOFF_MAX_MS), signal);
      await sleep(begunMs + ASKED_EVERY_MS - performance.now(), signal);
    }
  }

  async #rest(ms: number, signal: AbortSignal): Promise<void> {
    if (this.#isAsked) return;
    const wake = new AbortController();
    this.#wake = wake;
    const either = AbortSignal.any([signal, wake.signal]);
    await sleep(ms, either);
    if (this.#wake === wake) this.#wake = null;
  }

  async #turn(signal: AbortSignal): Promise<'done' | 'moved' | 'failed'> {
    const { look, adopt, seen, troubled, log } = this.#ports;
    try {
      const round = await look(signal);
      const adopted = await adopt(round, signal);
      signal.throwIfAborted();
      seen(round, adopted);
      this.#tell(round);
      if (this.#trouble !== null) log.info('the Git repository is followed again');
      this.#trouble = null;
      return adopted.isMoved ? 'moved' : 'done';
    } catch (error) {
      // Somebody has written meanwhile; nothing is wrong.
      if (error instanceof OperatingError && error.kind === 'stale') return 'moved';
      if (signal.aborted) return 'failed';
      const message = messageOf(error);
      const reason = error instanceof OperatingError ? error.code : 'GitFailed';
      if (message !== this.#trouble) {
        log.warn('the Git repository cannot be followed; the clusters go on', { reason, message });
      }
      this.#trouble = message;
      troubled({ reason, message });
      return 'failed';
    }
  }

  #tell(round: Round): void {
    const { commit, fates } = round;
    const isNews = (fate: Fate): boolean => fate.outcome !== 'unchanged';
    // Applied by one look, it is unchanged for the next one.
    const verdict = fates.filter((fate) => isNews(fate) && fate.outcome !== 'applied');
    const key = JSON.stringify([commit.id, verdict]);
    if (key === this.#reported) return;
    this.#reported = key;
    for (const { cluster, path, outcome, generation, message } of fates.filter(isNews)) {
      const fields = { cluster, path, commit: shortId(commit.id), author: commit.author };
      const level = outcome === 'applied' ? 'info' : 'warn';
      this.#ports.log.log(level, `a file from Git was ${outcome}`, {
        ...fields,
        generation,
        reason: message,
      });
    }
    this.#ports.report(round);
  }
}

/** Until the signal at most. */
async function sleep(ms: number, signal: AbortSignal): Promise<void> {
  if (ms > 0) await pause(ms, undefined, { signal }).catch(() => undefined);
}
