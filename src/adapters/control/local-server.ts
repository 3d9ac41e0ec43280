/**
 * The operator's API for the CLI, on a unix socket in its container: whoever may `docker exec`
 * there may ask. An operator that does not lead passes the question on to the one that does.
 */
import { chmodSync, mkdirSync, rmSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { dirname } from 'node:path';
import { messageOf } from '../../core/errors';
import { OPERATOR_SOCKET } from '../../core/names';
import { type NotLeader } from '../../core/protocol';
import { type Log } from '../log';
import {
  answering,
  answerOfError,
  noteFailure,
  parseBody,
  readBody,
  refusalOf,
  send,
  type Answer,
} from './json-http';
import { parseEndpoint } from './operator-directory';
import { answerQuestion, type Question, type Route } from './routes';
import { OPERATORS, PASSED_ON } from './server';
import { SignedExchange } from './signed-exchange';

const PASS_ON_TIMEOUT_MS = 4_000;
const NOT_LEADER = 421;

export interface LocalPorts {
  readonly routes: readonly Route[];
  /** null while this operator leads. */
  readonly notLeader: () => NotLeader | null;
  /** The operators' own key; null while there is no root key. */
  readonly operatorKey: () => Buffer | null;
  readonly log: Log;
}

/** Listening on the socket, whose folder is made. */
export function openLocalServer(
  ports: LocalPorts,
  socket: string = OPERATOR_SOCKET,
): Promise<Server> {
  const ask = askLeader(ports);
  const server = createServer(
    answering(ports.log, async (request, response) => {
      const { method = '', url: path = '' } = request;
      send(response, await ask({ method, path, body: parseBody(await readBody(request)) }));
    }),
  );
  mkdirSync(dirname(socket), { recursive: true });
  // A socket that an earlier operator has left behind.
  rmSync(socket, { force: true });
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(socket, () => {
      chmodSync(socket, 0o600);
      resolve(server);
    });
  });
}

/** The answer of the leader, whether that is this operator or another one. Never rejects. */
export const askLeader =
  (ports: LocalPorts) =>
  async (question: Question): Promise<Answer> => {
    try {
      const elsewhere = ports.notLeader();
      if (elsewhere !== null) return await passOn(ports, elsewhere, question);
      return await answerQuestion(ports.routes, question, (error) => {
        noteFailure(ports.log, question.path, error);
      });
    } catch (error) {
      noteFailure(ports.log, question.path, error);
      return answerOfError(error);
    }
  };

async function passOn(
  ports: LocalPorts,
  { leader }: NotLeader,
  { method, path, body }: Question,
): Promise<Answer> {
  const key = ports.operatorKey();
  if (leader === null || key === null) return NOBODY_LEADS;
  const exchange = new SignedExchange(OPERATORS, key);
  try {
    const answer = await exchange.ask(parseEndpoint(leader, 0), {
      path: `${PASSED_ON}${path}`,
      body: JSON.stringify({ method, body }),
      timeoutMs: PASS_ON_TIMEOUT_MS,
    });
    return answer.status === NOT_LEADER ? NOBODY_LEADS : answer;
  } catch (error) {
    const text = `The leading operator at ${leader} does not answer: ${messageOf(error)}. Another one takes over within 10 s.`;
    return refusalOf(503, 'LeaderSilent', text);
  } finally {
    exchange.close();
  }
}

const NOBODY_LEADS = refusalOf(
  503,
  'NoLeader',
  'No operator leads at the moment. It takes up to 20 s after a manager was lost; then see: docker service ps pgswarm_operator',
);
