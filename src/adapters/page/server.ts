/** The web page: its files, a login by token, and the stream of what happens. Read-only. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { answering, readBody, urlOf } from '../control/json-http';
import { type Log } from '../log';
import { readAssets, type Asset } from './assets';
import { Sessions } from './session';
import { streamOverview, type Ask } from './stream';

export interface PagePorts {
  readonly token: string;
  /** Asks the leader, whichever operator that is. */
  readonly ask: Ask;
  readonly log: Log;
  /** Wall clock, for the end of sessions. */
  readonly now?: () => number;
}

/** Each costs the leader a look a few times a second. */
const STREAMS_MAX = 64;
const CONNECTIONS_MAX = 512;
/** A token, and no more: whoever sends it is nobody yet. */
const LOGIN_BYTES_MAX = 4 * 1024;

/**
 * Nothing from elsewhere, nothing inline, and no text that is taken for HTML: what a label or a
 * message holds is shown as it is.
 */
const HEADERS: Readonly<Record<string, string>> = {
  'content-security-policy':
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'",
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
  'referrer-policy': 'no-referrer',
  'x-content-type-options': 'nosniff',
};

/** Not listening yet. */
export function createPageServer(ports: PagePorts): Server {
  const visitors = new Visitors(ports);
  const server = createServer(
    answering(ports.log, (request, response) => visitors.serve(request, response)),
  );
  server.maxConnections = CONNECTIONS_MAX;
  return server;
}

class Visitors {
  readonly #ports: PagePorts;
  readonly #assets = readAssets();
  readonly #sessions: Sessions;
  #streams = 0;

  constructor(ports: PagePorts) {
    this.#ports = ports;
    this.#sessions = new Sessions(ports.token);
  }

  async serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    for (const [name, value] of Object.entries(HEADERS)) response.setHeader(name, value);
    const { pathname, searchParams } = urlOf(request);
    if (request.method === 'POST' && pathname === '/login') {
      await this.#logIn(request, response);
      return;
    }
    if (request.method !== 'GET' && request.method !== 'HEAD') {
      sendText(response, 405, 'This page is for looking only.');
      return;
    }
    const isKnown = this.#sessions.isOpen(request.headers.cookie, this.#nowMs());
    if (pathname === '/') {
      if (isKnown) this.#sendAsset(request, response, '/index.html');
      else this.#askForToken(response, false);
    } else if (pathname === '/events') {
      if (isKnown) await this.#stream(response, searchParams.get('cluster') ?? '');
      else sendText(response, 401, 'Log in first: pgswarm page prints a link.');
    } else {
      this.#sendAsset(request, response, pathname);
    }
  }

  async #logIn(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const given = new URLSearchParams(await readBody(request, LOGIN_BYTES_MAX)).get('token') ?? '';
    if (!this.#sessions.isToken(given.trim())) {
      this.#ports.log.info('a login to the web page was refused', {
        address: request.socket.remoteAddress,
      });
      this.#askForToken(response, true);
      return;
    }
    const isEncrypted = request.headers['x-forwarded-proto'] === 'https';
    const cookie = this.#sessions.begin(this.#nowMs(), isEncrypted);
    response.writeHead(303, { location: '/', 'set-cookie': cookie }).end();
  }

  #askForToken(response: ServerResponse, wasWrong: boolean): void {
    const page = this.#assets.get('/login.html')?.bytes.toString() ?? '';
    const text = wasWrong ? page.replace('id="wrong" hidden', 'id="wrong"') : page;
    response.writeHead(401, { 'content-type': 'text/html; charset=utf-8', ...UNCACHED }).end(text);
  }

  #sendAsset(request: IncomingMessage, response: ServerResponse, path: string): void {
    const asset = this.#assets.get(path);
    if (asset === undefined) sendText(response, 404, 'There is nothing here.');
    else if (request.headers['if-none-match'] === asset.etag) response.writeHead(304).end();
    else response.writeHead(200, headersOf(asset)).end(asset.bytes);
  }

  async #stream(response: ServerResponse, cluster: string): Promise<void> {
    if (this.#streams >= STREAMS_MAX) {
      sendText(response, 503, `${STREAMS_MAX} browsers watch already; close one of them.`);
      return;
    }
    const gone = new AbortController();
    response.once('close', () => gone.abort());
    response.writeHead(200, {
      'content-type': 'text/event-stream',
      // A proxy must not hold it back.
      'x-accel-buffering': 'no',
      ...UNCACHED,
    });
    this.#streams += 1;
    try {
      await streamOverview(response, { ask: this.#ports.ask, cluster, signal: gone.signal });
    } finally {
      this.#streams -= 1;
    }
  }

  #nowMs(): number {
    return (this.#ports.now ?? Date.now)();
  }
}

const UNCACHED = { 'cache-control': 'no-store' };

const headersOf = ({ type, bytes, etag }: Asset): Record<string, string | number> => ({
  'content-type': type,
  'content-length': bytes.length,
  'cache-control': 'no-cache',
  etag,
});

function sendText(response: ServerResponse, status: number, text: string): void {
  response.writeHead(status, { 'content-type': 'text/plain; charset=utf-8', ...UNCACHED });
  response.end(`${text}\n`);
}
