/** What one leader has seen of Swarm for one cluster, and when it is to look again. */
import { messageOf } from '../core/errors';
import { type SwarmSeen } from '../core/observation';
import { type Clock, type Swarm } from '../core/ports';

/** Swarm is looked at again after this long, even when it has announced no change. */
const REFRESH_MS = 15_000;
/** Clusters whose sight has become old at about the same time share the new one. */
const SHARED_MS = 2_000;

export interface SwarmViewPorts {
  readonly cluster: string;
  readonly swarm: Pick<Swarm, 'observe'>;
  readonly clock: Clock;
  /** An answer has come for which nobody waited any more. */
  readonly onLate: () => void;
}

export class SwarmView {
  readonly #ports: SwarmViewPorts;
  #seen: SwarmSeen | null = null;
  #isStale = true;
  #looking: Promise<void> | null = null;

  constructor(ports: SwarmViewPorts) {
    this.#ports = ports;
  }

  /** null until Swarm has answered once. */
  get seen(): SwarmSeen | null {
    return this.#seen;
  }

  get isOld(): boolean {
    return this.#ports.clock.monotonicMs() - (this.#seen?.seenAtMs ?? -Infinity) > REFRESH_MS;
  }

  /** Something is different, by Docker's word or by a step of our own. */
  stale(): void {
    this.#isStale = true;
  }

  /**
   * Looks again where that is due. Waits for the answer, but never long: Swarm may be electing, and
   * a primary that is lost is replaced without it. Returns why Swarm has not answered.
   */
  async refresh(patienceMs: number): Promise<string | null> {
    if (!this.#isStale && !this.isOld) return null;
    const looking = (this.#looking ??= this.#look().finally(() => (this.#looking = null)));
    const late = new Promise<'late'>((resolve) => setTimeout(() => resolve('late'), patienceMs));
    try {
      const outcome = await Promise.race([looking, late]);
      if (outcome === 'late') looking.then(this.#ports.onLate).catch(() => undefined);
      return null;
    } catch (error) {
      return messageOf(error);
    }
  }

  async #look(): Promise<void> {
    const { swarm, cluster, clock } = this.#ports;
    const sinceMs = this.#isStale ? undefined : clock.monotonicMs() - SHARED_MS;
    this.#isStale = false;
    try {
      this.#seen = await swarm.observe(cluster, sinceMs);
    } catch (error) {
      this.#isStale = true;
      throw error;
    }
  }
}
