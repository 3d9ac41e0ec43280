/** Listens for pushes on every manager: whichever of them is told, the leader looks. */
import { askLeader, type LocalPorts } from '../adapters/control/local-server';
import { readSecret } from '../adapters/git/repository';
import { createWebhookServer } from '../adapters/git/webhook';
import { messageOf } from '../core/errors';
import { type Parsed } from '../core/git/settings';
import { PUSHED } from './cli-routes';

/** Returns what closes it. */
export function serveWebhook(git: Parsed, ports: LocalPorts): () => void {
  const webhook = git.kind === 'settings' ? git.settings.webhook : null;
  if (webhook === null) return () => undefined;
  const { port, secretFile } = webhook;
  const { log } = ports;
  const server = createWebhookServer({
    secret: () => readSecret(secretFile),
    pushed: () => askLeader(ports)(PUSHED),
    refused: (because, from) => log.warn('a webhook was refused', { because, from }),
    log,
  });
  server.on('error', (error) => {
    log.error('webhooks cannot be listened for', { port, message: messageOf(error) });
  });
  server.listen(port);
  return () => {
    server.close();
    server.closeAllConnections();
  };
}
