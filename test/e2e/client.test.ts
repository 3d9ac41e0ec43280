/** Whether the clients of the fault matrix would notice what must never happen. */
import { expect } from 'chai';
import { HandMadePair } from '../bench/hand-made-pair';
import { productImage } from '../lab/images';
import { resourceName } from '../lab/nodes';
import { WritingClient } from '../support/client';
import { Deployment } from './deployment';

describe('the client of the fault matrix', function () {
  this.timeout(60_000);
  let pair: HandMadePair;
  let daemon: Deployment['lab']['hostDocker'];

  before(async function () {
    this.timeout(900_000);
    const { lab } = await Deployment.open();
    daemon = lab.hostDocker;
    const network = resourceName(lab.name);
    pair = await HandMadePair.start({ daemon, network, image: productImage });
  });

  after(() => pair.remove());

  it('sees two writers, and what is lost by them', async () => {
    const stubborn = { daemon, image: productImage, beside: pair.container };
    const client = new WritingClient({ uri: pair.uri, table: 'split', stubborn });
    try {
      await client.start();
      const before = client.server;
      expect(before).to.not.equal(null);
      await pair.split();
      await client.waitForOtherServer(before!, 20_000);
      await client.waitForWrites(50);
    } finally {
      await client.stop();
    }
    const { lateWrites, durationMs, lost } = await client.judge();
    expect(lateWrites).to.be.greaterThan(20);
    expect(durationMs).to.be.greaterThan(100);
    expect(lost).to.be.greaterThan(20);
  });
});
