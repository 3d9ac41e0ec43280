/** Files of an archive between peers: whole or refused, and for nobody without the cluster's key. */
import { expect } from 'chai';
import { once } from 'node:events';
import { type Server } from 'node:http';
import { type AddressInfo } from 'node:net';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { createLogger } from 'winston';
import { PeerClient } from '../../src/adapters/control/peer-client';
import {
  createPeerServer,
  type ArchivePort,
  type BackupsPort,
} from '../../src/adapters/control/peer-server';
import { type ArchiveHoldings } from '../../src/core/protocol';

const key = Buffer.alloc(32, 1);
const NO_BACKUPS: BackupsPort = {
  ids: () => [],
  files: () => Promise.reject(new Error('none')),
  openFile: () => Promise.resolve(null),
};
const stored = '000000010000000000000003-0123456789abcdef0123456789abcdef.zst';
const bytes = Buffer.alloc(1024 * 1024, 'wal');
const wanted = { file: '000000010000000000000003', systemIdentifier: '7' };
const holdings: ArchiveHoldings = { systemIdentifier: '7', ranges: [], histories: {} };

const whole: ArchivePort = {
  holdings: () => holdings,
  open: (file, systemIdentifier) => {
    const isThere = file === wanted.file && systemIdentifier === wanted.systemIdentifier;
    const found = { stored, bytes: bytes.length, stream: Readable.from([bytes]) };
    return Promise.resolve(isThere ? found : null);
  },
};
const breaking: ArchivePort = {
  ...whole,
  open: () => {
    const stream = Readable.from(
      (function* parts() {
        yield bytes.subarray(0, 1000);
        throw new Error('the disk is gone');
      })(),
    );
    return Promise.resolve({ stored, bytes: bytes.length, stream });
  },
};

describe('archives of peers', () => {
  let server: Server | null = null;
  let client: PeerClient;

  async function peer(archive: ArchivePort, own = key): Promise<void> {
    server = createPeerServer({
      cluster: 'orders',
      server: 'pg2',
      key: own,
      onPromise: () => ({ promised: true }),
      archive,
      backups: NO_BACKUPS,
      log: createLogger({ silent: true }),
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    client = new PeerClient({
      cluster: 'orders',
      key,
      port,
      resolve: (name) =>
        name === 'pg2' ? Promise.resolve(['127.0.0.1']) : Promise.reject(new Error('ENOTFOUND')),
    });
  }

  afterEach(() => {
    client.close();
    server?.closeAllConnections();
    server?.close();
  });

  const open = (question = wanted): ReturnType<PeerClient['openArchived']> =>
    client.openArchived('pg2', question, new AbortController().signal);

  it('are asked what they hold', async () => {
    await peer(whole);
    expect(await client.holdingsOf('pg2')).to.deep.equal(holdings);
    expect(await client.holdingsOf('pg3')).to.equal(null);
  });

  it('give a file under the name that tells its hash', async () => {
    await peer(whole);
    const answer = await open();
    if (typeof answer === 'string') throw new Error(answer);
    expect(answer.stored).to.equal(stored);
    expect((await buffer(answer.stream)).equals(bytes)).to.equal(true);
  });

  it('say that a file is not there, also one of another database', async () => {
    await peer(whole);
    expect(await open({ ...wanted, file: '000000010000000000000004' })).to.equal('absent');
    expect(await open({ ...wanted, systemIdentifier: '8' })).to.equal('absent');
  });

  it('are unreachable when their name is not found', async () => {
    await peer(whole);
    const { signal } = new AbortController();
    expect(await client.openArchived('pg3', wanted, signal)).to.equal('unreachable');
  });

  it('never end a file as if it were whole when its source breaks', async () => {
    await peer(breaking);
    const answer = await open();
    if (typeof answer === 'string') throw new Error(answer);
    const outcome = await buffer(answer.stream).then(
      () => 'whole',
      (error: unknown) => (error as Error).message,
    );
    expect(outcome).to.equal('aborted');
  });

  it('give nothing to whoever has another key', async () => {
    await peer(whole, Buffer.alloc(32, 2));
    expect(await open()).to.equal('unreachable');
    expect(await client.holdingsOf('pg2')).to.equal(null);
  });
});
