import { createServer, type Server } from 'node:http';
import { connect, type AddressInfo } from 'node:net';
import { expect } from 'chai';
import { readFrames } from '../../src/cli/frames';
import { readableLine, splitLines } from '../../src/cli/log-lines';
import { getJson } from '../../src/cli/operator-client';
import { plain } from '../../src/cli/output';
import { failureOf } from '../support/failure';

function frame(stream: number, text: string): Buffer {
  const content = Buffer.from(text);
  const header = Buffer.from([stream, 0, 0, 0, 0, 0, 0, 0]);
  header.writeUInt32BE(content.length, 4);
  return Buffer.concat([header, content]);
}

describe('frames of Docker', () => {
  const bytes = Buffer.concat([frame(1, 'hello '), frame(2, 'oh'), frame(1, ''), frame(1, 'you')]);

  for (let size = 1; size <= bytes.length; size += 1) {
    it(`are put together from pieces of ${size} bytes`, () => {
      const said = { stdout: '', stderr: '' };
      const read = readFrames((stream, chunk) => (said[stream] += chunk.toString()));
      for (let at = 0; at < bytes.length; at += size) read(bytes.subarray(at, at + size));
      expect(said).to.deep.equal({ stdout: 'hello you', stderr: 'oh' });
    });
  }
});

describe('log lines', () => {
  it('are found wherever the chunks end, inside of a character, too', () => {
    const found: string[] = [];
    const lines = splitLines((line) => found.push(line));
    for (const byte of Buffer.from('grün\nblau')) lines.push(Buffer.from([byte]));
    lines.flush();
    expect(found).to.deep.equal(['grün', 'blau']);
  });

  for (const [name, line, expected] of [
    [
      'ours, without what every line says',
      '{"level":"info","message":"started","timestamp":"T","cluster":"orders","server":"pg1","port":5432}',
      'T  started  port=5432',
    ],
    ['another one as it is', 'PANIC: no space', 'PANIC: no space'],
    ['JSON that is none of ours as it is', '{"a":1}', '{"a":1}'],
    ['broken JSON as it is', '{"message":', '{"message":'],
  ] as const) {
    it(`shows ${name}`, () => expect(readableLine(line, plain)).to.equal(expected));
  }
});

describe('the way to the operator', () => {
  let server: Server;
  let answer: { status: number; text: string } | 'hang up' = 'hang up';

  before((done) => {
    server = createServer((request, response) => {
      if (answer === 'hang up') request.socket.destroy();
      else response.writeHead(answer.status).end(answer.text);
    }).listen(0, '127.0.0.1', done);
  });
  after((done) => void server.close(done));

  const ask = (): Promise<unknown> =>
    getJson(connect((server.address() as AddressInfo).port, '127.0.0.1'), '/v1/clusters');

  it('carries the answer', async () => {
    answer = { status: 200, text: '["orders"]' };
    expect(await ask()).to.deep.equal(['orders']);
  });

  it('passes the operator’s own sentence on', async () => {
    answer = { status: 404, text: '{"message":"there is no cluster x","code":"UnknownCluster"}' };
    const error = await failureOf(ask());
    expect(error).to.include({ code: 'UnknownCluster', message: 'there is no cluster x' });
  });

  it('says that something else answers', async () => {
    answer = { status: 502, text: '<html>' };
    expect((await failureOf(ask())).message).to.match(/status 502 and something that is not JSON/);
  });

  it('says that nobody answers, and where to look', async () => {
    answer = 'hang up';
    expect((await failureOf(ask())).message).to.match(
      /does not answer \(socket hang up\).*docker service ps/,
    );
  });
});
