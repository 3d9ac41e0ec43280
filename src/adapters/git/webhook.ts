/**
 * Listens for pushes: GitHub and Gitea sign the body (`X-Hub-Signature-256`), GitLab sends the
 * secret itself (`X-Gitlab-Token`). What a genuine message says is not looked at: it only means
 * that there is something to look at.
 */
import { createHash, createHmac, timingSafeEqual } from 'node:crypto';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import { answering, answerOf, refusalOf, send, type Answer } from '../control/json-http';
import { type Log } from '../log';

export const WEBHOOK_PATH = '/webhook';
/** GitHub sends no more. */
const BODY_BYTES_MAX = 25 * 1024 ** 2;
const REQUEST_MS = 10_000;

export interface WebhookPorts {
  readonly secret: () => Promise<string>;
  /** Tells the leader; its answer is passed on. */
  readonly pushed: () => Promise<Answer>;
  readonly refused: (because: string, from: string | undefined) => void;
  readonly log: Log;
}

/** Not listening yet. */
export function createWebhookServer(ports: WebhookPorts): Server {
  const server = createServer(
    answering(
      ports.log,
      async (request, response) => {
        const each = await answer(ports, request);
        send(response, each, each.status === 413 ? { connection: 'close' } : {});
      },
      // Whoever sends it is nobody yet.
      () => refusalOf(503, 'WebhookFailed', 'The operator cannot take it now; send it again.'),
    ),
  );
  server.requestTimeout = REQUEST_MS;
  server.headersTimeout = REQUEST_MS;
  return server;
}

async function answer(ports: WebhookPorts, request: IncomingMessage): Promise<Answer> {
  if (request.url?.split('?')[0] !== WEBHOOK_PATH) {
    return refusalOf(404, 'UnknownPath', `Webhooks go to ${WEBHOOK_PATH}.`);
  }
  if (request.method !== 'POST') return refusalOf(405, 'NotPosted', 'A webhook is posted.');
  if (!(Number(request.headers['content-length']) <= BODY_BYTES_MAX)) {
    return refusalOf(413, 'BodyTooLarge', 'It is larger than 25 MB, or does not say how large.');
  }
  const secret = (await ports.secret()).trim();
  const signature = await signatureOf(secret, request);
  const because = whyForeign(secret, signature, request.headers);
  if (because !== null) {
    ports.refused(because, request.socket.remoteAddress);
    return refusalOf(401, 'WrongSignature', `${because}.`);
  }
  const told = await ports.pushed();
  return told.status === 200 ? answerOf({ looking: true }, 202) : told;
}

/** The body is not kept. */
async function signatureOf(secret: string, request: IncomingMessage): Promise<string> {
  const hmac = createHmac('sha256', secret);
  for await (const part of request as AsyncIterable<Buffer>) hmac.update(part);
  return `sha256=${hmac.digest('hex')}`;
}

/** null: whoever has sent it knows the secret. */
function whyForeign(
  secret: string,
  signature: string,
  headers: IncomingMessage['headers'],
): string | null {
  const { 'x-hub-signature-256': signed, 'x-gitlab-token': token } = headers;
  if (secret === '') return 'The secret of the webhook is empty: nothing can be signed with it';
  if (typeof signed === 'string') {
    return isSame(signed, signature) ? null : 'The signature is not that of the secret';
  }
  if (typeof token === 'string') {
    return isSame(token, secret) ? null : 'The token is not the secret';
  }
  return 'It is not signed: there is neither X-Hub-Signature-256 nor X-Gitlab-Token';
}

/** In the same time, whatever differs. */
const isSame = (a: string, b: string): boolean => timingSafeEqual(digest(a), digest(b));
const digest = (text: string): Buffer => createHash('sha256').update(text).digest();
