/**
 * Asks the operator's leader. Every operator listens on a unix socket in its own container and
 * passes questions on to the leader; the way to the socket is `docker exec`, so that whoever may
 * use a manager's Docker may ask, and nobody else.
 */
import { existsSync } from 'node:fs';
import { request, type IncomingMessage } from 'node:http';
import { connect } from 'node:net';
import { type Duplex } from 'node:stream';
import { messageOf, OperatingError } from '../core/errors';
import { type HistoryEntry } from '../core/history';
import { OPERATOR_SOCKET } from '../core/names';
import { type ClusterAnswer } from '../operator/operator';
import { type PageAccess } from '../operator/page';
import { type Credentials, type OperatorClient } from './ports';

/** An operator that has a leader answers in milliseconds. */
const ANSWER_TIMEOUT_MS = 5_000;

const SOCAT = ['socat', '-', `UNIX-CONNECT:${OPERATOR_SOCKET}`];

type Tunnel = (command: readonly string[]) => Promise<Duplex>;

/** `tunnel` connects to a program in the operator's container. */
export function createOperatorClient(tunnel: Tunnel): OperatorClient {
  const dial = (): Promise<Duplex> =>
    existsSync(OPERATOR_SOCKET) ? Promise.resolve(connect(OPERATOR_SOCKET)) : tunnel(SOCAT);
  const get = async (path: string): Promise<unknown> => getJson(await dial(), path);
  return {
    cluster: async (name) =>
      (await get(`/v1/clusters/${encodeURIComponent(name)}`)) as ClusterAnswer,
    history: async (name, since) =>
      (await get(
        `/v1/clusters/${encodeURIComponent(name)}/history/${encodeURIComponent(since ?? 'ever')}`,
      )) as readonly HistoryEntry[],
    credentials: async (name) =>
      (await get(`/v1/clusters/${encodeURIComponent(name)}/credentials`)) as Credentials,
    page: async () => (await get('/v1/page')) as PageAccess,
  };
}

/** One question over a connection that is used for nothing else. */
export async function getJson(connection: Duplex, path: string): Promise<unknown> {
  let status: number;
  let text: string;
  try {
    const response = await ask(connection, path);
    status = response.statusCode ?? 0;
    text = await textOf(response);
  } catch (error) {
    const sentence = `The operator does not answer (${reasonOf(error)}). See: docker service ps pgswarm_operator`;
    throw new OperatingError('transient', 'OperatorSilent', sentence, error);
  } finally {
    connection.destroy();
  }
  return answerOf(status, text);
}

function ask(connection: Duplex, path: string): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const signal = AbortSignal.timeout(ANSWER_TIMEOUT_MS);
    const headers = { host: 'operator', connection: 'close' };
    request({ createConnection: () => connection, path, headers, signal }, resolve)
      .once('error', reject)
      .end();
  });
}

async function textOf(response: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of response) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString();
}

const reasonOf = (error: unknown): string =>
  error instanceof Error && error.name === 'AbortError'
    ? `nothing came within ${ANSWER_TIMEOUT_MS / 1000} s`
    : messageOf(error);

function answerOf(status: number, text: string): unknown {
  const isGood = status >= 200 && status < 300;
  try {
    const answer = JSON.parse(text) as { readonly message?: string; readonly code?: string };
    if (isGood) return answer;
    const kind = status < 500 ? 'refused' : 'transient';
    throw new OperatingError(kind, answer.code ?? 'OperatorError', answer.message ?? text);
  } catch (error) {
    if (error instanceof OperatingError) throw error;
    const sentence = `The operator answered with status ${status} and something that is not JSON. Are it and this command of the same version?`;
    throw new OperatingError('refused', 'OperatorError', sentence, error);
  }
}
