/** Where Prometheus asks an operator. Read-only, without secrets, and not signed: keep it inside. */
import { createServer, type Server, type ServerResponse } from 'node:http';
import { once } from 'node:events';
import { messageOf, OperatingError } from '../../core/errors';
import { answering } from '../control/json-http';
import { type Log } from '../log';
import { type Exposition } from './exposition';

export const METRICS_PATH = '/metrics';

/** Answers until it is closed. */
export async function serveMetrics(
  at: { readonly port: number; readonly host: string },
  exposition: Exposition,
  log: Log,
): Promise<Server> {
  const server = createServer(
    answering(log, async (request, response) => {
      if (request.url === METRICS_PATH) await sendMetrics(response, exposition);
      else response.writeHead(404).end(`there is ${METRICS_PATH}\n`);
    }),
  );
  server.listen(at.port, at.host);
  await once(server, 'listening');
  return server;
}

export async function sendMetrics(
  response: ServerResponse,
  exposition: Pick<Exposition, 'text' | 'contentType'>,
): Promise<void> {
  try {
    const text = await exposition.text();
    response.writeHead(200, { 'content-type': exposition.contentType }).end(text);
  } catch (error) {
    const text = `the metrics could not be read: ${messageOf(error)}`;
    throw new OperatingError('fatal', 'MetricsUnreadable', text, error);
  }
}
