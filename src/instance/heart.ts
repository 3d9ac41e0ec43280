/**
 * The heartbeat: reports at the pace that the leader asks for, and at once when something of note
 * has changed; one report in flight at a time. Beside it a watch, so that a new assignment arrives
 * at once too.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { type ControlAnswer, type ControlPort } from '../adapters/control/client';
import { type Log } from '../adapters/log';
import { messageOf } from '../core/errors';
import { HEARTBEAT_MS, type Report } from '../core/protocol';
import { type Identity } from './local-state';

export interface HeartPorts {
  readonly identity: Identity;
  readonly control: ControlPort;
  readonly log: Log;
  /** The present, newer than the report before. */
  report(): Report;
  /** The answer to a report that was begun at `sentAtMs`; returns how long until the next one. */
  accept(answer: ControlAnswer, sentAtMs: number): number;
}

/** A watch that failed is set up again after this long, doubled each time. */
const WATCH_RETRY_MS = 100;
const WATCH_RETRY_MAX_MS = 1000;

export class Heart {
  readonly #ports: HeartPorts;
  readonly #stop = new AbortController();
  #digest: string | null = null;
  #isPoked = false;
  #poke: () => void = () => undefined;
  #onAnswer: () => void = () => undefined;
  #hasContact: boolean | null = null;
  #beatAtMs = performance.now();
  #answeredAtMs: number | null = null;

  constructor(ports: HeartPorts) {
    this.#ports = ports;
  }

  /** Since the loop last came round. */
  get ageMs(): number {
    return performance.now() - this.#beatAtMs;
  }

  get contactAgeMs(): number | null {
    return this.#answeredAtMs === null ? null : performance.now() - this.#answeredAtMs;
  }

  /** Beats until `stop` is called. */
  async run(): Promise<void> {
    await Promise.all([this.#beatAlways(), this.#watchAlways()]);
  }

  /** Something of note has changed: report it at once, or right after the report in flight. */
  beatNow(): void {
    this.#isPoked = true;
    this.#poke();
  }

  stop(): void {
    this.#stop.abort();
    this.#poke();
  }

  /** One report, answered or not; how long until the next. */
  async beat(): Promise<number> {
    const { control } = this.#ports;
    const sentAtMs = performance.now();
    this.#beatAtMs = sentAtMs;
    try {
      const answer = await control.beat(this.#ports.report());
      this.#noteContact(null);
      this.#digest = answer.digest;
      this.#answeredAtMs = performance.now();
      return this.#ports.accept(answer, sentAtMs);
    } catch (error) {
      this.#noteContact(error);
      return HEARTBEAT_MS;
    }
  }

  async #beatAlways(): Promise<void> {
    while (!this.#isStopped) {
      this.#isPoked = false;
      const waitMs = await this.beat();
      this.#onAnswer();
      await this.#wait(waitMs);
    }
  }

  async #wait(milliseconds: number): Promise<void> {
    if (this.#isPoked || this.#isStopped) return;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, milliseconds);
      this.#poke = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  async #watchAlways(): Promise<void> {
    let retryMs = WATCH_RETRY_MS;
    while (!this.#isStopped) {
      const isWatched = this.#digest !== null && (await this.#watch(this.#digest));
      if (isWatched) {
        retryMs = WATCH_RETRY_MS;
        continue;
      }
      await sleep(retryMs, undefined, { signal: this.#stop.signal }).catch(() => undefined);
      retryMs = this.#digest === null ? retryMs : Math.min(retryMs * 2, WATCH_RETRY_MAX_MS);
    }
  }

  /** A leader that breaks off may be gone: the next report finds the new one. */
  async #watch(digest: string): Promise<boolean> {
    const { control, identity } = this.#ports;
    const { cluster, server, bootId } = identity;
    try {
      await control.watch({ cluster, server, bootId, digest }, this.#stop.signal);
      const answered = new Promise<void>((resolve) => (this.#onAnswer = resolve));
      this.beatNow();
      await answered;
      return true;
    } catch {
      if (!this.#isStopped) this.beatNow();
      return false;
    }
  }

  get #isStopped(): boolean {
    return this.#stop.signal.aborted;
  }

  #noteContact(error: unknown): void {
    const hasContact = error === null;
    if (hasContact === this.#hasContact) return;
    this.#hasContact = hasContact;
    if (hasContact) this.#ports.log.info('In contact with the leader');
    else this.#ports.log.warn('No leader answers', { error: messageOf(error) });
  }
}
