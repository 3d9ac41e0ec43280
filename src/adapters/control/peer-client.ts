/**
 * A primary's line to its peers, for the time in which no leader answers: that is when nodes are
 * gone and name servers hang. So where a peer was last is remembered, and asked at once; at the
 * same time its name is looked up, since another container may be that peer by now. The first
 * answer that the peer itself has signed counts, whichever way it came.
 */
import { messageOf, OperatingError } from '../../core/errors';
import { PEER_PORT } from '../../core/names';
import { type PromiseAnswer, type PromiseRequest } from '../../core/protocol';
import { askNameServer, type Resolve } from './name-server';
import { MISDIRECTED, PROMISE_PATH } from './peer-server';
import { SignedExchange } from './signed-exchange';

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
