import { expect } from 'chai';
import { type Browser, type Page } from 'puppeteer-core';
import { detailOf, summaryOf, type ClusterDetail, type Overview } from '../../src/core/overview';
import { viewOf, type Situation } from '../../src/core/situation';
import { statusOf } from '../../src/core/status';
import { empty, running, settle, withSpec } from '../support/world';
import {
  findChromium,
  openBrowser,
  servePage,
  stopServing,
  TOKEN,
  type ServedPage,
} from './browser';
import { detail, eventsAt, overviewOf, server } from './sample';

const BYTES_MAX = 150_000;
const FIRST_PAINT_MAX_MS = 300;
const UPDATE_MAX_MS = 1_000;

/** What is shown of every moment in which something is decided, until nothing moves any more. */
function lifeOf(situation: Situation): readonly ClusterDetail[] {
  const seen: ClusterDetail[] = [];
  settle(situation, (now, decision) => {
    if (now.state === null) return;
    const status = statusOf(viewOf(now, now.state), decision);
    seen.push(detailOf(status, now.state, decision));
  });
  return seen;
}

const steady = (): Overview => overviewOf(detail(Date.now()), Date.now());
const changed = (changes: Parameters<typeof detail>[1]): Overview =>
  overviewOf(detail(Date.now(), changes), Date.now());

