/** Where the operators are. Every one of them is asked for; which of them leads is theirs to say. */
import { lookup } from 'node:dns/promises';
import { isIP } from 'node:net';
import { askNameServer, type Resolve } from './name-server';

export interface Endpoint {
  readonly host: string;
  readonly port: number;
}

/** Names are looked up again after this long: operators come and go with their nodes. */
const FRESH_MS = 3000;
const RESOLVE_TIMEOUT_MS = 1000;
/** After this long without an answer a lookup is given up, and the next one may work. */
const LOOKUP_TIMEOUT_MS = 2500;

export class OperatorDirectory {
  readonly #names: readonly Endpoint[];
  readonly #resolve: Resolve;
  #known: readonly Endpoint[] = [];
  #lookedUpAtMs = -Infinity;
  #lookup: Promise<void> | null = null;

  /** `names`: a host name, or a list of `host:port` separated by commas. */
  constructor(names: string, defaultPort: number, resolve: Resolve = resolveName) {
    this.#names = names.split(',').map((name) => parseEndpoint(name.trim(), defaultPort));
    this.#resolve = resolve;
  }

  /** The last known addresses, at once where there are any; a lookup never delays a heartbeat. */
  async endpoints(): Promise<readonly Endpoint[]> {
    if (performance.now() - this.#lookedUpAtMs > FRESH_MS) {
      this.#lookup ??= this.#refresh().finally(() => {
        this.#lookup = null;
      });
      if (this.#known.length === 0) await this.#lookup;
    }
    return this.#known;
  }

  async #refresh(): Promise<void> {
    const found = await Promise.all(this.#names.map((name) => this.#endpointsOf(name)));
    this.#lookedUpAtMs = performance.now();
    // A name server that fails takes nothing away from what is known.
    if (found.flat().length > 0) this.#known = found.flat();
  }

  async #endpointsOf({ host, port }: Endpoint): Promise<readonly Endpoint[]> {
    if (isIP(host) !== 0) return [{ host, port }];
    const addresses = await within(LOOKUP_TIMEOUT_MS, this.#resolve(host));
    return addresses.toSorted().map((address) => ({ host: address, port }));
  }
}

/** The system's resolver, which occupies a thread while it waits, is for /etc/hosts only. */
async function resolveName(host: string): Promise<readonly string[]> {
  return askNameServer(host, RESOLVE_TIMEOUT_MS).catch(async () => {
    const found = await lookup(host, { all: true, family: 4 }).catch(() => []);
    return found.map(({ address }) => address);
  });
}

/** What the work yields, or nothing when it takes too long. */
async function within(
  timeoutMs: number,
  work: Promise<readonly string[]>,
): Promise<readonly string[]> {
  let timer: NodeJS.Timeout | undefined;
  const silence = new Promise<readonly string[]>((resolve) => {
    timer = setTimeout(() => resolve([]), timeoutMs);
  });
  return Promise.race([work, silence]).finally(() => clearTimeout(timer));
}

/** `host` or `host:port`. */
export function parseEndpoint(text: string, defaultPort: number): Endpoint {
  const [host = '', port] = text.split(':');
  return { host, port: port === undefined ? defaultPort : Number(port) };
}

export const sameEndpoint = (a: Endpoint, b: Endpoint): boolean =>
  a.host === b.host && a.port === b.port;
