/**
 * The operator's API on the control network, for instances and for the other operators. Everything
 * is signed with the key of the cluster that it is about; whoever cannot sign learns nothing.
 */
import { type Server } from 'node:http';
import { OperatingError } from '../../core/errors';
import {
  WATCH_TIMEOUT_MS,
  type HeartbeatAnswer,
  type NotLeader,
  type Report,
} from '../../core/protocol';
import { type Log } from '../log';
import { timeLimit } from '../time-limit';
import { answerOf, noteFailure, parseBody, refusalOf, type Answer } from './json-http';
import { answerQuestion, type Route } from './routes';
import { createSignedServer, type GenuineRequest } from './signed-server';

/** Stands for no cluster: one operator passes a question of the CLI on to another. */
export const OPERATORS = '*';
/** Before the path of a question that is passed on. */
export const PASSED_ON = '/v1/cli';

export const HEARTBEAT_PATH = '/v1/heartbeat';
export const WATCH_PATH = '/v1/watch';

const NOT_LEADER = 421;

export interface ControlPorts {
  /** Control key of a cluster, the operators' own for `*`; null when there is none. */
  readonly keyOf: (cluster: string) => Promise<Buffer | null>;
  readonly onReport: (report: Report) => HeartbeatAnswer | NotLeader;
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
  return createSignedServer({
    keyOf: ports.keyOf,
    answer: (request) => answerSigned(ports, request),
    who: 'operator',
    log: ports.log,
  });
}

async function answerSigned(ports: ControlPorts, request: GenuineRequest): Promise<Answer> {
  if (request.cluster === OPERATORS) return await answerPassedOn(ports, request);
  if (request.path === HEARTBEAT_PATH) return answerReport(ports, request);
  if (request.path === WATCH_PATH) return await answerWatch(ports, request);
  return refusalOf(404, 'UnknownQuestion', `The operator knows no ${request.path}.`);
}

function answerReport(ports: ControlPorts, { cluster, body }: GenuineRequest): Answer {
  const report = parseBody(body) as Report;
  requireOwn(cluster, report);
  const answer = ports.onReport(report);
  return answerOf(answer, 'notLeader' in answer ? NOT_LEADER : 200);
}

async function answerWatch(
  ports: ControlPorts,
  { cluster, body, signal }: GenuineRequest,
): Promise<Answer> {
  const question = parseBody(body) as { cluster: string; server: string; digest: string };
  requireOwn(cluster, question);
  const elsewhere = ports.notLeader();
  if (elsewhere !== null) return answerOf(elsewhere, NOT_LEADER);
  const { server, digest } = question;
  const ended = timeLimit(WATCH_TIMEOUT_MS, signal);
  await ports.waitForChange(cluster, { server, digest }, ended);
  return answerOf({});
}

/** A key speaks for its own cluster and for no other one. */
function requireOwn(cluster: string, question: { readonly cluster: string } | null): void {
  if (question?.cluster === cluster) return;
  const text = `A message about another cluster was signed with the key of ${cluster}.`;
  throw new OperatingError('refused', 'ForeignCluster', text);
}

async function answerPassedOn(
  ports: ControlPorts,
  { path, body }: GenuineRequest,
): Promise<Answer> {
  const elsewhere = ports.notLeader();
  if (elsewhere !== null) return answerOf(elsewhere, NOT_LEADER);
  const question = parseBody(body) as { method: string; body: unknown };
  const inner = path.startsWith(`${PASSED_ON}/`) ? path.slice(PASSED_ON.length) : path;
  return answerQuestion(ports.routes, { ...question, path: inner }, (error) =>
    noteFailure(ports.log, inner, error),
  );
}
