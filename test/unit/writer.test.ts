import { expect } from 'chai';
import { createServer, type Server, type AddressInfo } from 'node:net';
import { Writer } from '../support/writer';

describe('writer', () => {
  let silent: Server;
  let uri: string;

  before((done) => {
    // Takes connections and never says a word, like a frozen server.
    silent = createServer((socket) => void socket.on('error', () => undefined).resume()).listen(
      0,
      '127.0.0.1',
      () => {
        const { port } = silent.address() as AddressInfo;
        uri = `postgresql://app@127.0.0.1:${port},127.0.0.1:1/app?target_session_attrs=read-write`;
        done();
      },
    );
  });

  after((done) => void silent.close(done));

  it('says that it could not begin when no server fits, and leaves nothing open', async () => {
    const writer = new Writer(uri);
    const problem = await writer.start(100).then(
      () => null,
      (error: unknown) => error as Error,
    );
    expect(problem?.message).to.match(/waited 0.1 s for 1 writes/);
    expect(writer.acknowledged).to.equal(0);
  });

  it('stops while it looks for a server, and lets nobody wait on', async () => {
    const writer = new Writer(uri);
    const started = writer.start().then(
      () => null,
      (error: unknown) => error as Error,
    );
    await writer.stop();
    expect((await started)?.message).to.equal('the writer was stopped');
  });
});
