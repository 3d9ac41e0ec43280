/** The web page, where it is asked for: on a port of its own, on every operator. */
import { askLeader, type LocalPorts } from '../adapters/control/local-server';
import { createPageServer } from '../adapters/page/server';
import { OperatingError } from '../core/errors';
import { type Keyring } from './keyring';

export interface PageAccess {
  readonly port: number;
  readonly token: string;
}

/** null: nobody has asked for the page, or there is no root key yet to derive its token from. */
export function pageAccess(environment: NodeJS.ProcessEnv, keyring: Keyring): PageAccess | null {
  const port = environment['PGSWARM_PAGE_PORT'] ?? '';
  const token = keyring.pageToken(environment['PGSWARM_PAGE_SALT'] ?? '');
  if (port === '' || token === null) return null;
  if (/^\d{1,5}$/.test(port) && Number(port) > 0) return { port: Number(port), token };
  const message = `PGSWARM_PAGE_PORT is ${port}, which is not a port; the web page has 7780 unless you choose another one`;
  throw new OperatingError('refused', 'PagePort', message);
}

/** Listens; returns what ends it. A port that cannot be had is no reason to run no operator. */
export function servePage(access: PageAccess | null, ports: LocalPorts): () => void {
  if (access === null) return () => undefined;
  const { log } = ports;
  const { port, token } = access;
  const server = createPageServer({ token, ask: askLeader(ports), log });
  server.on('error', (error) => {
    log.error('the web page cannot be served', { port, message: error.message });
  });
  server.listen(port, () => log.info('the web page is served', { port }));
  return () => {
    server.close();
    server.closeAllConnections();
  };
}
