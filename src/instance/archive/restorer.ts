/**
 * Answers PostgreSQL's restore_command: from the own archive, then from the peers'. While a segment
 * is replayed the next ones are brought into a spool, so that they are there when they are asked for.
 *
 * An answer that a file is absent comes at once: a promotion asks for several that nobody has, and
 * every one of them delays the first write.
 */
import {
  nameOfSegment,
  parseSegment,
  parseWalFile,
  renderWalFile,
  type WalFile,
} from '../../core/archive/wal-files';
import { timeLimit } from '../../adapters/time-limit';
import { messageOf } from '../../core/errors';
import { type ArchiveStore } from './archive-store';
import { move, Spool } from './spool';
import { ABSENT, DONE, later, type WalAnswer, type WalQuestion } from './wal-socket';

export type PeerAnswer = 'fetched' | 'absent' | 'unreachable';

export interface RestorerOptions {
  readonly store: Pick<ArchiveStore, 'has' | 'get'>;
  /** A directory on the data volume, of no value at any time. */
  readonly spoolDirectory: string;
  readonly segmentBytes: number;
  /** Whether a file is part of the history that is being replayed. */
  readonly belongs: (file: WalFile) => boolean;
  /** False when a file that is not in the own archive is not worth a question. */
  readonly mayAskPeers: () => boolean;
  /** Writes the file to `destination`, checked against its hash. */
  readonly fetchFromPeer: (
    file: WalFile,
    destination: string,
    signal: AbortSignal,
  ) => Promise<PeerAnswer>;
}

/** Replay reads one; the others hide how long it takes to bring them. */
const AHEAD = 4;
const AT_ONCE = 2;
const SEGMENT_MAX_MS = 30_000;
/** Whatever is not a segment is small, and mostly does not exist. */
const OTHER_MAX_MS = 300;
/** A standby that has gone over to streaming asks for nothing more. */
const SPOOL_KEPT_MS = 30_000;
/** A standby asks again several times a second; PostgreSQL's log is for people. */
const SILENCE_MS = 60_000;

export class Restorer {
  readonly #options: RestorerOptions;
  readonly #spool: Spool;
  /** What to bring next. */
  #ahead: readonly WalFile[] = [];
  readonly #running = new Set<Promise<void>>();
  #idle: NodeJS.Timeout | undefined;
  #asking = new AbortController();
  #peerFiles = 0;
  #said: { readonly words: string; readonly atMs: number } | null = null;

  constructor(options: RestorerOptions) {
    this.#options = options;
    this.#spool = new Spool(options.spoolDirectory);
  }

  /** Empties the spool; to be called before PostgreSQL is started. */
  async open(): Promise<void> {
    await this.#spool.open();
  }

