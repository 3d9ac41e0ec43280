/**
 * Messages between machines. They take time, overtake each other, get lost and are sent again as
 * TCP does it: so a question may arrive long after the one who asked has given it up.
 */
import { type Random } from './random';
import { type Scheduler } from './scheduler';

/** What a message is part of: a fault may hit one kind of traffic and not the others. */
export type Channel = 'control' | 'peers' | 'replication' | 'raft';

/** Traffic that does not get through, in one direction; null stands for every one. */
export interface Cut {
  readonly channels: readonly Channel[] | null;
  readonly from: string | null;
  readonly to: string | null;
}

interface Message {
  readonly channel: Channel;
  readonly from: string;
  readonly to: string;
  readonly deliver: () => void;
}

export interface Weather {
  /** Median of the time a message takes. */
  readonly delayMs: number;
  /** Share of messages that have to be sent again. */
  readonly loss: number;
}

const FAIR: Weather = { delayMs: 0.5, loss: 0 };
/** TCP's first retransmission; each further one waits twice as long. */
const RETRANSMIT_MS = 200;
/** After so many attempts the connection is given up. */
const ATTEMPTS_MAX = 7;

export class Network {
  readonly #scheduler: Scheduler;
  readonly #random: Random;
  readonly #cuts = new Set<Cut>();
  #weather = FAIR;

  constructor(scheduler: Scheduler, random: Random) {
    this.#scheduler = scheduler;
    this.#random = random;
  }

  isOpen(channel: Channel, from: string, to: string): boolean {
    for (const cut of this.#cuts) {
      if (cut.channels !== null && !cut.channels.includes(channel)) continue;
      if (cut.from !== null && cut.from !== from) continue;
      if (cut.to !== null && cut.to !== to) continue;
      if (from !== to) return false;
    }
    return true;
  }

  isOpenBothWays(channel: Channel, a: string, b: string): boolean {
    return this.#cuts.size === 0 || (this.isOpen(channel, a, b) && this.isOpen(channel, b, a));
  }

  /** Returns what takes the cut away again. */
  cut(cut: Cut): () => void {
    this.#cuts.add(cut);
    return () => this.#cuts.delete(cut);
  }

  set weather(weather: Weather | null) {
    this.#weather = weather ?? FAIR;
  }

  delayMs(): number {
    const { delayMs } = this.#weather;
    // Mostly about the median, now and then ten times as much.
    return delayMs * (this.#random.chance(0.05) ? 10 : 1) * (0.5 + this.#random.next());
  }

  /** Calls `deliver` in the world, once, or never. */
  send(channel: Channel, from: string, to: string, deliver: () => void): void {
    this.#attempt({ channel, from, to, deliver }, 1);
  }

  #attempt(message: Message, attempt: number): void {
    const { channel, from, to, deliver } = message;
    const isLost = from !== to && this.#random.chance(this.#weather.loss);
    if (!isLost && this.isOpen(channel, from, to)) {
      this.#scheduler.after(this.delayMs(), () => {
        if (this.isOpen(channel, from, to)) deliver();
        else this.#again(message, attempt);
      });
    } else {
      this.#again(message, attempt);
    }
  }

  #again(message: Message, attempt: number): void {
    if (attempt >= ATTEMPTS_MAX) return;
    const waitMs = RETRANSMIT_MS * 2 ** (attempt - 1);
    this.#scheduler.after(waitMs, () => this.#attempt(message, attempt + 1));
  }
}
