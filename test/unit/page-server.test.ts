import { expect } from 'chai';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { createLogger } from 'winston';
import { derivePageToken } from '../../src/adapters/keys';
import { Sessions } from '../../src/adapters/page/session';
import { servePage as servePageOn } from '../../src/operator/page';
import { servePage, stopServing, TOKEN, type ServedPage } from '../page/browser';
import { detail, overviewOf } from '../page/sample';

const NOW = Date.parse('2026-01-01T12:00:00.000Z');
const WEEK_MS = 7 * 24 * 3_600_000;

describe('the web page’s server', () => {
  let nowMs: number;
  let page: ServedPage;

  beforeEach(async () => {
    nowMs = NOW;
    page = await servePage(() => overviewOf(detail(NOW), NOW), { now: () => nowMs });
  });

  afterEach(() => stopServing(page));

  const get = (path: string, cookie = ''): Promise<Response> =>
    fetch(new URL(path, page.url), { headers: { cookie }, redirect: 'manual' });

  const logIn = (token: string): Promise<Response> =>
    fetch(new URL('/login', page.url), {
      method: 'POST',
      body: new URLSearchParams({ token }),
      redirect: 'manual',
    });

  const cookieOf = (response: Response): string =>
    (response.headers.get('set-cookie') ?? '').split(';')[0] ?? '';

  it('tells one without a token how to get one, and nothing else', async () => {
    const answer = await get('/');
    expect(answer.status).to.equal(401);
    const text = await answer.text();
    expect(text).to.include('pgswarm page').and.to.include('id="wrong" hidden');
    expect(text).not.to.include('/app.mjs');
    expect((await get('/events')).status).to.equal(401);
  });

  it('refuses a wrong token, and says so', async () => {
    for (const token of ['', 'x', TOKEN.toUpperCase(), `${TOKEN}0`, TOKEN.slice(1)]) {
      const answer = await logIn(token);
      expect(answer.status, token).to.equal(401);
      expect(answer.headers.get('set-cookie'), token).to.equal(null);
      expect(await answer.text()).not.to.include('id="wrong" hidden');
    }
  });

  it('keeps nothing large for one without a token', async () => {
    const answer = await logIn('x'.repeat(100_000)).catch(() => null);
    expect(answer?.status ?? 400).to.equal(400);
  });

  it('lets one with the token in, by a cookie that no script and no other site can use', async () => {
    const answer = await logIn(TOKEN);
    expect(answer.status).to.equal(303);
    expect(answer.headers.get('set-cookie')).to.match(/; HttpOnly; SameSite=Strict$/);
    const index = await get('/', cookieOf(answer));
    expect(index.status).to.equal(200);
    expect(await index.text()).to.include('/app.mjs');
  });

  it('believes no cookie that it has not signed, and none that is over', async () => {
    const cookie = cookieOf(await logIn(TOKEN));
    const [name, value = ''] = cookie.split('=');
    const [ends, signature = ''] = value.split('.');
    const later = String(Number(ends) + 1);
    for (const forged of [
      `${name}=${later}.${signature}`,
      `${name}=${ends}.${'0'.repeat(64)}`,
      `${name}=`,
      new Sessions('another token').begin(NOW, false).split(';')[0] ?? '',
    ]) {
      expect((await get('/', forged)).status, forged).to.equal(401);
    }
    nowMs += WEEK_MS - 1000;
    expect((await get('/', cookie)).status).to.equal(200);
    nowMs += 2000;
    expect((await get('/', cookie)).status).to.equal(401);
  });

  it('allows nothing from elsewhere and nothing inline', async () => {
    for (const path of ['/', '/page.css', '/nothing']) {
      const policy = (await get(path)).headers.get('content-security-policy') ?? '';
      expect(policy)
        .to.match(/^default-src 'none'/)
        .and.not.to.include('unsafe');
    }
  });

  it('serves its own files and no others', async () => {
    const style = await get('/page.css');
    expect(style.headers.get('content-type')).to.match(/^text\/css/);
    const etag = style.headers.get('etag') ?? '';
    const again = await fetch(new URL('/page.css', page.url), {
      headers: { 'if-none-match': etag },
    });
    expect(again.status).to.equal(304);
    for (const path of ['/../package.json', '/%2e%2e/package.json', '/tsconfig.json', '/src']) {
      expect((await get(path)).status, path).to.equal(404);
    }
  });

  it('is for looking only', async () => {
    const cookie = cookieOf(await logIn(TOKEN));
    for (const method of ['POST', 'PUT', 'DELETE', 'PATCH']) {
      const answer = await fetch(page.url, { method, headers: { cookie } });
      expect(answer.status, method).to.equal(405);
    }
  });

  it('tells what changes, and when nobody knows', async () => {
    const stream = await get('/events?cluster=orders', cookieOf(await logIn(TOKEN)));
    expect(stream.headers.get('content-type')).to.equal('text/event-stream');
    const events = eventsOf(stream);
    const first = (await events.next()).value as string;
    expect(first).to.include('"cluster":"orders"').and.to.include('"phase":"Ready"');
    page.say = () => overviewOf(detail(NOW, { phase: 'Failover' }), NOW);
    const second = await nextThat(events, (event) => event.includes('Failover'));
    expect(second).to.include('"parts":{"phase":"Failover"}').and.not.to.include('"conditions"');
    page.say = () => null;
    const trouble = await nextThat(events, (event) => event.startsWith('event: trouble'));
    expect(trouble).to.include('No operator leads');
    page.say = () => overviewOf(detail(NOW), NOW);
    const whole = await nextThat(events, (event) => event.startsWith('data:'));
    expect(whole).to.include('"conditions"');
  });

  it('is no reason to run no operator when its port is taken', async () => {
    const other = createServer().listen(0);
    await once(other, 'listening');
    const { port } = other.address() as { port: number };
    const said: string[] = [];
    const log = createLogger({ silent: true });
    const told = new Promise<void>((resolve) => {
      log.error = ((message: string) => {
        said.push(message);
        resolve();
      }) as unknown as typeof log.error;
    });
    const close = servePageOn(
      { port, token: TOKEN },
      { routes: [], notLeader: () => null, operatorKey: () => null, log },
    );
    await told;
    close();
    other.close();
    expect(said).to.deep.equal(['the web page cannot be served']);
  });

  it('has another token for every root key and every salt', () => {
    const keys = [Buffer.alloc(32, 1), Buffer.alloc(32, 2)];
    const tokens = keys.flatMap((key) => ['', 'a'].map((salt) => derivePageToken(key, salt)));
    expect(new Set(tokens).size).to.equal(4);
    expect(tokens[0]).to.match(/^[0-9a-f]{32}$/);
  });
});

async function* eventsOf(response: Response): AsyncGenerator<string, undefined> {
  let text = '';
  const decoder = new TextDecoder();
  for await (const chunk of response.body as unknown as AsyncIterable<Uint8Array>) {
    text += decoder.decode(chunk, { stream: true });
    const events = text.split('\n\n');
    text = events.pop() ?? '';
    yield* events;
  }
}

async function nextThat(
  events: AsyncGenerator<string, undefined>,
  isWanted: (event: string) => boolean,
): Promise<string> {
  for (;;) {
    const { value, done } = await events.next();
    if (done === true) throw new Error('the stream has ended');
    if (isWanted(value)) return value;
  }
}
