/**
 * An instance's line to its peers. A primary asks them for promises when no leader answers: that is
 * when nodes are gone and name servers hang. So where a peer was last is remembered, and asked at
 * once; at the same time its name is looked up, since another container may be that peer by now. The
 * first answer that the peer itself has signed counts, whichever way it came.
 */
import { type Readable } from 'node:stream';
import { messageOf, OperatingError } from '../../core/errors';
import { PEER_PORT } from '../../core/names';
import { type ArchiveHoldings, type PromiseAnswer, type PromiseRequest } from '../../core/protocol';
import { askNameServer, type Resolve } from './name-server';
import {
  ARCHIVE_PATH,
  ARCHIVED_FILE_PATH,
  BACKUP_FILE_PATH,
  BACKUP_FILES_PATH,
  BACKUPS_PATH,
  MISDIRECTED,
  PROMISE_PATH,
} from './peer-server';
import { SignedExchange, type SignedAnswer } from './signed-exchange';

/** Why a peer has not promised: its own words, or what kept its answer from coming. */
export interface Refusal {
  readonly peer: string;
  readonly because: string;
}

export interface PeerRound {
  readonly promisedByAll: boolean;
  /** Those that were known when the round was decided. */
  readonly refusals: readonly Refusal[];
}

export interface PeerClientOptions {
  readonly cluster: string;
  /** The cluster's control key. */
  readonly key: Buffer;
  readonly port?: number;
  readonly resolve?: Resolve;
}

/** A peer has this long for its answer, with the look-up of its name. */
export const PEER_TIMEOUT_MS = 700;
/** In good times the names are looked up again after this long. */
const PREPARED_FOR_MS = 10_000;
const OK = 200;
const NOT_FOUND = 404;
/** For a segment of 16 MB over a slow line. */
const FILE_TIMEOUT_MS = 60_000;
/** For a packed backup of a terabyte over such a line. */
const BACKUP_FILE_TIMEOUT_MS = 24 * 60 * 60_000;

export interface ArchivedFile {
  /** The name under which the peer keeps it: it tells hash and compression. */
  readonly stored: string;
  readonly stream: Readable;
}

interface Answered {
  readonly address: string;
  readonly answer: PromiseAnswer;
}

export class PeerClient {
  readonly #exchange: SignedExchange;
  readonly #port: number;
  readonly #resolve: Resolve;
  /** By peer: the address that has answered last, or what a later look-up has found. */
  readonly #known = new Map<string, readonly string[]>();
  readonly #preparedAtMs = new Map<string, number>();

  constructor({ cluster, key, port = PEER_PORT, resolve = resolvePeer }: PeerClientOptions) {
    this.#exchange = new SignedExchange(cluster, key);
    this.#port = port;
    this.#resolve = resolve;
  }

  /** Never rejects; is done as soon as all have promised, or one of them certainly does not. */
  async askPeers(
    request: Omit<PromiseRequest, 'to'>,
    peers: readonly string[],
  ): Promise<PeerRound> {
    const refusals: Refusal[] = [];
    const promises = peers.map(async (peer) => {
      const answer = await this.#ask({ ...request, to: peer });
      if (answer.promised) return;
      refusals.push({ peer, because: answer.because });
      throw new OperatingError('refused', 'NotPromised', answer.because);
    });
    const promisedByAll = await Promise.all(promises).then(
      () => true,
      () => false,
    );
    return { promisedByAll, refusals: [...refusals] };
  }

