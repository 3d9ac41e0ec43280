/**
 * A primary that has hung up may have died: its node tells Swarm, but Swarm tells nobody. So it is
 * asked again and again, until the primary is heard again or the lease has answered the question.
 */
import { type Clock } from '../core/ports';

const LASTS_MS = 6_000;
const POLL_MS = 100;

export interface SuspicionPorts {
  readonly clock: Clock;
  /** When the server was last heard; null: never. */
  readonly heardAtMs: (server: string) => number | null;
  readonly isPrimary: (server: string) => boolean;
  readonly ask: () => void;
}

export class Suspicion {
  readonly #ports: SuspicionPorts;
  #timer: NodeJS.Timeout | null = null;

  constructor(ports: SuspicionPorts) {
    this.#ports = ports;
  }

  begin(server: string): void {
    this.#poll(server, this.#ports.clock.monotonicMs());
  }

  end(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
  }

  #poll(server: string, sinceMs: number): void {
    this.end();
    const { clock, heardAtMs, isPrimary, ask } = this.#ports;
    const isOver = clock.monotonicMs() > sinceMs + LASTS_MS;
    if (isOver || !isPrimary(server) || (heardAtMs(server) ?? 0) > sinceMs) return;
    ask();
    this.#timer = setTimeout(() => this.#poll(server, sinceMs), POLL_MS);
  }
}
