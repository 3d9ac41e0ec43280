/**
 * Keeps this operator's part in the leadership: reads and writes the leader record as
 * `core/leadership` decides, and tells when it leads and when it does not any more.
 */
import { setTimeout as pause } from 'node:timers/promises';
import { type Log } from '../adapters/log';
import { messageOf, OperatingError } from '../core/errors';
import {
  decideLeadership,
  LEADERSHIP_TIMING,
  leadershipLeftMs,
  released,
  renewed,
  takenOver,
  type LeaderRecord,
  type LeadershipTiming,
  type Reign,
  type Self,
} from '../core/leadership';
import { LEADER_RECORD } from '../core/names';
import { type Clock, type Store, type StoredRecord } from '../core/ports';

export interface LeadershipPorts {
  readonly store: Store;
  readonly clock: Clock;
  readonly log: Log;
  /** The holder is one id per start of the program: a restarted operator is another one. */
  readonly self: Self;
  readonly onLead: (epoch: number, areLeasesOver: boolean) => void;
  /** Acting must have ended when this returns. */
  readonly onLose: (because: string) => void;
  readonly timing?: LeadershipTiming;
}

/** Who has lost a race looks again at once, but not in a tight loop. */
const LOST_RACE_PAUSE_MS = 50;

/** The newest record that was read or written here. */
interface Seen {
  readonly record: StoredRecord<LeaderRecord> | null;
  readonly firstSeenMs: number;
}

export class Leadership {
  readonly #ports: LeadershipPorts;
  readonly #timing: LeadershipTiming;
  readonly #stop = new AbortController();
  #loop: Promise<void> = Promise.resolve();
  /** null: our picture of the record is known to be old. */
  #seen: Seen | null = null;
  #reign: Reign | null = null;
  /** Until when leases of the last reign may run. */
  #leasesEndMs = 0;
  #handTo: { readonly node: string; readonly isStillFit: () => boolean } | null = null;
  #deadline: NodeJS.Timeout | null = null;
  #trouble: string | null = null;

  constructor(ports: LeadershipPorts) {
    this.#ports = ports;
    this.#timing = ports.timing ?? LEADERSHIP_TIMING;
  }

  start(): void {
    this.#loop = this.#run();
  }

  /** Looks at the clock: right also in a process that was frozen and does not know it yet. */
  isLeading(): boolean {
    return this.leftMs() > 0;
  }

  /** How long it leads for certain, even if no renewal works any more. No lease may be longer. */
  leftMs(): number {
    if (this.#reign === null) return 0;
    return Math.max(0, leadershipLeftMs(this.#reign, this.#nowMs(), this.#timing));
  }

  /** `host:port` of the leader as far as it is known. */
  leaderAddress(): string | null {
    if (this.isLeading()) return this.#ports.self.address;
    const record = this.#seen?.record?.value;
    const isNobody =
      record === undefined || record.released || record.holder === this.#ports.self.holder;
    return isNobody ? null : record.address;
  }

  /** For good: stops acting, then lets a follower take over at once. */
  async release(): Promise<void> {
    this.#stop.abort();
    const reign = this.#reign;
    this.#lose('This operator is being stopped.');
    await this.#loop;
    await this.#releaseRecord(reign, null);
  }

  /** At its next beat, lets the operator on another node lead, if `isStillFit` says so then. */
  handOver(node: string, isStillFit: () => boolean): void {
    this.#handTo = { node, isStillFit };
  }

  async #releaseRecord(reign: Reign | null, handedTo: string | null): Promise<void> {
    const { store, log } = this.#ports;
    const record = this.#seen?.record;
    if (reign === null || record?.value.epoch !== reign.epoch) return;
    this.#seen = null;
    try {
      await this.#bounded(store.update(record, released(record.value, handedTo)));
    } catch (error) {
      // The followers find out by the clock.
      log.info('the leadership could not be released', { message: messageOf(error) });
    }
  }

  async #run(): Promise<void> {
    const { signal } = this.#stop;
    while (!signal.aborted) {
      const startedMs = this.#nowMs();
      await this.#turn();
      const waitMs = Math.max(LOST_RACE_PAUSE_MS, startedMs + this.#beatMs() - this.#nowMs());
      await pause(waitMs, undefined, { signal }).catch(() => undefined);
    }
  }

  #beatMs(): number {
    if (this.#seen === null && this.#trouble === null) return LOST_RACE_PAUSE_MS;
    return this.#reign === null ? this.#timing.lookEveryMs : this.#timing.renewEveryMs;
  }

  async #turn(): Promise<void> {
    try {
      await this.#leaveIfAsked();
      if (this.#stop.signal.aborted) return;
      // A leader knows its own record; one round trip less, and its renewal is earlier.
      if (this.#seen === null || this.#reign === null) await this.#look();
      await this.#move();
      this.#trouble = null;
    } catch (error) {
      if (!(error instanceof OperatingError) || error.kind !== 'stale') {
        this.#report(error);
        return;
      }
      // Somebody has written: another operator, or our own write whose answer was lost.
      this.#seen = null;
      this.#trouble = null;
    }
  }

  async #move(): Promise<void> {
    const { self, clock, log } = this.#ports;
    const record = this.#seen?.record ?? null;
    const move = decideLeadership(
      {
        self,
        record: record?.value ?? null,
        firstSeenMs: this.#seen?.firstSeenMs ?? 0,
        reign: this.#reign,
        ownLeasesEndMs: this.#leasesEndMs,
        nowMs: clock.monotonicMs(),
      },
      this.#timing,
    );
    switch (move.kind) {
      case 'follow':
        return;
      case 'standDown':
        this.#lose(move.because);
        return;
      case 'renew':
        if (record !== null) await this.#renew(record);
        return;
      case 'takeOver':
        log.info('taking over the leadership', { because: move.because });
        await this.#takeOver(record, move.areLeasesOver);
        return;
    }
  }

  /** Not while the store is in trouble: the release could not be written, and nobody would lead. */
  async #leaveIfAsked(): Promise<void> {
    const asked = this.#handTo;
    this.#handTo = null;
    if (asked === null || this.#trouble !== null || this.#seen === null) return;
    if (asked.isStillFit()) await this.#leaveTo(asked.node);
  }

  async #leaveTo(node: string): Promise<void> {
    const reign = this.#reign;
    this.#lose(`The operator on ${node} is better placed.`);
    await this.#releaseRecord(reign, node);
  }

  async #look(): Promise<void> {
    const record = await this.#bounded(this.#ports.store.read<LeaderRecord>(LEADER_RECORD));
    // Stamped after the answer: the renewal that we see was started before this moment.
    if (this.#seen === null || this.#seen.record?.version !== record?.version) {
      this.#seen = { record, firstSeenMs: this.#nowMs() };
    }
  }

