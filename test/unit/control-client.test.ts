import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import { type AddressInfo } from 'node:net';
import { expect } from 'chai';
import { ControlClient } from '../../src/adapters/control/client';
import {
  isSignature,
  NONCE_HEADER,
  signAnswer,
  SIGNATURE_HEADER,
  signRequest,
} from '../../src/adapters/control/signing';
import { type Report } from '../../src/core/protocol';

const KEY = Buffer.from('the key of the cluster');
const REPORT = { cluster: 'orders', server: 'pg1' } as unknown as Report;

type Behaviour =
  | { readonly kind: 'lead' }
  | { readonly kind: 'follow'; readonly leader: () => string | null }
  | { readonly kind: 'forge' }
  | { readonly kind: 'fail' }
  | { readonly kind: 'silent' };

/** An operator that behaves as told, and counts what it is asked. */
class FakeOperator {
  asked = 0;
  behaviour: Behaviour;
  readonly #server: Server;

  constructor(behaviour: Behaviour) {
    this.behaviour = behaviour;
    this.#server = createServer((request, response) => {
      let body = '';
      request.on('data', (part: Buffer) => (body += part.toString()));
      request.on('end', () => {
        this.asked += 1;
        const nonce = String(request.headers[NONCE_HEADER]);
        const path = request.url ?? '';
        const expected = signRequest(KEY, { method: 'POST', path, nonce, body });
        const isSigned = isSignature(expected, String(request.headers[SIGNATURE_HEADER]));
        const [status, answer] = isSigned ? this.#answer() : [401, ''];
        if (status === 0) return;
        const key = this.behaviour.kind === 'forge' ? Buffer.from('another key') : KEY;
        response.setHeader(SIGNATURE_HEADER, signAnswer(key, nonce, status, answer));
        response.writeHead(status).end(answer);
      });
    });
  }

  async listen(): Promise<this> {
    this.#server.listen(0, '127.0.0.1');
    await once(this.#server, 'listening');
    return this;
  }

  get endpoint(): string {
    return `127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  close(): void {
    this.#server.closeAllConnections();
    this.#server.close();
  }

  #answer(): readonly [number, string] {
    switch (this.behaviour.kind) {
      case 'lead':
      case 'forge':
        return [200, JSON.stringify({ assignment: { server: 'pg1', by: this.endpoint } })];
      case 'follow':
        return [421, JSON.stringify({ notLeader: true, leader: this.behaviour.leader() })];
      case 'fail':
        return [500, 'no'];
      case 'silent':
        return [0, ''];
    }
  }
}

describe('the line to the leader', () => {
  let operators: FakeOperator[] = [];
  let client: ControlClient;

  async function among(...behaviours: readonly Behaviour[]): Promise<readonly FakeOperator[]> {
    operators = await Promise.all(
      behaviours.map(async (each) => await new FakeOperator(each).listen()),
    );
    client = new ControlClient({
      cluster: 'orders',
      key: KEY,
      operators: operators.map(({ endpoint }) => endpoint).join(','),
      operatorPort: 7700,
      beatTimeoutMs: 100,
    });
    return operators;
  }
  const answeredBy = async (): Promise<unknown> => (await client.beat(REPORT)).assignment;
  const failure = async (): Promise<string> =>
    await client.beat(REPORT).then(
      () => 'none',
      (error: unknown) => (error as Error).message,
    );

  afterEach(() => {
    client.close();
    for (const operator of operators) operator.close();
  });

  const lead: Behaviour = { kind: 'lead' };
  const follow: Behaviour = { kind: 'follow', leader: () => null };

  it('finds the one that leads among all', async () => {
    const [, leader] = await among(follow, lead, { kind: 'fail' });
    expect(await answeredBy()).to.have.property('by', leader!.endpoint);
  });

  it('stays with it afterwards', async () => {
    const [other, leader] = await among(follow, lead);
    for (let beat = 0; beat < 3; beat += 1) await client.beat(REPORT);
    expect([other!.asked, leader!.asked]).to.deep.equal([1, 3]);
  });

  it('names the very assignment by its digest', async () => {
    await among(lead);
    const [first, second] = [await client.beat(REPORT), await client.beat(REPORT)];
    expect(first.digest)
      .to.match(/^[0-9a-f]{64}$/)
      .and.to.equal(second.digest);
  });

  it('asks the leader that it is told of, though nobody knew of it', async () => {
    const leader = await new FakeOperator(lead).listen();
    await among({ kind: 'follow', leader: () => leader.endpoint });
    operators.push(leader);
    expect(await answeredBy()).to.have.property('by', leader.endpoint);
  });

  it('finds the next leader when the last one follows now', async () => {
    const [first, second] = await among(lead, follow);
    await client.beat(REPORT);
    first!.behaviour = { kind: 'follow', leader: () => second!.endpoint };
    second!.behaviour = lead;
    expect(await answeredBy()).to.have.property('by', second!.endpoint);
  });

  it('does not go round in circles among followers', async () => {
    const [first, second] = await among(lead, follow);
    await client.beat(REPORT);
    first!.behaviour = { kind: 'follow', leader: () => second!.endpoint };
    second!.behaviour = { kind: 'follow', leader: () => first!.endpoint };
    expect(await failure()).to.include('does not lead');
    expect(first!.asked + second!.asked).to.be.lessThan(10);
  });

  it('finds the next leader when the last one is silent', async () => {
    const [first, second] = await among(lead, follow);
    await client.beat(REPORT);
    first!.behaviour = { kind: 'silent' };
    second!.behaviour = lead;
    const beganAtMs = performance.now();
    expect(await answeredBy()).to.have.property('by', second!.endpoint);
    expect(performance.now() - beganAtMs).to.be.lessThan(1000);
  });

  it('finds the next leader when the last one is gone', async () => {
    const [first, second] = await among(lead, follow);
    await client.beat(REPORT);
    first!.close();
    second!.behaviour = lead;
    expect(await answeredBy()).to.have.property('by', second!.endpoint);
  });

  it('does not wait for a silent one to hear the leader', async () => {
    const [, leader] = await among({ kind: 'silent' }, lead);
    expect(await answeredBy()).to.have.property('by', leader!.endpoint);
  });

  it('believes no answer that was signed with another key', async () => {
    await among({ kind: 'forge' });
    expect(await failure()).to.include('without a valid signature');
  });

  it('says why nobody answers', async () => {
    await among({ kind: 'fail' }, { kind: 'silent' });
    expect(await failure()).to.match(/answered 500.*; .*(timeout|abort)/is);
  });

  it('cannot watch before a leader is known', async () => {
    await among(lead);
    const question = { cluster: 'orders', server: 'pg1', bootId: 'b', digest: 'd' };
    const watching = client.watch(question, new AbortController().signal);
    expect(await watching.catch((error: unknown) => (error as Error).message)).to.include(
      'no leader',
    );
  });

  it('watches the leader until it answers, or the watch is ended', async () => {
    const [leader] = await among(lead);
    await client.beat(REPORT);
    const question = { cluster: 'orders', server: 'pg1', bootId: 'b', digest: 'd' };
    await client.watch(question, new AbortController().signal);
    leader!.behaviour = { kind: 'silent' };
    const ending = new AbortController();
    const watching = client.watch(question, ending.signal).catch((error: unknown) => error);
    ending.abort();
    expect(await watching).to.have.property('name', 'AbortError');
  });
});