  /** The answer for a file that PostgreSQL wants back. `gone`: it does not wait any more. */
  async restore({ verb, file, path }: WalQuestion, gone: AbortSignal): Promise<WalAnswer> {
    if (!this.#options.belongs(file)) return ABSENT;
    const answer = await this.#bring(file, path, gone);
    if (answer.kind === 'done') this.#goAheadOf(file);
    if (answer.kind !== 'later') this.#said = null;
    return answer.kind === 'later' && verb === 'restore' ? this.#sayOnce(answer.because) : answer;
  }

  /** Questions to peers that are under way are given up: the server is to be promoted, or stopped. */
  breakOff(): void {
    this.#asking.abort();
    this.#asking = new AbortController();
  }

  /** Nothing more is brought ahead, and the spool is emptied. */
  rest(): void {
    clearTimeout(this.#idle);
    this.#ahead = [];
    this.breakOff();
    this.#keepOnly([]);
  }

  /** At the end: returns when nothing is written into the spool any more. */
  async close(): Promise<void> {
    this.rest();
    await Promise.all(this.#running);
  }

  async #bring(file: WalFile, path: string, gone: AbortSignal): Promise<WalAnswer> {
    if (await this.#spool.take(renderWalFile(file), path)) return DONE;
    let trouble: string | null = null;
    try {
      if (await this.#options.store.get(file, path)) return DONE;
    } catch (error) {
      trouble = messageOf(error);
    }
    const answer = await this.#askPeers(file, path, gone);
    if (answer === 'fetched') return DONE;
    if (trouble !== null) return later(trouble);
    return answer === 'absent'
      ? ABSENT
      : later('it is not in the own archive, and a peer is silent');
  }

  async #askPeers(file: WalFile, path: string, gone: AbortSignal): Promise<PeerAnswer> {
    if (!this.#options.mayAskPeers()) return 'absent';
    this.#peerFiles += 1;
    // Of its own: one that comes after it was given up must not appear where PostgreSQL looks.
    const received = this.#spool.pathOf(`${renderWalFile(file)}.peer${this.#peerFiles}`);
    const limitMs = file.kind === 'segment' ? SEGMENT_MAX_MS : OTHER_MAX_MS;
    const signal = timeLimit(limitMs, gone, this.#asking.signal);
    const fetching = this.#options.fetchFromPeer(file, received, signal).catch(unreachable);
    const answer = await Promise.race([fetching, aborted(signal)]);
    if (answer !== 'fetched') return answer;
    return (await move(received, path)) ? 'fetched' : 'unreachable';
  }

  /** Brings the segments that follow; whatever else is in the spool is of no use any more. */
  #goAheadOf(file: WalFile): void {
    this.#ahead = followers(file, this.#options.segmentBytes);
    clearTimeout(this.#idle);
    this.#idle = setTimeout(() => this.rest(), SPOOL_KEPT_MS).unref();
    this.#keepOnly(this.#ahead);
    this.#goAhead();
  }

  #goAhead(): void {
    while (this.#running.size < AT_ONCE) {
      const inSpool = this.#spool.names;
      const next = this.#ahead.find((file) => !inSpool.includes(renderWalFile(file)));
      if (next === undefined) return;
      const bringing = this.#bringAhead(next).finally(() => {
        this.#running.delete(bringing);
        this.#goAhead();
      });
      this.#running.add(bringing);
    }
  }

  /** What cannot be deleted is overwritten, or gone when the spool is opened the next time. */
  #keepOnly(files: readonly WalFile[]): void {
    this.#spool.keepOnly(files.map(renderWalFile)).catch(() => undefined);
  }

  async #bringAhead(file: WalFile): Promise<void> {
    const isThere = await this.#spool.fill(
      renderWalFile(file),
      async (path) => await this.#find(file, path),
    );
    // Behind one that nobody has there is nothing to be replayed.
    const at = this.#ahead.indexOf(file);
    if (!isThere && at >= 0) this.#ahead = this.#ahead.slice(0, at);
  }

  async #find(file: WalFile, path: string): Promise<boolean> {
    const { belongs, store } = this.#options;
    if (!belongs(file)) return false;
    if (store.has(file) && (await store.get(file, path))) return true;
    return (await this.#askPeers(file, path, this.#asking.signal)) === 'fetched';
  }

  #sayOnce(words: string): WalAnswer {
    const nowMs = performance.now();
    const isKnown = this.#said?.words === words && nowMs - this.#said.atMs < SILENCE_MS;
    if (!isKnown) this.#said = { words, atMs: nowMs };
    return later(isKnown ? '' : words);
  }
}

function followers(file: WalFile, segmentBytes: number): readonly WalFile[] {
  const segment = parseSegment(renderWalFile(file), segmentBytes);
  if (segment === null) return [];
  return Array.from({ length: AHEAD }, (_, index) => index + 1).flatMap(
    (distance) =>
      parseWalFile(
        nameOfSegment({ ...segment, number: segment.number + distance }, segmentBytes),
      ) ?? [],
  );
}

const unreachable = (): PeerAnswer => 'unreachable';

async function aborted(signal: AbortSignal): Promise<PeerAnswer> {
  if (signal.aborted) return 'unreachable';
  return await new Promise((resolve) => {
    signal.addEventListener('abort', () => resolve('unreachable'), { once: true });
  });
}
