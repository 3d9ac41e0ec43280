/**
 * Questions and answers over the simulated network, in the place of signed HTTP: the clients of
 * the control API and of the peers' API are the real ones.
 */
import * as signedExchange from '../../../src/adapters/control/signed-exchange';
import { type Endpoint } from '../../../src/adapters/control/operator-directory';
import { type Question, type SignedAnswer } from '../../../src/adapters/control/signed-exchange';
import { type Channel, type Network } from '../kernel/network';
import { type SimProcess } from '../kernel/process';
import { type Scheduler } from '../kernel/scheduler';

/** A program that listens. */
export interface Listener {
  readonly process: SimProcess;
  readonly channel: Channel;
  readonly answer: (question: Question, gone: AbortSignal) => Promise<SignedAnswer>;
}

export class Exchange {
  readonly #scheduler: Scheduler;
  readonly #network: Network;
  /** By `host:port`. */
  readonly #listeners = new Map<string, Listener>();
  /** Where the machine of an address is, also when nobody listens. */
  readonly #hostOf: (address: string) => string;
  readonly #isUp: (host: string) => boolean;

  constructor(options: {
    readonly scheduler: Scheduler;
    readonly network: Network;
    readonly hostOf: (address: string) => string;
    readonly isUp: (host: string) => boolean;
  }) {
    this.#scheduler = options.scheduler;
    this.#network = options.network;
    this.#hostOf = options.hostOf;
    this.#isUp = options.isUp;
  }

  listen({ host, port }: Endpoint, listener: Listener): void {
    this.#listeners.set(`${host}:${port}`, listener);
  }

  async ask({ host, port }: Endpoint, question: Question): Promise<SignedAnswer> {
    const caller = this.#scheduler.current;
    if (caller === null) throw new Error('only programs ask');
    const gone = new AbortController();
    const hangUp = (): void => {
      if (this.#isUp(caller.host)) {
        this.#send('control', caller.host, this.#hostOf(host), () => gone.abort());
      }
    };
    const forget = caller.onEnd(hangUp);
    return await new Promise((resolve, reject) => {
      const timer = setTimeout(() => end(new Error('no answer in time')), question.timeoutMs);
      const end = (outcome: SignedAnswer | Error): void => {
        forget();
        clearTimeout(timer);
        question.signal?.removeEventListener('abort', onAbort);
        if (!(outcome instanceof Error)) resolve(outcome);
        else {
          hangUp();
          reject(outcome);
        }
      };
      const onAbort = (): void => end(new Error('given up'));
      if (question.signal?.aborted === true) {
        onAbort();
        return;
      }
      question.signal?.addEventListener('abort', onAbort, { once: true });
      this.#deliver(caller, `${host}:${port}`, { question, gone: gone.signal, end });
    });
  }

  #deliver(
    caller: SimProcess,
    address: string,
    {
      question,
      gone,
      end,
    }: {
      readonly question: Question;
      readonly gone: AbortSignal;
      readonly end: (outcome: SignedAnswer | Error) => void;
    },
  ): void {
    const target = this.#hostOf(address.split(':')[0] ?? '');
    const channel = this.#listeners.get(address)?.channel ?? 'control';
    this.#send(channel, caller.host, target, () => {
      const answer = (outcome: SignedAnswer | Error): void =>
        this.#send(channel, target, caller.host, () => caller.after(0, () => end(outcome)));
      const listener = this.#listeners.get(address);
      if (!this.#isUp(target)) return;
      if (listener?.process.isAlive !== true) {
        answer(new Error('connection refused'));
        return;
      }
      listener.process.after(0, () => {
        listener.answer(question, gone).then(answer, (error: unknown) => answer(error as Error));
      });
    });
  }

  #send(channel: Channel, from: string, to: string, deliver: () => void): void {
    this.#network.send(channel, from, to, deliver);
  }
}

/** The exchange of the world that exists at present. */
let present: Exchange | null = null;

export function enterExchange(exchange: Exchange): void {
  present = exchange;
}

class SimSignedExchange {
  async ask(endpoint: Endpoint, question: Question): Promise<SignedAnswer> {
    if (present === null) throw new Error('there is no world');
    return await present.ask(endpoint, question);
  }

  close(): void {
    // Its connections are nothing that could stay open.
  }
}

/** For the whole program: every client that is built from now on asks in the simulated world. */
export function installExchange(): void {
  Object.assign(signedExchange, { SignedExchange: SimSignedExchange });
}
