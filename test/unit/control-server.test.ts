import { expect } from 'chai';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { request, type IncomingMessage, type Server } from 'node:http';
import { type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createLogger } from 'winston';
import { openLocalServer } from '../../src/adapters/control/local-server';
import { type Route } from '../../src/adapters/control/routes';
import { createControlServer, OPERATORS } from '../../src/adapters/control/server';
import { SignedExchange } from '../../src/adapters/control/signed-exchange';
import {
  CLUSTER_HEADER,
  NONCE_HEADER,
  SIGNATURE_HEADER,
  signRequest,
} from '../../src/adapters/control/signing';
import { OperatingError } from '../../src/core/errors';
import { type NotLeader, type Report } from '../../src/core/protocol';

const ordersKey = Buffer.alloc(32, 1);
const invoicesKey = Buffer.alloc(32, 2);
const operatorKey = Buffer.alloc(32, 3);
const KEYS: Readonly<Record<string, Buffer>> = {
  orders: ordersKey,
  invoices: invoicesKey,
  [OPERATORS]: operatorKey,
};

const report = { cluster: 'orders', server: 'pg1', bootId: 'b', sequence: 1 };
const assignment = { cluster: 'orders', server: 'pg1', term: 3 };
const elsewhere: NotLeader = { notLeader: true, leader: '10.0.0.9:7700' };

const routes: readonly Route[] = [
  { method: 'GET', path: '/v1/clusters/:cluster', answer: ({ cluster }) => ({ cluster }) },
  {
    method: 'POST',
    path: '/v1/clusters/:cluster/pause',
    answer: ({ cluster }, body) => ({ cluster, body }),
  },
  {
    method: 'GET',
    path: '/v1/refused',
    answer: () => {
      throw new OperatingError('refused', 'UnknownCluster', 'There is no such cluster.');
    },
  },
  {
    method: 'GET',
    path: '/v1/broken',
    answer: () => {
      throw new TypeError('secret detail');
    },
  },
];

