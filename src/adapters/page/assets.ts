/** The files of the web page, as they are in `src/page`; they are read once, and nothing else is served. */
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { extname, join } from 'node:path';

export interface Asset {
  readonly type: string;
  readonly bytes: Buffer;
  readonly etag: string;
}

const FOLDER = join(__dirname, '../../../src/page');

const TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.mjs': 'text/javascript; charset=utf-8',
  '.svg': 'image/svg+xml',
};

/** Of the package `uplot`, which draws the lag. */
const CHART_FILES = ['uPlot.iife.min.js', 'uPlot.min.css'];

/** By path: `/page.css`. */
export function readAssets(): ReadonlyMap<string, Asset> {
  const own = readdirSync(FOLDER)
    .filter((name) => TYPES[extname(name)] !== undefined)
    .map((name) => [name, join(FOLDER, name)] as const);
  const chart = CHART_FILES.map((name) => [name, require.resolve(`uplot/dist/${name}`)] as const);
  return new Map([...own, ...chart].map(([name, file]) => [`/${name}`, assetOf(file)]));
}

function assetOf(file: string): Asset {
  const bytes = readFileSync(file);
  const digest = createHash('sha256').update(bytes).digest('base64url').slice(0, 16);
  return { type: TYPES[extname(file)] ?? '', bytes, etag: `"${digest}"` };
}