describe('the web page in a browser', function () {
  this.timeout(60_000);
  let browser: Browser;
  let served: ServedPage;
  let page: Page;
  /** What the browser complains of: exceptions, and whatever the policy has refused. */
  let complaints: string[];
  let requests: string[];

  before(async function () {
    const chromium = findChromium();
    if (chromium === null) {
      console.log('    skipped: there is no Chromium; apt-get install chromium');
      this.skip();
    }
    browser = await openBrowser(chromium);
  });

  after(async () => {
    // Nothing was opened where there is no browser.
    await (browser as Browser | undefined)?.close();
  });

  beforeEach(async () => {
    served = await servePage(steady);
    const context = await browser.createBrowserContext();
    page = await context.newPage();
    complaints = [];
    requests = [];
    page.on('pageerror', (error) => complaints.push(String(error)));
    page.on('console', (message) => {
      if (message.type() === 'error') complaints.push(message.text());
    });
    page.on('request', (request) => requests.push(request.url()));
  });

  afterEach(async () => {
    await page.browserContext().close();
    stopServing(served);
  });

  /** By the link that `pgswarm page` prints. */
  async function open(): Promise<void> {
    await page.goto(`${served.url}#token=${TOKEN}`);
    await page.waitForSelector('#connection.live');
    await page.waitForSelector('#content > :not(.waiting)');
    complaints = [];
  }

  /** In the page; as text, because the types here know no document. */
  const inPage = async (expression: string): Promise<unknown> => await page.evaluate(expression);
  const quoted = (value: string): string => JSON.stringify(value);

  const text = async (selector: string): Promise<string> =>
    (await inPage(`document.querySelector(${quoted(selector)}).textContent`)) as string;

  const texts = async (selector: string): Promise<readonly string[]> =>
    (await inPage(
      `[...document.querySelectorAll(${quoted(selector)})].map((each) => each.textContent)`,
    )) as readonly string[];

  const count = async (selector: string): Promise<number> => (await texts(selector)).length;

  async function shows(words: string): Promise<void> {
    const expression = `document.body.innerText.includes(${quoted(words)})`;
    await page.waitForFunction(expression, { timeout: 10_000, polling: 20 });
  }

  it('shows a cluster: phase, servers, lag, conditions, backups, events', async () => {
    await open();
    expect(await text('h1')).to.match(/^orders\s+Ready$/);
    expect(await text('.decision')).to.include('everything is as the spec wants it');
    expect(await text('.node.primary')).to.match(
      /n1.*pg1.*primary.*running.*lease.*4\.2 s of 5 s/s,
    );
    const standbys = await texts('.place:not(.first)');
    expect(standbys).to.have.length(2);
    expect(standbys[1]).to.match(/40 kB behind.*synchronous.*n3.*pg3.*standby.*streaming/s);
    expect(await text('.legend')).to.include('pg3 40 kB');
    expect(await count('.u-wrap canvas')).to.equal(1);
    expect(await count('.conditions.fine li')).to.be.above(9);
    expect(await count('.window .span')).to.equal(3);
    expect(await count('tbody tr')).to.equal(6);
    expect(await text('.facts')).to.include('switchover pg2 → pg1, 136 ms without writes, 9 h ago');
    expect(await text('.events')).to.include('pg1 is primary now, pg2 was before');
    expect(complaints).to.deep.equal([]);
  });

  it('shows a change within a second', async () => {
    await open();
    const times: number[] = [];
    for (const seconds of [3, 2, 1]) {
      const because = `the lease of pg1 is over in ${seconds} s`;
      const beganMs = performance.now();
      served.say = () =>
        changed({
          phase: 'Failover',
          decision: { rule: 'failover-wait', because },
          steps: ['write that pg2 is the primary'],
        });
      await shows(because);
      times.push(performance.now() - beganMs);
    }
    console.log(`      shown after: ${times.map((ms) => Math.round(ms)).join(', ')} ms`);
    expect(await text('h1')).to.include('Failover');
    expect(await text('.steps')).to.include('write that pg2 is the primary');
    expect(await page.title()).to.equal('orders · Failover · pgswarm');
    expect(Math.min(...times)).to.be.below(UPDATE_MAX_MS);
  });

  it('says what is wrong, and why', async () => {
    await open();
    const since = new Date(Date.now() - 3_600_000).toISOString();
    const [first, ...others] = detail(Date.now()).conditions;
    const trouble = { status: 'False', reason: 'ArchiveFails', message: 'the disk is full', since };
    served.say = () =>
      changed({ conditions: [{ ...first!, ...trouble, status: 'False' }, ...others] });
    await page.waitForSelector('.trouble');
    expect(await text('.trouble')).to.match(
      /^not Ready.*ArchiveFails.*since 1 h.*the disk is full$/,
    );
  });

  it('shows a cluster from its first moment to the end of a switchover', async () => {
    const seen = [...lifeOf(empty()), ...lifeOf(withSpec(running(), { primary: 'pg2' }))];
    expect(seen.map(({ change }) => change?.phase)).to.include.members(['stopping', 'promoting']);
    await open();
    for (const [index, cluster] of seen.entries()) {
      const because = `${index}: ${cluster.decision.because}`;
      const told = { ...cluster, decision: { ...cluster.decision, because } };
      served.say = () => overviewOf(told, Date.now());
      await shows(because);
    }
    expect(await text('.node.primary')).to.match(/n2.*pg2/);
    expect(complaints).to.deep.equal([]);
  });

  it('shows labels and messages as they are, whatever they hold', async () => {
    const evil = '<script>window.hacked = 1</script><img src=x onerror="window.hacked = 1">';
    const nowMs = Date.now();
    served.say = () =>
      changed({
        servers: [server(nowMs, { name: 'pg1', role: 'primary', state: evil, node: evil })],
        decision: { rule: 'steady', because: evil },
        events: eventsAt(nowMs).map((event) => ({ ...event, message: evil })),
      });
    await open();
    for (const place of ['.decision', '.place-name', '.events']) {
      expect(await text(place)).to.include(evil);
    }
    expect(await inPage('window.hacked')).to.equal(undefined);
    expect(await page.$('#content img, #content script')).to.equal(null);
    expect(complaints).to.deep.equal([]);
  });

  it('lets nobody in with a wrong token, and anybody with the right one', async () => {
    const answer = await page.goto(served.url);
    expect(answer?.status()).to.equal(401);
    expect(await inPage('document.activeElement.id')).to.equal('token');
    await page.keyboard.type('a guess');
    await Promise.all([page.waitForNavigation(), page.keyboard.press('Enter')]);
    expect(await text('[role=alert]')).to.include('That is not the token');
    await page.type('#token', TOKEN);
    await Promise.all([page.waitForNavigation(), page.keyboard.press('Enter')]);
    await shows('orders');
    expect(await inPage('document.cookie')).to.equal('');
  });

  it('knows one who is logged in and comes by a link on another site', async () => {
    await open();
    // To a browser, localhost is another site than 127.0.0.1.
    await page.goto(served.url.replace('127.0.0.1', 'localhost'));
    expect(await text('body')).to.include('pgswarm page');
    await inPage(`void (location.href = ${quoted(served.url)})`);
    await page.waitForSelector('.node.primary');
    expect(new URL(page.url()).hostname).to.equal('127.0.0.1');
  });

  it('asks nobody else for anything, and is small', async () => {
    let bytes = 0;
    const session = await page.createCDPSession();
    await session.send('Network.enable');
    session.on('Network.loadingFinished', ({ encodedDataLength }) => (bytes += encodedDataLength));
    await open();
    expect(requests.length).to.be.above(10);
    expect(requests.filter((url) => !url.startsWith(served.url))).to.deep.equal([]);
    expect(bytes).to.be.within(60_000, BYTES_MAX);
  });

  it('is painted at once', async () => {
    await open();
    const paints: number[] = [];
    for (let attempt = 0; attempt < 5; attempt += 1) {
      await page.reload();
      await page.waitForSelector('.node.primary');
      paints.push(
        (await inPage(
          "performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? Infinity",
        )) as number,
      );
    }
    console.log(`      first paint: ${paints.map((ms) => Math.round(ms)).join(', ')} ms`);
    expect(Math.min(...paints)).to.be.below(FIRST_PAINT_MAX_MS);
  });

  it('follows the system’s theme until another one is chosen', async () => {
    await open();
    const paper = (): Promise<unknown> => inPage('getComputedStyle(document.body).backgroundColor');
    const prefer = (value: string): Promise<void> =>
      page.emulateMediaFeatures([{ name: 'prefers-color-scheme', value }]);
    await prefer('light');
    const light = await paper();
    await prefer('dark');
    const dark = await paper();
    expect(light).not.to.equal(dark);
    await page.click('#theme');
    expect([await paper(), await inPage('document.querySelector("#theme").title')]).to.deep.equal([
      light,
      'theme: light',
    ]);
    await page.reload();
    await page.waitForSelector('.node.primary');
    expect(await paper()).to.equal(light);
    await page.click('#theme');
    await prefer('light');
    expect(await paper()).to.equal(dark);
  });

  for (const width of [360, 768, 1280]) {
    it(`fits ${width} pixels`, async () => {
      await page.setViewport({ width, height: 800 });
      await open();
      const reaches = await inPage('document.documentElement.scrollWidth');
      expect(reaches).to.equal(width);
    });
  }

  it('is reached by the keyboard, in the order in which it is read', async () => {
    const clusters = ['billing', 'orders'].map((name) => summaryOf(name, detail(Date.now())));
    served.say = () => ({ ...steady(), clusters });
    await open();
    const order: unknown[] = [];
    for (let press = 0; press < 8; press += 1) {
      await page.keyboard.press('Tab');
      order.push(
        await inPage(
          "document.activeElement.getAttribute('aria-label') ?? document.activeElement.textContent.trim()",
        ),
      );
    }
    expect(order).to.deep.equal([
      'Skip to the cluster',
      'pgswarm',
      'All clusters',
      'billing',
      'orders',
      'theme: as the system',
      'Backups',
      'Events, the newest first',
    ]);
    // What is drawn anew does not take the focus away.
    served.say = () => ({ ...changed({ phase: 'Paused' }), clusters });
    await shows('Paused');
    expect(await inPage("document.activeElement.getAttribute('aria-label')")).to.equal(
      'Events, the newest first',
    );
  });

  it('shows all clusters, and the one that is chosen', async () => {
    const clusters = ['billing', 'orders'].map((name) => summaryOf(name, detail(Date.now())));
    served.say = (cluster) => ({
      ...changed({ cluster: 'billing' }),
      clusters,
      ...(cluster === '' ? { cluster: null } : {}),
    });
    await open();
    expect(await text('h1')).to.equal('All clusters');
    expect(await count('.card')).to.equal(2);
    await page.click('.card');
    await page.waitForSelector('.node.primary');
    expect(await text('h1')).to.include('billing');
    await page.goBack();
    await page.waitForSelector('.card');
  });

  it('says what to do where there is no cluster, or none of that name', async () => {
    served.say = () => ({ at: new Date().toISOString(), clusters: [], cluster: null });
    await open();
    expect(await text('#content')).to.include('pgswarm apply -f examples/pair.yaml');
    const clusters = ['billing', 'orders'].map((name) => summaryOf(name, detail(Date.now())));
    served.say = () => ({ at: new Date().toISOString(), clusters, cluster: null });
    await page.goto(`${served.url}#/nobody`);
    await shows('Nothing is known of nobody');
  });

  it('says since when it is old, and is live again by itself', async () => {
    await open();
    stopServing(served);
    await page.waitForSelector('#stale:not([hidden])');
    expect(await text('#stale')).to.match(
      /^No connection to the operator\. What you see is as it was at \d\d:\d\d:\d\d\./,
    );
    expect(await text('#connection')).to.equal('not live');
    served = await servePage(() => changed({ phase: 'Paused' }), { port: served.port });
    await shows('Paused');
    await page.waitForSelector('#stale[hidden]');
  });

  it('says so when no operator leads', async () => {
    await open();
    served.say = () => null;
    await page.waitForSelector('#stale:not([hidden])');
    expect(await text('#stale')).to.include('No operator leads at the moment. What you see');
    served.say = steady;
    await page.waitForSelector('#stale[hidden]');
  });
});
