/** A model of the guard: a process of its own beside the instance manager, in the same container. */
import { type Guard } from '../../../src/instance/guard';
import { type SimProcess } from '../kernel/process';
import { type SimEvent } from '../kernel/scheduler';
import { type Postgres } from './postgres';

/** Node needs so long to start. */
const BOOT_MS = 120;

export class SimGuard implements Guard {
  readonly #process: SimProcess;
  readonly #manager: SimProcess;
  readonly #postgres: Postgres;
  readonly #onChange: () => void;
  #isReady = false;
  #deadlineMs = Infinity;
  #event: SimEvent | null = null;

  constructor(process: SimProcess, manager: SimProcess, postgres: Postgres, onChange: () => void) {
    this.#process = process;
    this.#manager = manager;
    this.#postgres = postgres;
    this.#onChange = onChange;
    this.#boot();
  }

  get isAlive(): boolean {
    return this.#isReady;
  }

  hold(deadlineMs: number): void {
    if (deadlineMs === this.#deadlineMs) return;
    this.#deadlineMs = deadlineMs;
    if (this.#isReady) this.#arm();
  }

  release(): void {
    this.hold(Infinity);
  }

  close(): void {
    this.#isReady = false;
    this.#disarm();
  }

  /** SIGKILL; the instance manager starts another one. */
  killed(): void {
    if (!this.#isReady) return;
    this.close();
    this.#manager.after(1, () => {
      this.#onChange();
      this.#boot();
    });
  }

  #boot(): void {
    this.#process.after(BOOT_MS, () => {
      this.#isReady = true;
      this.#arm();
      this.#manager.after(1, () => this.#onChange());
    });
  }

  #arm(): void {
    this.#disarm();
    if (this.#deadlineMs === Infinity) return;
    const { clock } = this.#process;
    const leftMs = clock.trueMs(this.#deadlineMs - clock.monotonicMs());
    this.#event = this.#process.after(leftMs, () => this.#postgres.kill('the guard kills it'));
  }

  #disarm(): void {
    if (this.#event !== null) this.#event.isCancelled = true;
    this.#event = null;
  }
}
