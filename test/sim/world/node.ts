/** A machine in the Swarm: a manager, with an operator on it and at most one instance. */
import { type TaskSeen } from '../../../src/core/observation';
import { type ServiceDesired } from '../../../src/core/steps';
import { NO_MARKS } from '../../../src/instance/volume';
import { MachineClock, SimProcess } from '../kernel/process';
import { Container, type Volume } from './container';
import { startOperator, type RunningOperator } from './operator';
import { Postgres } from './postgres';
import { type World } from './world';

const OPERATOR_BOOT_MS = { min: 300, max: 1_500 };
const OPERATOR_STOP_MS = 3_000;
/** Swarm's delay before it starts a task again, and what it takes until the container runs. */
const RESTART_MS = { min: 2_000, max: 3_500 };
const CREATE_MS = { min: 300, max: 1_500 };
/** Until a node's agent has told the managers how a container ended. */
const TASK_REPORT_MS = { min: 50, max: 900 };
const AGENT_RETRY_MS = 500;
/** A node that has not been heard of for so long is `down`. */
const DOWN_AFTER_MS = 15_000;
const LOOK_MS = 1_000;
/** Swarm ends what ran on a node that was down, and starts it anew. */
const REPLACED_MS = { min: 1_000, max: 10_000 };

export class SimNode {
  readonly name: string;
  readonly clock: MachineClock;
  readonly #world: World;
  readonly #operatorAddress: string;
  #isUp = true;
  #freezes = 0;
  readonly #frozenContainers: (Container | null)[] = [];
  #operator: RunningOperator | null = null;
  #operatorProcess: SimProcess | null = null;
  #service: ServiceDesired | null = null;
  #volume: Volume | null = null;
  #container: Container | null = null;
  #isContainerWanted = false;
  #silentMs = 0;
  #starts = 0;

  constructor(name: string, operatorAddress: string, world: World) {
    const random = world.random.fork(`clock ${name}`);
    this.name = name;
    this.#operatorAddress = operatorAddress;
    this.#world = world;
    // Two disciplined clocks drift apart by 1000 ppm at most.
    const driftPpm = random.between(-500, 500);
    this.clock = new MachineClock(world.scheduler, random.between(1e4, 1e9), driftPpm);
  }

  get isUp(): boolean {
    return this.#isUp && this.#freezes === 0;
  }

  /** Its kernel answers, whatever its programs do. */
  get isPowered(): boolean {
    return this.#isUp;
  }

  get container(): Container | null {
    return this.#container?.isRunning === true ? this.#container : null;
  }

  get postgres(): Postgres | null {
    return this.#volume?.postgres ?? null;
  }

  get operator(): RunningOperator | null {
    return this.#operator?.process.isAlive === true ? this.#operator : null;
  }

  begin(): void {
    this.#startOperator();
    this.#lookForNode();
  }

  // ── faults ───────────────────────────────────────────────────────────────────────────────

