/**
 * A server of signed questions over HTTP: the operators' on the control network, and the one that
 * every instance has for its peers. Whoever cannot sign learns nothing, not even what is asked here.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { type Log } from '../log';
import { pipeline } from 'node:stream/promises';
import {
  answering,
  answerOfError,
  noteFailure,
  readBody,
  refusalOf,
  send,
  type Answer,
  type FileAnswer,
} from './json-http';
import {
  ANSWER_HEADER,
  CLUSTER_HEADER,
  isSignature,
  NONCE_HEADER,
  signAnswer,
  SIGNATURE_HEADER,
  signRequest,
} from './signing';

/** A request whose signature was right. */
export interface GenuineRequest {
  /** Whose key it was signed with. */
  readonly cluster: string;
  readonly path: string;
  readonly body: string;
  /** Aborted when the one who asked is gone. */
  readonly signal: AbortSignal;
}

export interface SignedServerPorts {
  /** null when there is no key for the cluster. */
  readonly keyOf: (cluster: string) => Promise<Buffer | null>;
  /** An OperatingError that is thrown is answered in its words, any other one is logged. */
  readonly answer: (request: GenuineRequest) => Answer | FileAnswer | Promise<Answer | FileAnswer>;
  /** `operator`, `instance manager`: who answers. */
  readonly who: string;
  readonly log: Log;
}

const UNAUTHORIZED = 401;
/** Longer than the pause between two questions, so that one connection serves them all. */
const KEEP_ALIVE_MS = 60_000;

/** Not listening yet. */
export function createSignedServer(ports: SignedServerPorts): Server {
  const answer = answering(
    ports.log,
    (request, response) => serve(ports, request, response),
    // Before the signature was checked, so unsigned and without details.
    () => UNREADABLE,
  );
  return createServer({ keepAliveTimeout: KEEP_ALIVE_MS }, answer);
}

async function serve(
  ports: SignedServerPorts,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const gone = new AbortController();
  response.once('close', () => gone.abort());
  const cluster = headerOf(request, CLUSTER_HEADER);
  const nonce = headerOf(request, NONCE_HEADER);
  const { method = '', url: path = '' } = request;
  const body = await readBody(request);
  const key = await ports.keyOf(cluster);
  const isGenuine =
    key !== null &&
    isSignature(
      signRequest(key, { method, path, nonce, body }),
      headerOf(request, SIGNATURE_HEADER),
    );
  if (!isGenuine) {
    send(response, NOT_GENUINE);
    return;
  }
  const answer = await answerGenuine(ports, { cluster, path, body, signal: gone.signal });
  const signature = signAnswer(key, nonce, answer.status, answer.body);
  const headers = { [SIGNATURE_HEADER]: signature };
  if ('content' in answer) await sendFile(response, answer, headers);
  else send(response, answer, headers);
}

async function sendFile(
  response: ServerResponse,
  { status, body, content }: FileAnswer,
  headers: Readonly<Record<string, string>>,
): Promise<void> {
  response.writeHead(status, {
    'content-type': 'application/octet-stream',
    'content-length': content.bytes,
    [ANSWER_HEADER]: body,
    ...headers,
  });
  // Whoever asked may be gone already: then the stream ends here, and lets go of its file.
  await pipeline(content.stream, response);
}

/** The same for a cluster that does not exist and for a wrong key. */
const NOT_GENUINE = refusalOf(
  UNAUTHORIZED,
  'NotSigned',
  'The request is not signed with the key of its cluster.',
);
const UNREADABLE = refusalOf(400, 'Unreadable', 'The request could not be read.');

const headerOf = (request: IncomingMessage, name: string): string => {
  const value = request.headers[name];
  return typeof value === 'string' ? value : '';
};

async function answerGenuine(
  ports: SignedServerPorts,
  request: GenuineRequest,
): Promise<Answer | FileAnswer> {
  try {
    return await ports.answer(request);
  } catch (error) {
    noteFailure(ports.log, request.path, error);
    return answerOfError(error, ports.who);
  }
}
