import { expect } from 'chai';
import { once } from 'node:events';
import { type Server } from 'node:http';
import { createServer as createTcpServer, type AddressInfo, type Server as Tcp } from 'node:net';
import { createLogger } from 'winston';
import {
  PEER_TIMEOUT_MS,
  PeerClient,
  type PeerRound,
} from '../../src/adapters/control/peer-client';
import {
  createPeerServer,
  PROMISE_PATH,
  type ArchivePort,
  type BackupsPort,
} from '../../src/adapters/control/peer-server';
import { SignedExchange } from '../../src/adapters/control/signed-exchange';
import { type PromiseAnswer, type PromiseRequest } from '../../src/core/protocol';

const key = Buffer.alloc(32, 1);
const otherKey = Buffer.alloc(32, 2);
const log = createLogger({ silent: true });

const question = { cluster: 'orders', from: 'pg1', term: 4, forMs: 5000 };
const promised: PromiseAnswer = { promised: true };
const refused: PromiseAnswer = { promised: false, because: 'pg3 answers a roll call' };
const all: PeerRound = { promisedByAll: true, refusals: [] };
const NO_BACKUPS: BackupsPort = {
  ids: () => [],
  files: () => Promise.reject(new Error('none')),
  openFile: () => Promise.resolve(null),
};
const NO_ARCHIVE: ArchivePort = { holdings: () => null, open: () => Promise.resolve(null) };
const never = new Promise<never>(() => undefined);