describe('the operator’s API on the control network', () => {
  let server: Server;
  let endpoint: { host: string; port: number };
  let isLeading: boolean;
  let reports: Report[];
  let watch: { server: string; digest: string; signal: AbortSignal } | null;
  let change: () => void;
  const exchanges: SignedExchange[] = [];

  beforeEach(async () => {
    isLeading = true;
    reports = [];
    watch = null;
    server = createControlServer({
      keyOf: (cluster) => Promise.resolve(KEYS[cluster] ?? null),
      onReport: (each) => {
        reports.push(each);
        return isLeading ? (assignment as never) : elsewhere;
      },
      notLeader: () => (isLeading ? null : elsewhere),
      waitForChange: (_cluster, question, signal) =>
        new Promise((resolve) => {
          watch = { ...question, signal };
          change = resolve;
          signal.addEventListener('abort', () => resolve());
        }),
      routes,
      log: createLogger({ silent: true }),
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    endpoint = { host: '127.0.0.1', port: (server.address() as AddressInfo).port };
  });

  afterEach(async () => {
    for (const exchange of exchanges.splice(0)) exchange.close();
    server.closeAllConnections();
    server.close();
    await once(server, 'close');
  });

  function as(cluster: string, key: Buffer): SignedExchange {
    const exchange = new SignedExchange(cluster, key);
    exchanges.push(exchange);
    return exchange;
  }

  const ask = (path: string, body: unknown) => ({
    path,
    body: JSON.stringify(body),
    timeoutMs: 2_000,
  });

  it('answers a report with the assignment, signed', async () => {
    const answer = await as('orders', ordersKey).ask(endpoint, ask('/v1/heartbeat', report));
    expect(answer.status).to.equal(200);
    expect(JSON.parse(answer.body)).to.deep.equal(assignment);
    expect(reports).to.deep.equal([report]);
  });

  it('says who leads when it does not', async () => {
    isLeading = false;
    for (const path of ['/v1/heartbeat', '/v1/watch']) {
      const answer = await as('orders', ordersKey).ask(endpoint, ask(path, report));
      expect(answer).to.deep.equal({ status: 421, body: JSON.stringify(elsewhere) });
    }
  });

  it('keeps a watch until the assignment has changed', async () => {
    const question = { ...report, digest: 'd' };
    const asked = as('orders', ordersKey).ask(endpoint, ask('/v1/watch', question));
    await until(() => watch !== null);
    expect(watch).to.include({ server: 'pg1', digest: 'd' });
    change();
    expect((await asked).status).to.equal(200);
  });

  it('forgets a watch whose instance is gone', async () => {
    const gone = new AbortController();
    const question = { ...ask('/v1/watch', report), signal: gone.signal };
    const asked = as('orders', ordersKey).ask(endpoint, question);
    await until(() => watch !== null);
    gone.abort();
    await asked.catch(() => undefined);
    await until(() => watch?.signal.aborted === true);
  });

  it('does not let one cluster’s key speak for another cluster', async () => {
    const answer = await as('invoices', invoicesKey).ask(endpoint, ask('/v1/heartbeat', report));
    expect(answer.status).to.equal(400);
    expect(reports).to.deep.equal([]);
  });

  const forgeries = [
    { name: 'of a cluster that it does not know', cluster: 'nobody', key: ordersKey, change: {} },
    { name: 'with another key', cluster: 'orders', key: invoicesKey, change: {} },
    { name: 'for another path', cluster: 'orders', key: ordersKey, change: { path: '/v1/watch' } },
    { name: 'for another body', cluster: 'orders', key: ordersKey, change: { body: '{}' } },
    { name: 'for another method', cluster: 'orders', key: ordersKey, change: { method: 'PUT' } },
    { name: 'for another nonce', cluster: 'orders', key: ordersKey, change: { nonce: 'other' } },
    { name: 'without a signature', cluster: 'orders', key: null, change: {} },
  ];
  for (const { name, cluster, key, change: forged } of forgeries) {
    it(`refuses a request signed ${name}, and says nothing more`, async () => {
      const signed = {
        method: 'POST',
        path: '/v1/heartbeat',
        nonce: 'n',
        body: JSON.stringify(report),
      };
      const answer = await raw(endpoint.port, signed.body, {
        [CLUSTER_HEADER]: cluster,
        [NONCE_HEADER]: signed.nonce,
        ...(key === null ? {} : { [SIGNATURE_HEADER]: signRequest(key, { ...signed, ...forged }) }),
      });
      expect(answer.status).to.equal(401);
      expect(JSON.parse(answer.body)).to.deep.equal({
        code: 'NotSigned',
        message: 'The request is not signed with the key of its cluster.',
      });
      expect(answer.signature).to.equal(undefined);
      expect(reports).to.deep.equal([]);
    });
  }

  it('does not read more than 1 MB', async () => {
    const answer = await raw(endpoint.port, 'x'.repeat(1024 * 1024 + 1), {}).catch(() => null);
    expect(answer?.status ?? 400).to.equal(400);
    expect(reports).to.deep.equal([]);
  });

  it('answers what another operator passes on, and refuses it with an instance’s key', async () => {
    const question = ask('/v1/cli/v1/clusters/orders', { method: 'GET', body: null });
    const answer = await as(OPERATORS, operatorKey).ask(endpoint, question);
    expect(answer).to.deep.equal({ status: 200, body: '{"cluster":"orders"}' });
    const foreign = await as('orders', ordersKey).ask(endpoint, question);
    expect(foreign.status).to.equal(404);
  });

  describe('and its API for the CLI', () => {
    const folder = mkdtempSync(join(tmpdir(), 'pgswarm-socket-'));
    const socket = join(folder, 'operator.sock');
    let local: Server;
    let leader: NotLeader | null;

    beforeEach(async () => {
      leader = null;
      const log = createLogger({ silent: true });
      const ports = { routes, notLeader: () => leader, operatorKey: () => operatorKey, log };
      local = await openLocalServer(ports, socket);
    });
    afterEach(async () => {
      local.closeAllConnections();
      local.close();
      await once(local, 'close');
    });
    after(() => rmSync(folder, { recursive: true }));

    const rows = [
      { method: 'GET', path: '/v1/clusters/orders', status: 200, body: { cluster: 'orders' } },
      { method: 'GET', path: '/v1/clusters/a%2Fb', status: 200, body: { cluster: 'a/b' } },
      {
        method: 'POST',
        path: '/v1/clusters/orders/pause',
        status: 200,
        body: { cluster: 'orders', body: { for: '1h' } },
      },
      {
        method: 'GET',
        path: '/v1/refused',
        status: 400,
        body: { code: 'UnknownCluster', message: 'There is no such cluster.' },
      },
      {
        method: 'GET',
        path: '/v1/broken',
        status: 500,
        body: {
          code: 'InternalError',
          message: 'The operator has made a mistake; its log says more.',
        },
      },
      {
        method: 'GET',
        path: '/v1/nothing',
        status: 404,
        body: {
          code: 'UnknownQuestion',
          message: 'The operator knows no GET /v1/nothing. Is it older than this command?',
        },
      },
    ];
    for (const way of ['directly', 'through an operator that does not lead']) {
      for (const { method, path, status, body } of rows) {
        it(`answers ${method} ${path} with ${status} ${way}`, async () => {
          const name = `${endpoint.host}:${endpoint.port}`;
          leader = way === 'directly' ? null : { notLeader: true, leader: name };
          const answer = await raw(
            socket,
            method === 'POST' ? '{"for":"1h"}' : '',
            {},
            { method, path },
          );
          expect(answer.status).to.equal(status);
          expect(JSON.parse(answer.body)).to.deep.equal(body);
        });
      }
    }

    it('says so when nobody leads', async () => {
      leader = { notLeader: true, leader: null };
      const answer = await raw(socket, '', {}, { method: 'GET', path: '/v1/clusters/orders' });
      expect(answer.status).to.equal(503);
      expect(answer.body).to.include('NoLeader');
    });

    it('does not pass a question round in a circle when the other one does not lead either', async () => {
      leader = { notLeader: true, leader: `${endpoint.host}:${endpoint.port}` };
      isLeading = false;
      const answer = await raw(socket, '', {}, { method: 'GET', path: '/v1/clusters/orders' });
      expect(answer.status).to.equal(503);
    });
  });
});

interface RawAnswer {
  readonly status: number;
  readonly body: string;
  readonly signature: unknown;
}

/** A request as anybody could send it. */
async function raw(
  to: number | string,
  body: string,
  headers: Readonly<Record<string, string>>,
  { method, path } = { method: 'POST', path: '/v1/heartbeat' },
): Promise<RawAnswer> {
  const where = typeof to === 'number' ? { port: to, host: '127.0.0.1' } : { socketPath: to };
  const length = { 'content-length': Buffer.byteLength(body) };
  const outgoing = request({
    ...where,
    method,
    path,
    agent: false,
    headers: { ...headers, ...length },
  });
  outgoing.end(body);
  const [response] = (await once(outgoing, 'response')) as [IncomingMessage];
  let text = '';
  for await (const part of response) text += String(part);
  return {
    status: response.statusCode!,
    body: text,
    signature: response.headers[SIGNATURE_HEADER],
  };
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setImmediate(resolve));
}
