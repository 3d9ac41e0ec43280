/**
 * One start of an instance: the real instance manager, its guard and PostgreSQL. When the first of
 * them ends, everything ends, as in a container.
 */
import { ControlClient } from '../../../src/adapters/control/client';
import { PeerClient } from '../../../src/adapters/control/peer-client';
import { type Log } from '../../../src/adapters/log';
import { PEER_PORT } from '../../../src/core/names';
import { type Divergence, type PromiseRequest, type VolumeTag } from '../../../src/core/protocol';
import { Instance } from '../../../src/instance/instance';
import { type VolumeMarks } from '../../../src/instance/volume';
import { type SimProcess } from '../kernel/process';
import { type Random } from '../kernel/random';
import { type Scheduler } from '../kernel/scheduler';
import { type Exchange } from './exchange';
import { SimGuard } from './guard';
import { SimLocalPostgres } from './local-postgres';
import { perform } from './perform';
import { type Data, type Postgres, type PostgresWorld } from './postgres';

/** What outlives the container. */
export interface Volume {
  readonly postgres: Postgres;
  tag: VolumeTag | null;
  marks: VolumeMarks;
  divergence: Divergence | null;
  /** Kept until the new copy has been seen streaming. */
  oldCopy: Data | null;
}

export interface ContainerOptions {
  readonly cluster: string;
  readonly taskId: string;
  readonly bootId: string;
  readonly volume: Volume;
  readonly operators: readonly string[];
  readonly address: string;
  readonly addressOf: (server: string) => string;
  readonly scheduler: Scheduler;
  readonly exchange: Exchange;
  readonly world: PostgresWorld;
  readonly random: Random;
  readonly log: Log;
  readonly newProcess: (name: string, runsCode: boolean) => SimProcess;
  readonly newSystemIdentifier: () => string;
  readonly onReport: (report: Parameters<ControlClient['beat']>[0]) => void;
  readonly onExit: () => void;
}

/** Node starts, the volume is looked at. */
const BOOT_MS = { min: 200, max: 700 };
const STOP_GRACE_MS = 60_000;
/** From the end of PID 1 until the kernel has ended everything else. */
const KERNEL_MS = { min: 0, max: 30 };

export class Container {
  readonly taskId: string;
  readonly manager: SimProcess;
  readonly #options: ContainerOptions;
  readonly #guardProcess: SimProcess;
  #guard: SimGuard | null = null;
  #instance: Instance | null = null;
  #isRunning = true;
  #freezes = 0;

  constructor(options: ContainerOptions) {
    const { newProcess, volume, random, taskId } = options;
    this.#options = options;
    this.taskId = taskId;
    const { server } = volume.postgres;
    this.manager = newProcess(`instance@${server}`, true);
    this.#guardProcess = newProcess(`guard@${server}`, false);
    this.manager.after(random.between(BOOT_MS.min, BOOT_MS.max), () => void this.#run());
  }

  get isRunning(): boolean {
    return this.#isRunning;
  }

  get isFrozen(): boolean {
    return this.#freezes > 0;
  }

  // ── faults ───────────────────────────────────────────────────────────────────────────────

  /** `docker kill`, or SIGKILL to the instance manager. */
  kill(): void {
    if (!this.#isRunning) return;
    this.manager.kill();
    const { scheduler, random } = this.#options;
    // The kernel does its work also where the processes themselves stand still.
    scheduler.after(random.between(KERNEL_MS.min, KERNEL_MS.max), () => this.vanish());
  }

  /** The machine is gone. */
  vanish(): void {
    if (!this.#isRunning) return;
    this.#isRunning = false;
    this.manager.kill();
    this.#guardProcess.kill();
    this.#options.volume.postgres.vanish();
    this.#options.onExit();
  }

  /** SIGTERM. */
  terminate(): void {
    this.manager.after(0, () => this.#instance?.terminate());
    this.manager.after(STOP_GRACE_MS, () => this.kill());
  }

  killGuard(): void {
    this.#guard?.killed();
  }

  /** Every process of it, those of PostgreSQL included. */
  freeze(): void {
    this.#freezes += 1;
    for (const process of this.#processes()) process.freeze();
  }

  thaw(): void {
    this.#freezes -= 1;
    for (const process of this.#processes()) process.thaw();
  }

  #processes(): readonly SimProcess[] {
    const { process } = this.#options.volume.postgres;
    return [this.manager, this.#guardProcess, ...(process === null ? [] : [process])];
  }

  // ── life ─────────────────────────────────────────────────────────────────────────────────

  async #run(): Promise<void> {
    const { cluster, taskId, bootId, volume, operators, addressOf, log } = this.#options;
    const { server } = volume.postgres;
    const key = Buffer.alloc(0);
    const control = new ControlClient({
      cluster,
      key,
      operators: operators.join(','),
      operatorPort: 0,
    });
    const peers = new PeerClient({
      cluster,
      key,
      resolve: (peer) => Promise.resolve([addressOf(peer)]),
    });
    const instance = new Instance({
      identity: { cluster, server, bootId },
      taskId,
      volume: volume.tag === null ? { kind: 'empty' } : { kind: 'tagged', tag: volume.tag },
      remembered: { marks: volume.marks, divergence: volume.divergence },
      stopGraceMs: STOP_GRACE_MS,
      control: this.#observed(control),
      peers,
      log,
      ownAddress: () => null,
      assemble: (state, onChange) => this.#assemble(state, onChange),
    });
    this.#instance = instance;
    this.#listen(instance);
    await instance.run();
    this.vanish();
  }

  #assemble(
    state: Parameters<ConstructorParameters<typeof Instance>[0]['assemble']>[0],
    onChange: () => void,
  ): ReturnType<ConstructorParameters<typeof Instance>[0]['assemble']> {
    const { cluster, volume, world, random, newProcess, newSystemIdentifier } = this.#options;
    const model = volume.postgres;
    const postgres = new SimLocalPostgres({
      model,
      manager: this.manager,
      newProcess: () => newProcess(`postgres@${model.server}`, false),
      onChange,
    });
    this.#guard = new SimGuard(this.#guardProcess, this.manager, model, onChange);
    const performer = {
      world,
      random,
      cluster,
      volume,
      model,
      postgres,
      state,
      newSystemIdentifier,
    };
    return {
      postgres,
      guard: this.#guard,
      room: { report: () => null },
      archive: { report: () => null, know: () => undefined, pause: () => undefined },
      backups: {
        report: () => ({ backup: null, backups: [] }),
        obey: () => undefined,
        load: () => undefined,
        know: () => undefined,
        guide: () => undefined,
      },
      rehearsals: {
        report: () => ({ rehearsal: null }),
        obey: () => undefined,
        giveWay: () => undefined,
      },
      restoring: { report: () => ({ prospect: null, restored: null }), ask: () => undefined },
      perform: (action, signal) => perform(performer, action, signal),
    };
  }

  /** The judges know when a report was made, whenever it arrives. */
  #observed(control: ControlClient): ConstructorParameters<typeof Instance>[0]['control'] {
    return {
      beat: (report) => {
        this.#options.onReport(report);
        return control.beat(report);
      },
      watch: (question, signal) => control.watch(question, signal),
      close: () => control.close(),
    };
  }

  #listen(instance: Instance): void {
    const { exchange, address } = this.#options;
    exchange.listen(
      { host: address, port: PEER_PORT },
      {
        process: this.manager,
        channel: 'peers',
        answer: ({ body }) => {
          const promise = instance.promise(JSON.parse(body) as PromiseRequest);
          return Promise.resolve({ status: 200, body: JSON.stringify(promise) });
        },
      },
    );
  }
}
