import { expect } from 'chai';
import { once } from 'node:events';
import { request, type IncomingMessage } from 'node:http';
import { type AddressInfo } from 'node:net';
import { serveHealth, type Health } from '../../src/instance/health-server';

const HEALTH = {
  report: { postgres: { state: 'primary' } },
  task: { kind: 'primary' },
  contactAgeMs: 0,
  heartAgeMs: 0,
  leaseLeftMs: null,
} as unknown as Health;

describe('the server of health and metrics', () => {
  it('outlives requests that nobody can read', async () => {
    const metrics = { contentType: 'text/plain', text: () => Promise.resolve('') };
    const server = await serveHealth(0, () => HEALTH, metrics);
    const { port } = server.address() as AddressInfo;
    const get = async (path: string): Promise<number | undefined> => {
      const asked = request({ port, path, agent: false }).end();
      const [response] = (await once(asked, 'response')) as [IncomingMessage];
      response.resume();
      return response.statusCode;
    };
    try {
      for (const path of ['//', 'http://[', '//%', '/\\\\@:']) {
        expect(await get(path), path).to.be.below(500);
      }
      expect(await get('/metrics')).to.equal(200);
    } finally {
      server.closeAllConnections();
      server.close();
    }
  });
});