  /** Learns where the peers are while names are still answered; cheap enough for any heartbeat. */
  prepare(peers: readonly string[]): void {
    const nowMs = performance.now();
    for (const peer of peers) {
      if (nowMs - (this.#preparedAtMs.get(peer) ?? -Infinity) < PREPARED_FOR_MS) continue;
      this.#preparedAtMs.set(peer, nowMs);
      this.#lookUp(peer).then(
        (addresses) => this.#known.set(peer, addresses),
        // What is known stays; whoever asks for a promise is told why a name was not found.
        () => undefined,
      );
    }
  }

  /** What a peer's archive holds; null when it does not answer, or has none yet. */
  async holdingsOf(peer: string): Promise<ArchiveHoldings | null> {
    const question = { path: ARCHIVE_PATH, body: JSON.stringify({ to: peer }) };
    for (const host of await this.#addressesOf(peer)) {
      const endpoint = { host, port: this.#port };
      const answer = await this.#exchange
        .ask(endpoint, { ...question, timeoutMs: PEER_TIMEOUT_MS })
        .catch(() => null);
      if (answer?.status === OK) return JSON.parse(answer.body) as ArchiveHoldings | null;
    }
    return null;
  }

  /**
   * Opens a file of a peer's archive. What the stream yields is worth nothing before it has ended
   * without an error and has the hash in the name under which it was stored.
   */
  async openArchived(
    peer: string,
    wanted: { readonly file: string; readonly systemIdentifier: string },
    signal: AbortSignal,
  ): Promise<ArchivedFile | 'absent' | 'unreachable'> {
    const body = JSON.stringify({ ...wanted, to: peer });
    const question = { path: ARCHIVED_FILE_PATH, body, timeoutMs: FILE_TIMEOUT_MS, signal };
    for (const host of await this.#addressesOf(peer)) {
      const answer = await this.#exchange
        .askForFile({ host, port: this.#port }, question)
        .catch(() => null);
      if (answer?.status === NOT_FOUND) return 'absent';
      if (answer?.status !== OK || answer.content === null) continue;
      return { stored: storedName(answer.body), stream: answer.content };
    }
    return 'unreachable';
  }

  /** Ids of a peer's backups of this database, oldest first; empty when it does not answer. */
  async backupsOf(peer: string, systemIdentifier: string): Promise<readonly string[]> {
    const answer = await this.#askOne(peer, BACKUPS_PATH, { systemIdentifier }).catch(() => null);
    return answer?.status === OK ? (JSON.parse(answer.body) as readonly string[]) : [];
  }

  /** What a backup of a peer consists of, unchecked; throws in the peer's words. */
  async filesOfBackup(peer: string, id: string, signal: AbortSignal): Promise<unknown> {
    const answer = await this.#askOne(peer, BACKUP_FILES_PATH, { id }, signal);
    if (answer.status === OK) return JSON.parse(answer.body);
    throw new OperatingError('transient', 'NotAnswered', `${peer} answered: ${answer.body}`);
  }

  /** A file of a peer's backup, unchecked. */
  async openBackupFile(
    peer: string,
    { id, path }: { readonly id: string; readonly path: string },
    signal: AbortSignal,
  ): Promise<Readable> {
    const body = JSON.stringify({ to: peer, id, path });
    const question = { path: BACKUP_FILE_PATH, body, timeoutMs: BACKUP_FILE_TIMEOUT_MS, signal };
    const [host] = await this.#addressesOf(peer);
    if (host === undefined) throw unknownPeer(peer);
    const answer = await this.#exchange.askForFile({ host, port: this.#port }, question);
    if (answer.content !== null) return answer.content;
    throw new OperatingError('transient', 'NotAnswered', `${peer} answered: ${answer.body}`);
  }

  async #askOne(
    peer: string,
    path: string,
    question: Readonly<Record<string, string>>,
    signal?: AbortSignal,
  ): Promise<SignedAnswer> {
    const [host] = await this.#addressesOf(peer);
    if (host === undefined) throw unknownPeer(peer);
    return await this.#exchange.ask(
      { host, port: this.#port },
      {
        path,
        body: JSON.stringify({ ...question, to: peer }),
        timeoutMs: FILE_TIMEOUT_MS,
        ...(signal === undefined ? {} : { signal }),
      },
    );
  }

  async #addressesOf(peer: string): Promise<readonly string[]> {
    return this.#known.get(peer) ?? (await this.#lookUp(peer).catch(() => []));
  }

  close(): void {
    this.#exchange.close();
  }

  async #ask(request: PromiseRequest): Promise<PromiseAnswer> {
    const ended = new AbortController();
    const silence = new Error(`no answer within ${PEER_TIMEOUT_MS} ms`);
    const timer = setTimeout(() => ended.abort(silence), PEER_TIMEOUT_MS);
    try {
      const { address, answer } = await Promise.any(this.#attempts(request, ended.signal));
      this.#known.set(request.to, [address]);
      return answer;
    } catch (error) {
      return { promised: false, because: [...new Set(reasons(error))].join('; ') };
    } finally {
      clearTimeout(timer);
      // What was asked at another address is of no use any more.
      ended.abort();
    }
  }

  #attempts(request: PromiseRequest, signal: AbortSignal): readonly Promise<Answered>[] {
    const body = JSON.stringify(request);
    const askAt = (address: string): Promise<Answered> => this.#askAt(address, body, signal);
    const known = this.#known.get(request.to) ?? [];
    const remembered = new Map(known.map((address) => [address, askAt(address)]));
    const lookedUp = unlessAborted(signal, this.#lookUp(request.to)).then((addresses) =>
      Promise.any(addresses.map((address) => remembered.get(address) ?? askAt(address))),
    );
    return [...remembered.values(), lookedUp];
  }

  async #askAt(address: string, body: string, signal: AbortSignal): Promise<Answered> {
    const endpoint = { host: address, port: this.#port };
    const question = { path: PROMISE_PATH, body, timeoutMs: PEER_TIMEOUT_MS, signal };
    const exchanged = this.#exchange.ask(endpoint, question).catch((error: unknown) => {
      if (signal.aborted) throw error;
      // The connection may have been one that was kept and is gone; the next one is new.
      return this.#exchange.ask(endpoint, question);
    });
    const answer = await unlessAborted(signal, exchanged);
    if (answer.status === OK) return { address, answer: JSON.parse(answer.body) as PromiseAnswer };
    const text =
      answer.status === MISDIRECTED
        ? `another server has the address ${address} now`
        : `${address} answered ${answer.status}: ${answer.body.slice(0, 200)}`;
    throw new OperatingError('transient', 'NotAnswered', text);
  }

  async #lookUp(peer: string): Promise<readonly string[]> {
    const addresses = await this.#resolve(peer).catch((error: unknown) => {
      const text = `the name ${peer} is not found: ${messageOf(error)}`;
      throw new OperatingError('transient', 'PeerUnknown', text, error);
    });
    if (addresses.length > 0) return addresses;
    throw new OperatingError('transient', 'PeerUnknown', `the name ${peer} has no address`);
  }
}

const unknownPeer = (peer: string): OperatingError =>
  new OperatingError('transient', 'PeerUnknown', `the name ${peer} is not found`);

const storedName = (body: string): string =>
  (JSON.parse(body) as { readonly stored: string }).stored;

const resolvePeer: Resolve = (peer) => askNameServer(peer, PEER_TIMEOUT_MS);

/** What the work yields, or the reason of the signal where that strikes first. */
function unlessAborted<T>(signal: AbortSignal, work: Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true });
    work.then(resolve, reject);
  });
}

/** Of every attempt; those after a look-up are one level deeper. */
const reasons = (error: unknown): readonly string[] =>
  error instanceof AggregateError ? error.errors.flatMap(reasons) : [messageOf(error)];