  async #renew(record: StoredRecord<LeaderRecord>): Promise<void> {
    const startedMs = this.#nowMs();
    const written = await this.#bounded(this.#ports.store.update(record, renewed(record.value)));
    this.#seen = { record: written, firstSeenMs: this.#nowMs() };
    // The reign may have ended while the answer was on its way; it does not come back.
    if (this.#reign !== null) this.#reignFrom({ ...this.#reign, renewedAtMs: startedMs });
  }

  async #takeOver(
    record: StoredRecord<LeaderRecord> | null,
    areLeasesOver: boolean,
  ): Promise<void> {
    const { store, self, onLead, log } = this.#ports;
    const startedMs = this.#nowMs();
    // The answer may be lost, and the record then be found to be our own.
    if (!areLeasesOver) {
      this.#leasesEndMs = Math.max(this.#leasesEndMs, startedMs + this.#timing.leaseMs);
    }
    const next = takenOver(record?.value ?? null, self);
    const written = await this.#bounded(
      record === null ? store.create(LEADER_RECORD, next) : store.update(record, next),
    );
    this.#seen = { record: written, firstSeenMs: this.#nowMs() };
    if (this.#stop.signal.aborted) return;
    this.#reignFrom({ epoch: next.epoch, renewedAtMs: startedMs });
    log.info('leading', { leaderEpoch: next.epoch });
    onLead(next.epoch, areLeasesOver);
  }

  #reignFrom(reign: Reign): void {
    this.#reign = reign;
    if (this.#deadline !== null) clearTimeout(this.#deadline);
    this.#deadline = setTimeout(
      () => {
        // Timers may be early by a moment; the clock decides.
        if (this.isLeading()) this.#reignFrom(reign);
        else this.#lose('No renewal has worked in time.');
      },
      leadershipLeftMs(reign, this.#nowMs(), this.#timing),
    );
  }

  #lose(because: string): void {
    if (this.#deadline !== null) clearTimeout(this.#deadline);
    this.#deadline = null;
    if (this.#reign === null) return;
    this.#leasesEndMs = this.#reign.renewedAtMs + this.#timing.leaseMs;
    this.#reign = null;
    this.#handTo = null;
    this.#ports.log.info('not leading any more', { because });
    this.#ports.onLose(because);
  }

  /** Once for each new trouble: Raft may be without a leader for many beats. */
  #report(error: unknown): void {
    const message = messageOf(error);
    if (message !== this.#trouble) {
      this.#ports.log.warn('the leader record cannot be reached; it is tried again', { message });
    }
    this.#trouble = message;
  }

  async #bounded<T>(answer: Promise<T>): Promise<T> {
    const timer = new AbortController();
    const timeout = pause(this.#timing.callTimeoutMs, undefined, { signal: timer.signal }).then(
      () => {
        const text = `Swarm's store has not answered for ${this.#timing.callTimeoutMs} ms.`;
        throw new OperatingError('transient', 'StoreTimeout', text);
      },
    );
    try {
      return await Promise.race([answer, timeout]);
    } finally {
      timer.abort();
    }
  }

  #nowMs(): number {
    return this.#ports.clock.monotonicMs();
  }
}
