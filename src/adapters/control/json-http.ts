/** The little that all our servers share: bodies with a bound, answers in JSON, none that ends us. */
import { type IncomingMessage, type RequestListener, type ServerResponse } from 'node:http';
import { type Readable } from 'node:stream';
import { messageOf, OperatingError, type ErrorKind } from '../../core/errors';
import { type Log } from '../log';

/** More than any report or spec needs. */
const BODY_BYTES_MAX = 1024 * 1024;

export interface Answer {
  readonly status: number;
  /** JSON. */
  readonly body: string;
}

/** An answer with a file: JSON that describes it, and then its bytes. */
export interface FileAnswer extends Answer {
  readonly content: { readonly bytes: number; readonly stream: Readable };
}

export const answerOf = (value: unknown, status = 200): Answer => ({
  status,
  body: JSON.stringify(value),
});

export const refusalOf = (status: number, code: string, message: string): Answer =>
  answerOf({ code, message }, status);

const STATUS_OF: Readonly<Record<ErrorKind, number>> = {
  refused: 400,
  stale: 409,
  transient: 503,
  fatal: 500,
};

/** What went wrong, for the one who asked; an error of our own is for the log only. */
export function answerOfError(error: unknown, who = 'operator'): Answer {
  if (error instanceof OperatingError) {
    return refusalOf(STATUS_OF[error.kind], error.code, error.message);
  }
  return refusalOf(500, 'InternalError', `The ${who} has made a mistake; its log says more.`);
}

/**
 * What a server does with each request: whatever `answer` throws, at once or later, is logged, and
 * answered as `told` says. Uncaught it would end the program: an instance manager, and its PostgreSQL.
 */
export function answering(
  log: Log,
  answer: (request: IncomingMessage, response: ServerResponse) => void | Promise<void>,
  told: (error: unknown) => Answer = answerOfError,
): RequestListener {
  const outlive = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    try {
      await answer(request, response);
    } catch (error) {
      const path = request.url ?? '';
      if (!response.destroyed) noteFailure(log, path, error);
      else log.debug('a request was given up', { path, message: messageOf(error) });
      // In the middle of an answer: whoever reads it sees that it is not whole.
      if (response.headersSent) response.destroy();
      // The rest of the body is not waited for.
      else send(response, told(error), { connection: 'close' });
    }
  };
  return (request, response) => void outlive(request, response);
}

/** A mistake of our own is for the log: its answer only says that there is one. */
export function noteFailure(log: Log, path: string, error: unknown): void {
  if (error instanceof OperatingError && error.kind !== 'fatal') {
    log.debug('a request was refused', { path, message: error.message });
  } else {
    log.error('a request could not be answered', { path, error });
  }
}

/** Not every path that can be sent is one: `//`, say. */
export function urlOf({ url = '/' }: IncomingMessage): URL {
  const [base, text] = ['http://localhost', 'The path of the request cannot be read.'];
  if (URL.canParse(url, base)) return new URL(url, base);
  throw new OperatingError('refused', 'PathUnreadable', text);
}

export async function readBody(
  request: IncomingMessage,
  bytesMax = BODY_BYTES_MAX,
): Promise<string> {
  const parts: Buffer[] = [];
  let bytes = 0;
  for await (const part of request as AsyncIterable<Buffer>) {
    bytes += part.length;
    if (bytes > bytesMax) {
      const text = `A request may have ${bytesMax} bytes at most.`;
      throw new OperatingError('refused', 'BodyTooLarge', text);
    }
    parts.push(part);
  }
  return Buffer.concat(parts).toString('utf8');
}

export function parseBody(text: string): unknown {
  try {
    return text === '' ? null : JSON.parse(text);
  } catch (error) {
    const message = `The body of the request is not JSON: ${messageOf(error)}.`;
    throw new OperatingError('refused', 'BodyNotJson', message, error);
  }
}

export function send(
  response: ServerResponse,
  { status, body }: Answer,
  headers: Readonly<Record<string, string>> = {},
): void {
  // Nobody is there any more: a watch that was given up.
  if (response.destroyed) return;
  response.writeHead(status, {
    'content-type': 'application/json',
    'content-length': Buffer.byteLength(body),
    ...headers,
  });
  response.end(body);
}
