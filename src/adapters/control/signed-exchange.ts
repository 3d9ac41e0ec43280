/** One signed question to one operator over HTTP, and its answer if the signature is right. */
import { randomBytes } from 'node:crypto';
import { Agent, request, type IncomingMessage } from 'node:http';
import { type Readable } from 'node:stream';
import { OperatingError } from '../../core/errors';
import { timeLimit } from '../time-limit';
import { type Endpoint } from './operator-directory';
import {
  ANSWER_HEADER,
  CLUSTER_HEADER,
  isSignature,
  NONCE_HEADER,
  signAnswer,
  SIGNATURE_HEADER,
  signRequest,
} from './signing';

export interface SignedAnswer {
  readonly status: number;
  readonly body: string;
}

export interface Question {
  readonly path: string;
  readonly body: string;
  readonly timeoutMs: number;
  readonly signal?: AbortSignal;
}

const NONCE_BYTES = 16;
/** More than any assignment needs. */
const ANSWER_BYTES_MAX = 1024 * 1024;

export class SignedExchange {
  readonly #cluster: string;
  readonly #key: Buffer;
  readonly #agent = new Agent({ keepAlive: true });

  constructor(cluster: string, key: Buffer) {
    this.#cluster = cluster;
    this.#key = key;
  }

  /** Rejects on silence, on a broken connection, and on an answer that nobody with the key gave. */
  async ask(endpoint: Endpoint, question: Question): Promise<SignedAnswer> {
    const nonce = randomBytes(NONCE_BYTES).toString('hex');
    const response = await this.#exchange(endpoint, question, nonce);
    const body = await readBody(response);
    return this.#genuine(response, { endpoint, nonce, body });
  }

  /**
   * As `ask`, for a file: the answer is signed, its content is not. It is not whole unless it is
   * read to its end without an error and has the hash that the answer names. Without content: refused.
   */
  async askForFile(
    endpoint: Endpoint,
    question: Question,
  ): Promise<SignedAnswer & { readonly content: Readable | null }> {
    const nonce = randomBytes(NONCE_BYTES).toString('hex');
    const response = await this.#exchange(endpoint, question, nonce);
    const words = response.headers[ANSWER_HEADER];
    const isFile = typeof words === 'string';
    const body = isFile ? words : await readBody(response);
    try {
      const answer = this.#genuine(response, { endpoint, nonce, body });
      return { ...answer, content: isFile ? response : null };
    } catch (error) {
      response.destroy();
      throw error;
    }
  }

  /** Throws on an answer that nobody with the key gave. */
  #genuine(
    response: IncomingMessage,
    { endpoint, nonce, body }: { endpoint: Endpoint; nonce: string; body: string },
  ): SignedAnswer {
    const status = response.statusCode ?? 0;
    const signature = response.headers[SIGNATURE_HEADER];
    const expected = signAnswer(this.#key, nonce, status, body);
    if (isSignature(expected, typeof signature === 'string' ? signature : undefined)) {
      return { status, body };
    }
    const message = `${endpoint.host}:${endpoint.port} answered ${status} without a valid signature`;
    throw new OperatingError('refused', 'SignatureInvalid', message);
  }

  close(): void {
    this.#agent.destroy();
  }

  async #exchange(
    { host, port }: Endpoint,
    { path, body, timeoutMs, signal }: Question,
    nonce: string,
  ): Promise<IncomingMessage> {
    return await new Promise((resolve, reject) => {
      const outgoing = request({
        host,
        port,
        path,
        method: 'POST',
        agent: this.#agent,
        signal: timeLimit(timeoutMs, ...(signal === undefined ? [] : [signal])),
        headers: {
          'content-type': 'application/json',
          'content-length': Buffer.byteLength(body),
          [CLUSTER_HEADER]: this.#cluster,
          [NONCE_HEADER]: nonce,
          [SIGNATURE_HEADER]: signRequest(this.#key, { method: 'POST', path, nonce, body }),
        },
      });
      outgoing.on('error', reject);
      outgoing.on('response', resolve);
      outgoing.setNoDelay(true);
      outgoing.end(body);
    });
  }
}

async function readBody(response: IncomingMessage): Promise<string> {
  const parts: Buffer[] = [];
  let bytes = 0;
  for await (const part of response as AsyncIterable<Buffer>) {
    bytes += part.length;
    if (bytes > ANSWER_BYTES_MAX) {
      throw new OperatingError('refused', 'AnswerTooLong', `more than ${ANSWER_BYTES_MAX} bytes`);
    }
    parts.push(part);
  }
  return Buffer.concat(parts).toString('utf8');
}
