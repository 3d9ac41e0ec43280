/** Where the operators are. Every one of them is asked for; which of them leads is theirs to say. */
import { lookup, Resolver } from 'node:dns/promises';
import { isIP } from 'node:net';

export interface Endpoint {
  readonly host: string;
  readonly port: number;
}

/** Addresses of a host name; an empty list when nothing is found. */
export type Resolve = (host: string) => Promise<readonly string[]>;

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

/**
 * Asks the name server itself. The system's resolver (`lookup`) occupies a thread while it waits,
 * and with several names that hang no file could be read; it is for /etc/hosts only. A new resolver
 * each time: one that lived long was seen never to answer again.
 */
async function resolveName(host: string): Promise<readonly string[]> {
  const resolver = new Resolver({ timeout: RESOLVE_TIMEOUT_MS, tries: 1 });
  return resolver.resolve4(host).catch(async () => {
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
