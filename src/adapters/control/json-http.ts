/** The little that all our servers share: bodies with a bound, answers in JSON. */
import { type IncomingMessage, type ServerResponse } from 'node:http';
import { type Readable } from 'node:stream';
import { messageOf, OperatingError, type ErrorKind } from '../../core/errors';

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
