/**
 * An instance's line to the leader among the operators. The last leader is asked first; when it
 * does not lead any more, or does not answer, all operators are asked at the same time, because a
 * failover must not wait for one silent address after the other.
 */
import { createHash } from 'node:crypto';
import { OperatingError, messageOf } from '../../core/errors';
import {
  HEARTBEAT_TIMEOUT_MS,
  WATCH_TIMEOUT_MS,
  type HeartbeatAnswer,
  type NotLeader,
  type Report,
} from '../../core/protocol';
import {
  OperatorDirectory,
  parseEndpoint,
  sameEndpoint,
  type Endpoint,
} from './operator-directory';
import { SignedExchange, type Question, type SignedAnswer } from './signed-exchange';

export interface ControlAnswer extends HeartbeatAnswer {
  /** Names this very assignment to the leader; it tells when the assignment has become another. */
  readonly digest: string;
}

export interface WatchQuestion {
  readonly cluster: string;
  readonly server: string;
  readonly bootId: string;
  readonly digest: string;
}

/** What the heartbeat needs; the tests' leader implements it too. */
export interface ControlPort {
  /** Rejects when no leader has answered. */
  beat(report: Report): Promise<ControlAnswer>;
  /** Resolves when the assignment may have changed; rejects when the leader cannot be watched. */
  watch(question: WatchQuestion, signal: AbortSignal): Promise<void>;
  close(): void;
}

export interface ControlClientOptions {
  readonly cluster: string;
  readonly key: Buffer;
  /** Host name of all operators, or a list of `host:port`. */
  readonly operators: string;
  readonly operatorPort: number;
  readonly beatTimeoutMs?: number;
}

const HEARTBEAT_PATH = '/v1/heartbeat';
const WATCH_PATH = '/v1/watch';
const OK = 200;
const NOT_LEADER = 421;
/** The leader answers a watch after WATCH_TIMEOUT_MS; its answer has this long to arrive. */
const WATCH_MARGIN_MS = 3000;

export class ControlClient implements ControlPort {
  readonly #exchange: SignedExchange;
  readonly #directory: OperatorDirectory;
  readonly #options: ControlClientOptions;
  #leader: Endpoint | null = null;

  constructor(options: ControlClientOptions) {
    this.#options = options;
    this.#exchange = new SignedExchange(options.cluster, options.key);
    this.#directory = new OperatorDirectory(options.operators, options.operatorPort);
  }

  async beat(report: Report): Promise<ControlAnswer> {
    const body = await this.#askLeader({
      path: HEARTBEAT_PATH,
      body: JSON.stringify(report),
      timeoutMs: this.#options.beatTimeoutMs ?? HEARTBEAT_TIMEOUT_MS,
    });
    const answer = JSON.parse(body) as HeartbeatAnswer;
    const text = JSON.stringify(answer.assignment);
    return { ...answer, digest: createHash('sha256').update(text).digest('hex') };
  }

  async watch(question: WatchQuestion, signal: AbortSignal): Promise<void> {
    const leader = this.#leader;
    if (leader === null) throw new OperatingError('transient', 'NoLeader', 'no leader is known');
    const answer = await this.#exchange.ask(leader, {
      path: WATCH_PATH,
      body: JSON.stringify(question),
      timeoutMs: WATCH_TIMEOUT_MS + WATCH_MARGIN_MS,
      signal,
    });
    if (answer.status === OK) return;
    this.#forget(leader);
    throw refusal(leader, answer);
  }

  close(): void {
    this.#exchange.close();
  }

  async #askLeader(question: Question): Promise<string> {
    const tried: Endpoint[] = [];
    for (let next = this.#leader; next !== null && !isAmong(tried, next);) {
      tried.push(next);
      const found: SignedAnswer | null = await this.#exchange.ask(next, question).catch(() => null);
      if (found?.status === OK) return this.#accept(next, found);
      this.#forget(next);
      next = found === null ? null : namedLeader(found);
    }
    return await this.#askAll(question, tried);
  }

  /** The first good answer wins; an operator that does not lead does nothing with the question. */
  async #askAll(question: Question, tried: readonly Endpoint[]): Promise<string> {
    const all = await this.#directory.endpoints();
    const others = all.filter((endpoint) => !isAmong(tried, endpoint));
    // Where the only one has just failed there may have been nothing but a stale connection.
    const asked = others.length === 0 ? all : others;
    if (asked.length === 0) {
      const message = `no operator is known under ${this.#options.operators}`;
      throw new OperatingError('transient', 'OperatorsUnknown', message);
    }
    try {
      return await Promise.any(asked.map((endpoint) => this.#askOne(endpoint, question)));
    } catch (error) {
      throw new OperatingError('transient', 'NoLeader', reasons(error), error);
    }
  }

  async #askOne(endpoint: Endpoint, question: Question): Promise<string> {
    const answer = await this.#exchange.ask(endpoint, question);
    if (answer.status === OK) return this.#accept(endpoint, answer);
    const named = namedLeader(answer);
    if (named === null || sameEndpoint(named, endpoint)) throw refusal(endpoint, answer);
    const second = await this.#exchange.ask(named, question);
    if (second.status !== OK) throw refusal(named, second);
    return this.#accept(named, second);
  }

  #accept(endpoint: Endpoint, { body }: SignedAnswer): string {
    this.#leader = endpoint;
    return body;
  }

  #forget(endpoint: Endpoint): void {
    if (this.#leader !== null && sameEndpoint(this.#leader, endpoint)) this.#leader = null;
  }
}

function namedLeader({ status, body }: SignedAnswer): Endpoint | null {
  if (status !== NOT_LEADER) return null;
  const { leader } = JSON.parse(body) as NotLeader;
  return leader === null ? null : parseEndpoint(leader, 0);
}

function refusal({ host, port }: Endpoint, { status, body }: SignedAnswer): OperatingError {
  const why = status === NOT_LEADER ? 'does not lead' : `answered ${status}: ${body.slice(0, 200)}`;
  return new OperatingError('transient', 'NotLeading', `${host}:${port} ${why}`);
}

function reasons(error: unknown): string {
  if (!(error instanceof AggregateError)) return messageOf(error);
  return [...new Set(error.errors.map(messageOf))].join('; ');
}

const isAmong = (endpoints: readonly Endpoint[], endpoint: Endpoint): boolean =>
  endpoints.some((other) => sameEndpoint(other, endpoint));