describe('promises between peers', () => {
  /** Peers have addresses of their own and the same port, as on a cluster's network. */
  let port: number;
  let servers: (Server | Tcp)[];
  let client: PeerClient;
  /** Names that are not in it are asked for in vain. */
  let names: Map<string, Promise<readonly string[]>>;
  let lookUps: string[];
  let asked: PromiseRequest[];

  beforeEach(() => {
    port = 0;
    servers = [];
    names = new Map();
    lookUps = [];
    asked = [];
  });

  afterEach(async () => {
    client.close();
    await Promise.all(servers.map(close));
  });

  async function listen<T extends Server | Tcp>(server: T, address: string): Promise<T> {
    server.listen(port, address);
    servers.push(server);
    await once(server, 'listening');
    port = (server.address() as AddressInfo).port;
    return server;
  }

  interface Peer {
    readonly answer?: PromiseAnswer;
    readonly with?: Buffer;
  }
  const peer = (
    server: string,
    address: string,
    { answer = promised, with: own = key }: Peer = {},
  ) =>
    listen(
      createPeerServer({
        cluster: 'orders',
        server,
        key: own,
        onPromise: (request) => {
          asked.push(request);
          return answer;
        },
        archive: NO_ARCHIVE,
        backups: NO_BACKUPS,
        log,
      }),
      address,
    );
  /** Takes connections and says nothing: frozen. */
  const silent = (address: string): Promise<Tcp> =>
    listen(
      createTcpServer((socket) => socket.on('error', () => undefined).resume()),
      address,
    );

  const named = (server: string, ...addresses: readonly string[]) =>
    names.set(server, Promise.resolve(addresses));

  /** To be called when the port is known. */
  function open(): PeerClient {
    client = new PeerClient({
      cluster: 'orders',
      key,
      port,
      resolve: (host) => {
        lookUps.push(host);
        return names.get(host) ?? Promise.reject(new Error(`queryA ENOTFOUND ${host}`));
      },
    });
    return client;
  }

  const ask = (...peers: readonly string[]): Promise<PeerRound> => client.askPeers(question, peers);
  const becauseOf = (round: PeerRound): readonly string[] =>
    round.refusals.map(({ because }) => because);

  it('are given by all', async () => {
    await peer('pg2', '127.0.0.2');
    await peer('pg3', '127.0.0.3');
    named('pg2', '127.0.0.2');
    named('pg3', '127.0.0.3');
    open();
    expect(await ask('pg2', 'pg3')).to.deep.equal(all);
    expect(asked.toSorted((a, b) => a.to.localeCompare(b.to))).to.deep.equal([
      { ...question, to: 'pg2' },
      { ...question, to: 'pg3' },
    ]);
  });

  it('are given by nobody where nobody could be promoted', async () => {
    open();
    expect(await ask()).to.deep.equal(all);
  });

  it('are refused by one in its own words, and nobody else is waited for', async () => {
    await silent('127.0.0.2');
    await peer('pg3', '127.0.0.3', { answer: refused });
    named('pg2', '127.0.0.2');
    named('pg3', '127.0.0.3');
    open();
    const beganAtMs = performance.now();
    expect(await ask('pg2', 'pg3')).to.deep.equal({
      promisedByAll: false,
      refusals: [{ peer: 'pg3', because: 'pg3 answers a roll call' }],
    });
    expect(performance.now() - beganAtMs).to.be.lessThan(PEER_TIMEOUT_MS / 2);
  });

  it('are not waited for longer than the bound, whatever is silent', async () => {
    await silent('127.0.0.2');
    await peer('pg3', '127.0.0.3');
    named('pg2', '127.0.0.2');
    named('pg3', '127.0.0.3');
    names.set('pg4', never);
    open();
    const beganAtMs = performance.now();
    const rounds = await Promise.all([ask('pg2', 'pg3'), ask('pg3', 'pg4')]);
    const because = `no answer within ${PEER_TIMEOUT_MS} ms`;
    expect(rounds).to.deep.equal([
      { promisedByAll: false, refusals: [{ peer: 'pg2', because }] },
      { promisedByAll: false, refusals: [{ peer: 'pg4', because }] },
    ]);
    expect(performance.now() - beganAtMs).to.be.within(PEER_TIMEOUT_MS - 50, PEER_TIMEOUT_MS * 2);
  });

  it('are believed only with the key of the cluster', async () => {
    await peer('pg2', '127.0.0.2', { with: otherKey });
    named('pg2', '127.0.0.2');
    open();
    const round = await ask('pg2');
    expect(round.promisedByAll).to.equal(false);
    expect(becauseOf(round)[0]).to.include('without a valid signature');
    expect(asked).to.deep.equal([]);
  });

  it('say why a peer was not found', async () => {
    open();
    expect(becauseOf(await ask('pg2'))).to.deep.equal([
      'the name pg2 is not found: queryA ENOTFOUND pg2',
    ]);
    named('pg2');
    expect(becauseOf(await ask('pg2'))).to.deep.equal(['the name pg2 has no address']);
  });

  it('are given over one connection, round after round', async () => {
    const server = await peer('pg2', '127.0.0.2');
    let connections = 0;
    server.on('connection', () => (connections += 1));
    named('pg2', '127.0.0.2');
    open();
    for (let round = 0; round < 3; round += 1) expect(await ask('pg2')).to.deep.equal(all);
    expect(connections).to.equal(1);
  });

  describe('when the peer was last at an address', () => {
    beforeEach(async () => {
      await peer('pg2', '127.0.0.2');
      named('pg2', '127.0.0.2');
      open();
      expect(await ask('pg2')).to.deep.equal(all);
    });

    it('need no name server that answers', async () => {
      names.set('pg2', never);
      expect(await ask('pg2')).to.deep.equal(all);
    });

    it('need no name server that knows it', async () => {
      names.delete('pg2');
      expect(await ask('pg2')).to.deep.equal(all);
    });

    it('are asked of the new container when the old one is gone', async () => {
      await close(servers[0]!);
      await peer('pg2', '127.0.0.4');
      named('pg2', '127.0.0.4');
      expect(await ask('pg2')).to.deep.equal(all);
    });

    it('are asked of the new container while the old one is silent', async () => {
      await close(servers[0]!);
      await silent('127.0.0.2');
      await peer('pg2', '127.0.0.4');
      named('pg2', '127.0.0.4');
      const beganAtMs = performance.now();
      expect(await ask('pg2')).to.deep.equal(all);
      expect(performance.now() - beganAtMs).to.be.lessThan(PEER_TIMEOUT_MS / 2);
    });

    it('are asked of the new container when another server has the old address', async () => {
      await close(servers[0]!);
      await peer('pg3', '127.0.0.2');
      await peer('pg2', '127.0.0.4');
      named('pg2', '127.0.0.4');
      expect(await ask('pg2')).to.deep.equal(all);
      expect(asked.map(({ to }) => to)).to.deep.equal(['pg2', 'pg2']);
    });

    it('are not given by another server in its place', async () => {
      await close(servers[0]!);
      await peer('pg3', '127.0.0.2');
      names.delete('pg2');
      expect(becauseOf(await ask('pg2'))).to.deep.equal([
        'another server has the address 127.0.0.2 now; the name pg2 is not found: queryA ENOTFOUND pg2',
      ]);
      expect(asked).to.have.length(1);
    });

    it('are asked for again when only the connection was stale', async () => {
      names.set('pg2', never);
      // Closed in this very turn: the client has not heard of it when it asks.
      (servers[0] as Server).closeAllConnections();
      expect(await ask('pg2')).to.deep.equal(all);
    });
  });

  describe('when the names were looked up in good times', () => {
    it('need no name server for the first question', async () => {
      await peer('pg2', '127.0.0.2');
      named('pg2', '127.0.0.2');
      open().prepare(['pg2']);
      await new Promise(setImmediate);
      names.set('pg2', never);
      expect(await ask('pg2')).to.deep.equal(all);
    });

    it('cost one look-up per peer and while', () => {
      open();
      for (let beat = 0; beat < 3; beat += 1) client.prepare(['pg2', 'pg3']);
      client.prepare(['pg4']);
      expect(lookUps).to.deep.equal(['pg2', 'pg3', 'pg4']);
    });

    it('keep an address for a name that is not answered any more', async () => {
      await peer('pg2', '127.0.0.2');
      named('pg2', '127.0.0.2');
      open();
      expect(await ask('pg2')).to.deep.equal(all);
      names.delete('pg2');
      client.prepare(['pg2']);
      await new Promise(setImmediate);
      expect(await ask('pg2')).to.deep.equal(all);
    });
  });

  describe('asked for by hand', () => {
    const cases = [
      {
        name: 'another question',
        path: '/v1/heartbeat',
        body: { ...question, to: 'pg2' },
        status: 404,
        code: 'UnknownQuestion',
      },
      { name: 'half a question', body: question, status: 400, code: 'QuestionIncomplete' },
      { name: 'no question at all', body: null, status: 400, code: 'QuestionIncomplete' },
      {
        name: 'a term that is no number',
        body: { ...question, to: 'pg2', term: '4' },
        status: 400,
        code: 'QuestionIncomplete',
      },
      {
        name: 'a question to another server',
        body: { ...question, to: 'pg3' },
        status: 421,
        code: 'OtherServer',
      },
    ] as const;
    for (const each of cases) {
      it(`${each.name} gets ${each.status}, and is not passed on`, async () => {
        await peer('pg2', '127.0.0.2');
        open();
        const path = 'path' in each ? each.path : PROMISE_PATH;
        const answer = await askByHand('orders', key, { path, body: each.body });
        expect(answer.status).to.equal(each.status);
        expect(JSON.parse(answer.body)).to.have.property('code', each.code);
        expect(asked).to.deep.equal([]);
      });
    }

    it('a question of another cluster gets no signed answer, though its key is the same', async () => {
      await peer('pg2', '127.0.0.2');
      open();
      const body = { ...question, to: 'pg2' };
      const answer = askByHand('invoices', key, { path: PROMISE_PATH, body });
      expect(await answer.catch(String)).to.include('answered 401 without a valid signature');
    });

    it('a mistake of the instance manager is called so, without details', async () => {
      const onPromise = (): never => {
        throw new TypeError('secret detail');
      };
      const archive = NO_ARCHIVE;
      const ports = {
        cluster: 'orders',
        server: 'pg2',
        key,
        onPromise,
        archive,
        backups: NO_BACKUPS,
        log,
      };
      const server = createPeerServer(ports);
      await listen(server, '127.0.0.2');
      named('pg2', '127.0.0.2');
      open();
      expect(becauseOf(await ask('pg2'))).to.deep.equal([
        '127.0.0.2 answered 500: {"code":"InternalError","message":"The instance manager has made a mistake; its log says more."}',
      ]);
    });

    async function askByHand(
      cluster: string,
      own: Buffer,
      { path, body }: { readonly path: string; readonly body: unknown },
    ): Promise<{ readonly status: number; readonly body: string }> {
      const exchange = new SignedExchange(cluster, own);
      const text = JSON.stringify(body);
      return await exchange
        .ask({ host: '127.0.0.2', port }, { path, body: text, timeoutMs: 2000 })
        .finally(() => exchange.close());
    }
  });
});

async function close(server: Server | Tcp): Promise<void> {
  if (!server.listening) return;
  server.close();
  if ('closeAllConnections' in server) server.closeAllConnections();
  await once(server, 'close');
}
