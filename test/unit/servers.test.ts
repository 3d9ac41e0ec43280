/**
 * The story: `GET //` threw in the handler of an instance manager's health server, which ended the
 * manager, and PostgreSQL with it. Whatever any of our servers is sent, it answers and stays there.
 */
import { expect } from 'chai';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { request, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { connect, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { stub, type SinonStub } from 'sinon';
import { createLogger } from 'winston';
import { openLocalServer } from '../../src/adapters/control/local-server';
import { createSignedServer } from '../../src/adapters/control/signed-server';
import { createWebhookServer } from '../../src/adapters/git/webhook';
import { type Log } from '../../src/adapters/log';
import { Exposition } from '../../src/adapters/metrics/exposition';
import { serveMetrics } from '../../src/adapters/metrics/metrics-server';
import { createPageServer } from '../../src/adapters/page/server';
import { gauge } from '../../src/core/metrics/family';
import { serveHealth } from '../../src/instance/health-server';

const broken = (): never => {
  throw new TypeError('a mistake of ours');
};
const unreadable = new Exposition();
unreadable.add({ families: { some: gauge('Some.') }, read: broken });
const EXPOSITION = { contentType: 'text/plain', text: () => Promise.resolve('') };
const SIGNED = { 'x-pgswarm-cluster': 'orders' };

/** How each is made, with everything broken that it asks, and a question that makes it ask. */
interface Row {
  readonly name: string;
  readonly open: (log: Log, socket: string) => Promise<Server> | Server;
  readonly method: 'GET' | 'POST';
  readonly path: string;
  readonly status: number;
}

const ROWS: readonly Row[] = [
  {
    name: 'health',
    open: (log) => serveHealth(0, broken, EXPOSITION, log),
    ...{ method: 'GET', path: '/healthz', status: 500 },
  },
  {
    name: 'metrics',
    open: (log) => serveMetrics({ port: 0, host: '127.0.0.1' }, unreadable, log),
    ...{ method: 'GET', path: '/metrics', status: 500 },
  },
  {
    name: 'page',
    open: (log) => createPageServer({ token: 't', ask: broken, now: broken, log }),
    ...{ method: 'GET', path: '/', status: 500 },
  },
  {
    name: 'webhook',
    open: (log) => createWebhookServer({ secret: broken, pushed: broken, refused: broken, log }),
    ...{ method: 'POST', path: '/webhook', status: 503 },
  },
  {
    name: 'control',
    open: (log) => createSignedServer({ keyOf: broken, answer: broken, who: 'operator', log }),
    ...{ method: 'POST', path: '/v1/heartbeat', status: 400 },
  },
  {
    name: 'CLI',
    open: (log, socket) =>
      openLocalServer({ routes: [], notLeader: broken, operatorKey: broken, log }, socket),
    ...{ method: 'GET', path: '/v1/clusters', status: 500 },
  },
];

for (const { name, open, method, path, status } of ROWS) {
  describe(`the ${name} server, whatever comes`, () => {
    const folder = mkdtempSync(join(tmpdir(), 'pgswarm-server-'));
    const log = createLogger({ silent: true });
    let logged: SinonStub;
    let server: Server;
    let where: { readonly port: number } | { readonly path: string };

    before(async () => {
      logged = stub(log, 'error');
      server = await open(log, join(folder, 'socket'));
      if (!server.listening) await once(server.listen(0), 'listening');
      const at = server.address() as AddressInfo | string;
      where = typeof at === 'string' ? { path: at } : { port: at.port };
    });
    after(async () => {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
      rmSync(folder, { recursive: true });
    });

    const ask = async (headers: Record<string, string>, body = ''): Promise<number> => {
      const length = { 'content-length': Buffer.byteLength(body) };
      const to = 'port' in where ? where : { socketPath: where.path };
      const asked = request({
        ...{ ...to, method, path, agent: false },
        headers: { ...SIGNED, ...headers, ...length },
      });
      asked.end(body);
      const [response] = (await once(asked, 'response')) as [IncomingMessage];
      response.resume();
      return response.statusCode!;
    };

    /** The first line of the answer to these bytes. */
    const raw = async (text: string): Promise<string> => {
      const socket = connect(where as { readonly port: number });
      socket.setEncoding('utf8').end(text);
      const [answer] = (await once(socket, 'data')) as [string];
      socket.destroy();
      return answer.split('\r\n')[0]!;
    };

    it(`answers a mistake of its own with ${status}, and logs it`, async () => {
      expect(await ask({})).to.equal(status);
      expect(logged.lastCall.args[0]).to.equal('a request could not be answered');
    });

    it('answers a path that is none', async () => {
      for (const bad of ['//', 'http://[', '//%', '/%', '/\\\\@:']) {
        const line = await raw(`${method} ${bad} HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n`);
        expect(line, bad).to.match(/^HTTP\/1.1 [45]\d\d /);
      }
    });

    it('answers headers that are too large, and what is not HTTP', async () => {
      const large = `x: ${'x'.repeat(64 * 1024)}\r\n`;
      expect(await raw(`GET / HTTP/1.1\r\nhost: x\r\n${large}\r\n`)).to.include(' 431 ');
      expect(await raw('hello\r\n\r\n')).to.include(' 400 ');
    });

    it('answers a body that is no JSON', async () => {
      expect(await ask({}, '{"half":')).to.be.within(400, 503);
    });

    it('outlives one who leaves in the middle of a request', async () => {
      const socket = connect(where as { readonly port: number });
      const seen = once(server, 'request');
      socket.write(`POST ${path} HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\nhalf`);
      const [, response] = (await seen) as [unknown, ServerResponse];
      socket.destroy();
      if (!response.closed) await once(response, 'close');
      expect(await ask({})).to.equal(status);
    });
  });
}
