/**
 * The operator's API on the control network, for instances and for the other operators. Everything
 * is signed with the key of the cluster that it is about; whoever cannot sign learns nothing.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { OperatingError } from '../../core/errors';
import {
  WATCH_TIMEOUT_MS,
  type Assignment,
  type NotLeader,
  type Report,
} from '../../core/protocol';
import { type Log } from '../log';
import {
  answerOf,
  answerOfError,
  parseBody,
  readBody,
  refusalOf,
  send,
  type Answer,
} from './json-http';
import { answerQuestion, type Route } from './routes';
import {
  CLUSTER_HEADER,
  isSignature,
  NONCE_HEADER,
  signAnswer,
  SIGNATURE_HEADER,
  signRequest,
} from './signing';

/** Stands for no cluster: one operator passes a question of the CLI on to another. */
export const OPERATORS = '*';
/** Before the path of a question that is passed on. */
export const PASSED_ON = '/v1/cli';

export const HEARTBEAT_PATH = '/v1/heartbeat';
export const WATCH_PATH = '/v1/watch';

const UNAUTHORIZED = 401;
const NOT_LEADER = 421;
/** Longer than the pause between two heartbeats, so that one connection serves them all. */
const KEEP_ALIVE_MS = 60_000;

export interface ControlPorts {
  /** Control key of a cluster, the operators' own for `*`; null when there is none. */
  readonly keyOf: (cluster: string) => Promise<Buffer | null>;
  readonly onReport: (report: Report) => Assignment | NotLeader;
  /** null while this operator leads. */
  readonly notLeader: () => NotLeader | null;
  /** Resolves when the server's assignment has another digest: SHA-256 over its JSON, in hex. */
  readonly waitForChange: (
    cluster: string,
    request: { readonly server: string; readonly digest: string },
    signal: AbortSignal,
  ) => Promise<void>;
  /** For questions that another operator passes on. */
  readonly routes: readonly Route[];
  readonly log: Log;
}

/** Not listening yet. */
export function createControlServer(ports: ControlPorts): Server {
  return createServer({ keepAliveTimeout: KEEP_ALIVE_MS }, (request, response) => {
    void serve(ports, request, response);
  });
}

/** A request whose signature was right. */
interface Signed {
  readonly cluster: string;
  readonly path: string;
  readonly body: string;
  /** Aborted when the one who asked is gone. */
  readonly signal: AbortSignal;
}

async function serve(
  ports: ControlPorts,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const gone = new AbortController();
  response.once('close', () => gone.abort());
  try {
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
    const answer = await answerSigned(ports, { cluster, path, body, signal: gone.signal });
    const signature = signAnswer(key, nonce, answer.status, answer.body);
    send(response, answer, { [SIGNATURE_HEADER]: signature });
  } catch (error) {
    // Before the signature was checked, so unsigned and without details.
    ports.log.debug('a request on the control network failed', { message: String(error) });
    send(response, UNREADABLE, { connection: 'close' });
  }
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

async function answerSigned(ports: ControlPorts, request: Signed): Promise<Answer> {
  try {
    if (request.cluster === OPERATORS) return await answerPassedOn(ports, request);
    if (request.path === HEARTBEAT_PATH) return answerReport(ports, request);
    if (request.path === WATCH_PATH) return await answerWatch(ports, request);
    return refusalOf(404, 'UnknownQuestion', `The operator knows no ${request.path}.`);
  } catch (error) {
    if (!(error instanceof OperatingError)) {
      ports.log.error('a request could not be answered', { path: request.path, error });
    }
    return answerOfError(error);
  }
}

function answerReport(ports: ControlPorts, { cluster, body }: Signed): Answer {
  const report = parseBody(body) as Report;
  requireOwn(cluster, report);
  const answer = ports.onReport(report);
  return answerOf(answer, 'notLeader' in answer ? NOT_LEADER : 200);
}

async function answerWatch(
  ports: ControlPorts,
  { cluster, body, signal }: Signed,
): Promise<Answer> {
  const question = parseBody(body) as { cluster: string; server: string; digest: string };
  requireOwn(cluster, question);
  const elsewhere = ports.notLeader();
  if (elsewhere !== null) return answerOf(elsewhere, NOT_LEADER);
  const { server, digest } = question;
  const ended = AbortSignal.any([signal, AbortSignal.timeout(WATCH_TIMEOUT_MS)]);
  await ports.waitForChange(cluster, { server, digest }, ended);
  return answerOf({});
}

/** A key speaks for its own cluster and for no other one. */
function requireOwn(cluster: string, question: { readonly cluster: string } | null): void {
  if (question?.cluster === cluster) return;
  const text = `A message about another cluster was signed with the key of ${cluster}.`;
  throw new OperatingError('refused', 'ForeignCluster', text);
}

async function answerPassedOn(ports: ControlPorts, { path, body }: Signed): Promise<Answer> {
  const elsewhere = ports.notLeader();
  if (elsewhere !== null) return answerOf(elsewhere, NOT_LEADER);
  const question = parseBody(body) as { method: string; body: unknown };
  const inner = path.startsWith(`${PASSED_ON}/`) ? path.slice(PASSED_ON.length) : path;
  return answerQuestion(ports.routes, { ...question, path: inner }, (error) =>
    ports.log.debug('a question was refused', { path: inner, message: String(error) }),
  );
}
