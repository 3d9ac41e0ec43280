import { expect } from 'chai';
import { createLogger } from 'winston';
import { askLeader } from '../../src/adapters/control/local-server';
import { type Ask } from '../../src/adapters/page/stream';
import { type Overview } from '../../src/core/overview';
import { operatorHere, type OperatorHere } from '../integration/support/operator-here';
import { eventually } from '../support/eventually';
import { empty } from '../support/world';

const key = Buffer.alloc(32, 7);
const log = createLogger({ silent: true });

describe('what the web page asks', () => {
  let operator: OperatorHere;
  let leader: Ask;
  let follower: Ask;

  before(async () => {
    operator = await operatorHere(empty(), key);
    const operatorKey = (): Buffer => key;
    leader = askLeader({ routes: operator.routes, notLeader: () => null, operatorKey, log });
    follower = askLeader({
      routes: [],
      notLeader: () => ({ notLeader: true, leader: `127.0.0.1:${operator.port}` }),
      operatorKey,
      log,
    });
  });

  after(() => operator.stop());

  async function overview(ask: Ask, cluster: string): Promise<Overview> {
    const path = `/v1/overview/${cluster}`;
    const { status, body } = await ask({ method: 'GET', path, body: null });
    expect(status, body).to.equal(200);
    return JSON.parse(body) as Overview;
  }

  it('is answered by the leader, and by one that does not lead in the same words', async () => {
    await eventually(async () => {
      const { cluster } = await overview(leader, '');
      expect(cluster?.decision.rule).to.equal('await-servers');
    });
    const [own, passedOn] = await Promise.all([
      overview(leader, 'orders'),
      overview(follower, 'orders'),
    ]);
    expect(passedOn).to.deep.equal({ ...own, at: passedOn.at });
    expect(own.clusters).to.have.length(1);
    expect(own.cluster?.events.map(({ rule }) => rule)).to.include('declare');
  });

  it('names no cluster in full where there is none of that name', async () => {
    const { clusters, cluster } = await overview(follower, 'nobody');
    expect(clusters.map(({ name }) => name)).to.deep.equal(['orders']);
    expect(cluster).to.equal(null);
  });

  it('is answered with a sentence while nobody leads', async () => {
    const nobody = askLeader({
      routes: [],
      notLeader: () => ({ notLeader: true, leader: null }),
      operatorKey: () => key,
      log,
    });
    const { status, body } = await nobody({ method: 'GET', path: '/v1/overview/', body: null });
    expect(status).to.equal(503);
    expect((JSON.parse(body) as { message: string }).message).to.include('No operator leads');
  });
});
