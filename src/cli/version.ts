/** The version of this program, from the package that it is in. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

/** The same place seen from `src/cli` and from `dist/cli`. */
const PACKAGE_FILE = join(__dirname, '../../package.json');

export const version = (): string =>
  (JSON.parse(readFileSync(PACKAGE_FILE, 'utf8')) as { readonly version: string }).version;
