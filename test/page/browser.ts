/** The page in a real browser: served by the real server, told by whatever the test says. */
import { existsSync } from 'node:fs';
import { type Server } from 'node:http';
import { type AddressInfo } from 'node:net';
import puppeteer, { type Browser } from 'puppeteer-core';
import { createLogger } from 'winston';
import { answerOf, refusalOf } from '../../src/adapters/control/json-http';
import { type Question } from '../../src/adapters/control/routes';
import { createPageServer } from '../../src/adapters/page/server';
import { type Overview } from '../../src/core/overview';

export const TOKEN = '5e0cfe0b5b1f4d6a9c3e7a8f00c0ffee';

const CHROMIUM = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'];

/** null: there is none on this machine. */
export const findChromium = (): string | null => CHROMIUM.find((each) => existsSync(each)) ?? null;

/** As root in a container there is no sandbox; nothing but our own page is opened. */
export const openBrowser = (executablePath: string): Promise<Browser> =>
  puppeteer.launch({ executablePath, args: ['--no-sandbox', '--disable-gpu'] });

export interface ServedPage {
  readonly server: Server;
  readonly port: number;
  /** With a slash at the end. */
  readonly url: string;
  /** What the operator says when it is asked; null: no operator leads. */
  say: (cluster: string) => Overview | null;
}

export async function servePage(
  say: ServedPage['say'],
  {
    now = Date.now,
    port: wanted = 0,
  }: { readonly now?: () => number; readonly port?: number } = {},
): Promise<ServedPage> {
  const ask = ({ path }: Question) => {
    const overview = page.say(decodeURIComponent(path.split('/').at(-1) ?? ''));
    const silence = refusalOf(503, 'NoLeader', 'No operator leads at the moment.');
    return Promise.resolve(overview === null ? silence : answerOf(overview));
  };
  const server = createPageServer({
    token: TOKEN,
    ask,
    log: createLogger({ silent: true }),
    now,
  });
  await new Promise<void>((resolve) => server.listen(wanted, resolve));
  const { port } = server.address() as AddressInfo;
  const page: ServedPage = { server, port, url: `http://127.0.0.1:${port}/`, say };
  return page;
}

export function stopServing({ server }: ServedPage): void {
  server.close();
  server.closeAllConnections();
}
