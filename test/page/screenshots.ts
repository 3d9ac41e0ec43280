/**
 * Takes the pictures of the documentation: `npx ts-node -T test/page/screenshots.ts`. A steady cluster
 * in the light theme, and one in the midst of a failover in the dark one. `pngquant --ext .png --force`
 * makes them small afterwards.
 */
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { overviewOf, detail, midFailover } from './sample';
import { findChromium, openBrowser, servePage, stopServing, TOKEN } from './browser';

const FOLDER = join(__dirname, '../../docs/images');
/** So much is to be seen of the lag. */
const WATCHED_MS = 58_000;

/** Two standbys that fall behind a little from time to time. */
function lags(nowMs: number): readonly [number, number] {
  const seconds = nowMs / 1000;
  const wave = Math.max(0, Math.sin(seconds / 4.5)) ** 5;
  const ripple = 9_000 * Math.abs(Math.sin(seconds * 1.9));
  return [Math.round(26_000 * wave + ripple / 6), Math.round(210_000 * wave + ripple)];
}

async function main(): Promise<void> {
  const chromium = findChromium();
  if (chromium === null) throw new Error('there is no Chromium; apt-get install chromium');
  const browser = await openBrowser(chromium);
  let isFailing = false;
  const served = await servePage(() => {
    const nowMs = Date.now();
    const [near, far] = lags(nowMs);
    const steady = detail(nowMs, { lease: { ttlMs: 5000, leftMs: 4100, peers: [] } });
    const servers = steady.servers.map((server) =>
      server.role === 'primary'
        ? server
        : { ...server, lagBytes: server.name === 'pg2' ? near : far },
    );
    const cluster = { ...steady, servers };
    return overviewOf(isFailing ? midFailover(cluster, nowMs) : cluster, nowMs);
  });
  const page = await browser.newPage();
  await page.setViewport({ width: 1280, height: 1000 });
  await page.goto(`${served.url}#token=${TOKEN}`);
  await page.waitForSelector('.node.primary');
  const take = async (theme: 'light' | 'dark', height: number): Promise<void> => {
    await page.setViewport({ width: 1280, height });
    await page.emulateMediaFeatures([{ name: 'prefers-color-scheme', value: theme }]);
    await pause(1500);
    await page.screenshot({ path: join(FOLDER, `web-page-${theme}.png`) });
  };
  await pause(WATCHED_MS);
  await take('light', 1400);
  isFailing = true;
  await take('dark', 1000);
  await browser.close();
  stopServing(served);
}

void main();
