import { createHmac } from 'node:crypto';
import { type Server } from 'node:http';
import { type AddressInfo } from 'node:net';
import { expect } from 'chai';
import { createLogger } from 'winston';
import { answerOf } from '../../src/adapters/control/json-http';
import { createWebhookServer } from '../../src/adapters/git/webhook';

const SECRET = 'a long secret';
const BODY = JSON.stringify({ ref: 'refs/heads/main' });
const signed = (secret: string, body = BODY): Record<string, string> => ({
  'x-hub-signature-256': `sha256=${createHmac('sha256', secret).update(body).digest('hex')}`,
});

describe('the webhook', () => {
  let server: Server;
  let url: string;
  let pushes = 0;
  let secret = SECRET;

  beforeEach(async () => {
    pushes = 0;
    secret = SECRET;
    server = createWebhookServer({
      // A file ends with a line's end.
      secret: () => Promise.resolve(`${secret}\n`),
      pushed: () => {
        pushes += 1;
        return Promise.resolve(answerOf({}));
      },
      refused: () => undefined,
      log: createLogger({ silent: true }),
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/webhook`;
  });

  afterEach(async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });

  const post = async (headers: Record<string, string>, body = BODY): Promise<number> =>
    (await fetch(url, { method: 'POST', headers, body })).status;

  it('takes what is signed as GitHub and Gitea do, and what has GitLab’s token', async () => {
    expect(await post(signed(SECRET))).to.equal(202);
    expect(await post({ 'x-gitlab-token': SECRET })).to.equal(202);
    expect(pushes).to.equal(2);
  });

  it('refuses everything else, and looks at nothing then', async () => {
    expect(await post(signed('another secret'))).to.equal(401);
    expect(await post(signed(SECRET), `${BODY} `)).to.equal(401);
    expect(await post({ 'x-hub-signature-256': 'sha256=' })).to.equal(401);
    expect(await post({ 'x-gitlab-token': 'a long secre' })).to.equal(401);
    expect(await post({})).to.equal(401);
    expect((await fetch(url, { headers: signed(SECRET) })).status).to.equal(405);
    expect((await fetch(url.replace('webhook', 'x'), { method: 'POST' })).status).to.equal(404);
    expect(pushes).to.equal(0);
  });

  it('takes nothing with an empty secret', async () => {
    secret = '';
    expect(await post(signed(''))).to.equal(401);
    expect(await post({ 'x-gitlab-token': '' })).to.equal(401);
    expect(pushes).to.equal(0);
  });

  it('takes bodies of GitHub’s size, and no larger ones', async () => {
    const large = 'x'.repeat(2 * 1024 ** 2);
    expect(await post(signed(SECRET, large), large)).to.equal(202);
    const tooLarge = 'x'.repeat(26 * 1024 ** 2);
    // It is answered before it was sent: then some clients see the answer, and some a broken line.
    const status = await post(signed(SECRET, tooLarge), tooLarge).catch(() => 413);
    expect(status).to.equal(413);
    expect(pushes).to.equal(1);
  });
});
