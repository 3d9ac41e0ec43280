/** Where Prometheus asks an operator. Read-only, without secrets, and not signed: keep it inside. */
import { createServer, type Server, type ServerResponse } from 'node:http';
import { once } from 'node:events';
import { type Exposition } from './exposition';

export const METRICS_PATH = '/metrics';

/** Answers until it is closed. */
export async function serveMetrics(
  at: { readonly port: number; readonly host: string },
  exposition: Exposition,
): Promise<Server> {
  const server = createServer((request, response) => {
    if (request.url === METRICS_PATH) void sendMetrics(response, exposition);
    else response.writeHead(404).end(`there is ${METRICS_PATH}\n`);
  });
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
    response.writeHead(500).end(`the metrics could not be read: ${String(error)}\n`);
  }
}