  /** The power is cut. */
  crash(): void {
    if (!this.#isUp) return;
    this.#isUp = false;
    this.#note('loses its power');
    this.#operatorProcess?.kill();
    this.#container?.vanish();
    this.#world.raft.reconsider();
  }

  boot(): void {
    if (this.#isUp) return;
    this.#isUp = true;
    this.#note('boots');
    this.#world.raft.reconsider();
    this.#startOperator();
    this.#startLater(RESTART_MS);
  }

  freeze(): void {
    this.#freezes += 1;
    this.#note('is frozen');
    this.#operatorProcess?.freeze();
    this.#frozenContainers.push(this.container);
    this.freezeContainer();
    this.#world.raft.reconsider();
  }

  thaw(): void {
    this.#freezes -= 1;
    this.#note('is thawed');
    this.#operatorProcess?.thaw();
    const container = this.#frozenContainers.pop() ?? null;
    if (container !== null) this.thawContainer(container);
    this.#world.raft.reconsider();
  }

  freezeContainer(): void {
    this.container?.freeze();
    if (this.#volume !== null) this.#world.frozen(this.#volume.postgres.server, true);
  }

  /** One that has ended meanwhile stays as it is. */
  thawContainer(frozen: Container): void {
    frozen.thaw();
    if (this.#volume !== null) this.#world.frozen(this.#volume.postgres.server, false);
  }

  /** `docker node update --availability drain`: nothing that has a place elsewhere runs here. */
  drain(): void {
    this.#isContainerWanted = false;
    this.#world.swarm.setNode(this.name, { availability: 'drain' });
    this.container?.terminate();
  }

  fill(): void {
    this.#isContainerWanted = this.#service !== null;
    this.#world.swarm.setNode(this.name, { availability: 'active' });
    if (this.container === null) this.#startLater(RESTART_MS);
  }

  killOperator(): void {
    if (this.#operatorProcess?.isAlive !== true) return;
    this.#note('its operator is killed');
    this.#operatorProcess.kill();
    if (this.#isUp) this.#startOperator();
  }

  /** SIGTERM; Swarm starts another one. */
  terminateOperator(): void {
    const process = this.#operatorProcess;
    process?.after(0, () => this.#operator?.terminate());
    this.#world.scheduler.after(OPERATOR_STOP_MS, () => {
      if (process === this.#operatorProcess && this.#isUp) {
        process?.kill();
        this.#startOperator();
      }
    });
  }

  freezeOperator(): SimProcess | null {
    this.#operatorProcess?.freeze();
    return this.#operatorProcess;
  }

  // ── the operator ─────────────────────────────────────────────────────────────────────────

  #startOperator(): void {
    const { scheduler, random } = this.#world;
    const process = this.#newProcess(`operator@${this.name}`, true);
    this.#operatorProcess = process;
    for (let count = 0; count < this.#freezes; count += 1) process.freeze();
    scheduler.after(random.between(OPERATOR_BOOT_MS.min, OPERATOR_BOOT_MS.max), () =>
      process.after(0, () => {
        const { raft, swarm, exchange } = this.#world;
        this.#operator = startOperator({
          process,
          node: this.name,
          holder: `${this.name}-${(this.#starts += 1)}`,
          address: this.#operatorAddress,
          raft,
          swarm: swarm.portOf(process),
          exchange,
          log: this.#world.logOf(process),
          newUid: () => `uid-${this.name}-${this.#starts}`,
        });
        swarm.portOf(process).watch((what) => this.#operator?.operator.changed(what));
      }),
    );
  }

  // ── the instance ─────────────────────────────────────────────────────────────────────────

  /** Swarm has a service for this node. */
  run(service: ServiceDesired): void {
    this.#service = service;
    this.#isContainerWanted = true;
    this.#volume ??= {
      postgres: new Postgres(service.server, this.name, this.#world.postgresWorld(service.server)),
      tag: null,
      marks: NO_MARKS,
      divergence: null,
      oldCopy: null,
    };
    if (this.container === null) this.#startLater(CREATE_MS);
  }

  #startLater({ min, max }: typeof CREATE_MS): void {
    const { scheduler, random, raft } = this.#world;
    scheduler.after(random.between(min, max), () => {
      if (!this.#isContainerWanted || this.container !== null || !this.isPowered) return;
      if (raft.isServing(this.name)) this.#startContainer();
      else this.#startLater({ min, max });
    });
  }

  #startContainer(): void {
    const world = this.#world;
    const service = this.#service;
    const volume = this.#volume;
    if (service === null || volume === null) return;
    const taskId = world.newId('task');
    const manager: { process: SimProcess | null } = { process: null };
    this.#container = new Container({
      cluster: world.cluster,
      taskId,
      bootId: world.newId('boot'),
      volume,
      operators: world.operatorAddresses,
      address: world.addressOf(service.server),
      addressOf: (server) => world.addressOf(server),
      scheduler: world.scheduler,
      exchange: world.exchange,
      world: world.postgresWorld(service.server),
      random: world.random.fork(taskId),
      log: world.logOf(() => manager.process),
      newProcess: (name, runsCode) => this.#newProcess(name, runsCode),
      newSystemIdentifier: () => world.newId('system'),
      onReport: (report) => world.happen({ kind: 'reported', report }),
      onExit: () => this.#exited(taskId),
    });
    manager.process = this.#container.manager;
    world.swarm.setTask({ ...this.#task(taskId), state: 'running' });
  }

  #exited(taskId: string): void {
    this.#note(`the container of ${taskId} has ended`);
    this.#reportExit(taskId, TASK_REPORT_MS);
    if (this.#isUp) this.#startLater(RESTART_MS);
  }

  /** When the node can be heard. */
  #reportExit(taskId: string, { min, max }: typeof TASK_REPORT_MS): void {
    const { scheduler, random, raft, swarm } = this.#world;
    scheduler.after(random.between(min, max), () => {
      if (raft.isServing(this.name)) {
        const task = swarm.task(taskId) ?? this.#task(taskId);
        swarm.setTask({ ...task, state: 'failed', error: 'task: non-zero exit (137)' });
      } else this.#reportExit(taskId, { min: AGENT_RETRY_MS, max: AGENT_RETRY_MS });
    });
  }

  #task(id: string): TaskSeen {
    return {
      id,
      service: this.#service?.name ?? '',
      nodeId: `id-${this.name}`,
      state: 'pending',
      desiredState: 'running',
      error: null,
      createdAt: new Date(this.#world.scheduler.nowMs).toISOString(),
    };
  }

  /** What the managers believe of this node. */
  #lookForNode(): void {
    const { scheduler, raft, swarm, random } = this.#world;
    scheduler.after(LOOK_MS, () => {
      const isHeard = this.isUp && raft.isServing(this.name);
      this.#silentMs = isHeard ? 0 : this.#silentMs + LOOK_MS;
      const seen = swarm.nodes.find(({ hostname }) => hostname === this.name);
      if (!isHeard && this.#silentMs >= DOWN_AFTER_MS && seen?.state === 'ready') {
        // Without a majority nobody is left to say so.
        if (raft.leader !== null && raft.isServing(raft.leader)) {
          swarm.setNode(this.name, { state: 'down' });
        }
      } else if (isHeard && seen?.state === 'down') {
        swarm.setNode(this.name, { state: 'ready' });
        const old = this.container;
        scheduler.after(random.between(REPLACED_MS.min, REPLACED_MS.max), () => old?.terminate());
      }
      this.#lookForNode();
    });
  }

  #newProcess(name: string, runsCode: boolean): SimProcess {
    const { scheduler } = this.#world;
    const process = new SimProcess(scheduler, {
      name,
      host: this.name,
      clock: this.clock,
      runsCode,
    });
    return process;
  }

  #note(text: string): void {
    this.#world.trace(this.name, () => text);
  }
}
