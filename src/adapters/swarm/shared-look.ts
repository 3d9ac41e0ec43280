/**
 * Looks at Swarm for many clusters. Those that ask in the same turn of the event loop, because a node
 * has changed or a connection is new, get one look at everything; who asks alone gets one at itself.
 */
import { type SwarmSeen } from '../../core/observation';

/** Of any cluster, as it was seen in one look at everything. */
export type Sight = (cluster: string) => SwarmSeen;

export interface LookPorts {
  readonly one: (cluster: string) => Promise<SwarmSeen>;
  readonly all: () => Promise<Sight>;
  readonly nowMs: () => number;
}

export class SharedLook {
  readonly #ports: LookPorts;
  /** Those that have asked in this turn, and what they get. */
  #asking: { readonly clusters: Set<string>; readonly sight: Promise<Sight> } | null = null;
  #last: { readonly sinceMs: number; readonly sight: Promise<Sight> } | null = null;

  constructor(ports: LookPorts) {
    this.#ports = ports;
  }

  /** As new as the question, or as `sinceMs` when everything was looked at since then. */
  async observe(cluster: string, sinceMs?: number): Promise<SwarmSeen> {
    const sight = sinceMs === undefined ? this.#ask(cluster) : this.#recent(sinceMs);
    return (await sight)(cluster);
  }

  #ask(cluster: string): Promise<Sight> {
    const clusters = this.#asking?.clusters ?? new Set();
    clusters.add(cluster);
    this.#asking ??= { clusters, sight: this.#together(clusters) };
    return this.#asking.sight;
  }

  /** Asks Docker when the turn is over: whoever is among them then has asked before that. */
  async #together(clusters: ReadonlySet<string>): Promise<Sight> {
    await new Promise(setImmediate);
    this.#asking = null;
    const [first, ...others] = clusters;
    if (first === undefined || others.length > 0) return await this.#lookAtAll();
    const seen = await this.#ports.one(first);
    return () => seen;
  }

  #recent(sinceMs: number): Promise<Sight> {
    const last = this.#last;
    return last !== null && last.sinceMs >= sinceMs ? last.sight : this.#lookAtAll();
  }

  async #lookAtAll(): Promise<Sight> {
    const look = { sinceMs: this.#ports.nowMs(), sight: this.#ports.all() };
    this.#last = look;
    try {
      return await look.sight;
    } catch (error) {
      if (this.#last === look) this.#last = null;
      throw error;
    }
  }
}
