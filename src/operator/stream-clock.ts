/** Since when each standby streams without a break, as one leader sees it. */
import { type Report } from '../core/protocol';

export class StreamClock {
  readonly #sinceMs = new Map<string, number>();

  /** By server. */
  get sinceMs(): Readonly<Record<string, number>> {
    return Object.fromEntries(this.#sinceMs);
  }

  /** A report of the primary says who streams; a standby's own says when it does not. */
  reported({ server, postgres }: Report, nowMs: number): void {
    if (postgres.state === 'primary') {
      const streaming = postgres.standbys.filter(({ state }) => state === 'streaming');
      this.#sinceMs.delete(server);
      for (const name of this.#sinceMs.keys()) {
        if (!streaming.some((standby) => standby.server === name)) this.#sinceMs.delete(name);
      }
      for (const { server: name } of streaming) {
        if (!this.#sinceMs.has(name)) this.#sinceMs.set(name, nowMs);
      }
    } else if (postgres.state !== 'standby') this.#sinceMs.delete(server);
  }
}
