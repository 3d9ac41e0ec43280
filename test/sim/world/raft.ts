/**
 * Swarm's Raft store: records with compare-and-set, one order for all. A call counts at one moment,
 * at the leader, or not at all; whether its answer arrives is another matter.
 */
import { OperatingError } from '../../../src/core/errors';
import { type StoredRecord } from '../../../src/core/ports';
import { type Network } from '../kernel/network';
import { type SimProcess } from '../kernel/process';
import { type Random } from '../kernel/random';
import { type Scheduler } from '../kernel/scheduler';

/** A manager node. */
export interface Manager {
  readonly name: string;
  readonly isUp: () => boolean;
}

export interface RaftOptions {
  readonly scheduler: Scheduler;
  readonly network: Network;
  readonly random: Random;
  readonly managers: readonly Manager[];
  readonly onChange: (name: string) => void;
}

/** Swarm elects much later than Raft could: 10 to 20 s were seen, and less on a good day. */
const ELECTION_MS = { min: 2_000, max: 15_000 };
const COMMIT_MS = { min: 0.5, max: 2 };
/** Docker gives a call up when no leader takes it. */
const GIVEN_UP_MS = { min: 500, max: 15_000 };

export class Raft {
  readonly #options: RaftOptions;
  readonly #records = new Map<string, StoredRecord<unknown>>();
  #index = 0;
  #leader: string | null;
  #isElecting = false;
  /** Share of calls whose answer is lost after they have counted. */
  answerLoss = 0;

  constructor(options: RaftOptions) {
    this.#options = options;
    this.#leader = options.random.pick(options.managers).name;
  }

  get leader(): string | null {
    return this.#leader;
  }

  /** The present truth, for the world and its judges. */
  peek(name: string): unknown {
    return this.#records.get(name)?.value ?? null;
  }

  list(): readonly StoredRecord<unknown>[] {
    return [...this.#records.values()];
  }

  read<T>(name: string): StoredRecord<T> | null {
    return (this.#records.get(name) as StoredRecord<T> | undefined) ?? null;
  }

  create<T>(name: string, value: T): StoredRecord<T> {
    if (this.#records.has(name)) throw stale(`${name} exists already`);
    return this.#write(name, value);
  }

  update<T>({ name, version }: StoredRecord<unknown>, value: T): StoredRecord<T> {
    if (this.#records.get(name)?.version !== version) throw stale('update out of sequence');
    return this.#write(name, value);
  }

  remove({ name }: StoredRecord<unknown>): void {
    this.#records.delete(name);
    this.#options.onChange(name);
  }

  /** `act` in the name of a process: it counts when a leader with a majority takes it. */
  call<T>(caller: SimProcess, act: () => T): Promise<T> {
    const { scheduler, network, random } = this.#options;
    return new Promise((resolve, reject) => {
      const answer = (delayMs: number, deliver: () => void): void => {
        scheduler.after(delayMs, () => caller.after(0, deliver));
      };
      scheduler.after(network.delayMs(), () => {
        if (!this.isServing(caller.host)) {
          const waitMs = random.between(GIVEN_UP_MS.min, GIVEN_UP_MS.max);
          answer(waitMs, () => reject(unavailable()));
          return;
        }
        const delayMs = network.delayMs() + random.between(COMMIT_MS.min, COMMIT_MS.max);
        try {
          const value = act();
          const isLost = random.chance(this.answerLoss);
          if (!isLost) answer(delayMs, () => resolve(value));
          else answer(GIVEN_UP_MS.max, () => reject(unavailable()));
        } catch (error) {
          answer(delayMs, () => reject(error instanceof Error ? error : new Error(String(error))));
        }
      });
    });
  }

  /** Whether a call from this node can reach a leader that can commit. */
  isServing(node: string): boolean {
    const leader = this.#leader;
    if (leader === null || !this.#hasMajority(leader) || !this.#isUp(node)) return false;
    return node === leader || this.#options.network.isOpenBothWays('raft', node, leader);
  }

  /** To be called when a node or a link has changed. */
  reconsider(): void {
    const { scheduler, random, managers } = this.#options;
    const isFine = this.#leader !== null && this.#hasMajority(this.#leader);
    if (isFine || this.#isElecting) return;
    this.#isElecting = true;
    scheduler.after(random.between(ELECTION_MS.min, ELECTION_MS.max), () => {
      this.#isElecting = false;
      if (this.#leader !== null && this.#hasMajority(this.#leader)) return;
      const able = managers.filter(({ name }) => this.#hasMajority(name));
      // Without a majority it is looked at again when something changes.
      this.#leader = able.length === 0 ? null : random.pick(able).name;
    });
  }

  #isUp(node: string): boolean {
    return this.#options.managers.some(({ name, isUp }) => name === node && isUp());
  }

  #hasMajority(node: string): boolean {
    const { managers, network } = this.#options;
    if (!this.#isUp(node)) return false;
    const heard = managers.filter(
      ({ name, isUp }) => isUp() && (name === node || network.isOpenBothWays('raft', node, name)),
    );
    return heard.length * 2 > managers.length;
  }

  #write<T>(name: string, value: T): StoredRecord<T> {
    this.#index += 1;
    const record = { name, id: name, version: this.#index, value };
    this.#records.set(name, record);
    this.#options.onChange(name);
    return record;
  }
}

const stale = (why: string): OperatingError => new OperatingError('stale', 'StaleRecord', why);
const unavailable = (): OperatingError =>
  new OperatingError('transient', 'StoreUnavailable', 'the swarm does not have a leader');
