/** A lab: a real Docker Swarm on this machine that can be broken in every way a real one can. */
import { ensureBaseImage } from './base-image';
import { docker, tryDocker, type Docker } from './docker';
import { ensureDaemon, findDaemon, stopPrivateDaemon } from './host-docker';
import { buildNodeImage, buildProductImage, productImage } from './images';
import {
  createNode,
  ensureNetwork,
  listLabs,
  listNodes,
  numberOf,
  removeAll,
  resourceName,
  type LabNode,
} from './nodes';
import { block, blockedPeers, isPlugged, plug, unblock, unplug, type Port } from './partition';
import { note, step } from './progress';
import { attempt, LabError, type Result, type RunOptions } from './shell';
import {
  absentNodes,
  answeringManager,
  daemonOf,
  formSwarm,
  swarmNodes,
  waitForDaemon,
  waitUntilReady,
} from './swarm';
import { saveImage, sendImage } from './transfer';

/** A node by number or by name: 1 or 'n1'. */
export type NodeRef = number | string;

export interface UpOptions {
  readonly nodes?: number;
  /**
   * The product image in the nodes: built from src and loaded (`build`, the default), loaded as it is
   * (`existing`), or left out (`none`).
   */
  readonly image?: 'build' | 'existing' | 'none';
  /** A folder with a compiled program to put into the image instead of src. */
  readonly program?: string | undefined;
}

export interface NodeStatus {
  readonly name: string;
  readonly address: string;
  /** Docker's word for the container: running, paused, exited. */
  readonly container: string;
  /** `up`, `cut off`, or which nodes it is cut from. */
  readonly network: string;
  readonly swarm: string;
  readonly manager: string;
}

const nodesMax = 9;

export class Lab {
  readonly name: string;
  readonly #daemon: Docker;
  #nodes: readonly LabNode[] = [];

  private constructor(name: string, daemon: Docker) {
    this.name = name;
    this.#daemon = daemon;
  }

  /** A handle on the lab of this name, whether it is up or not; starts a Docker daemon if needed. */
  static async open(name = 'lab'): Promise<Lab> {
    checkName(name);
    const lab = new Lab(name, await ensureDaemon());
    await lab.#look();
    return lab;
  }

  /** A handle on the lab of this name, or null when no Docker daemon runs that could carry it. */
  static async find(name = 'lab'): Promise<Lab | null> {
    checkName(name);
    const daemon = await findDaemon();
    if (daemon === null) return null;
    const lab = new Lab(name, daemon);
    await lab.#look();
    return lab;
  }

  /** Creates what is missing, starts what is stopped, joins the Swarm and loads the product image. */
  async up(options: UpOptions = {}): Promise<void> {
    const wanted = options.nodes ?? Math.max(this.#nodes.length, 3);
    if (!Number.isInteger(wanted) || wanted < 1 || wanted > nodesMax) {
      throw new LabError(`A lab has 1 to ${nodesMax} nodes, not ${wanted}.`);
    }
    const image = options.image ?? 'build';
    // First of all, so that the end of another lab does not stop the daemon under this one.
    await ensureNetwork(this.#daemon, this.name);
    await ensureBaseImage(this.#daemon);
    const work = [
      this.#startNodes(wanted),
      image === 'build'
        ? buildProductImage(this.#daemon, { program: options.program })
        : Promise.resolve(''),
    ];
    const ended = await Promise.allSettled(work);
    for (const each of ended) if (each.status === 'rejected') throw each.reason;
    if (image !== 'none') await this.load();
  }

  /** Removes everything of this lab; the private daemon goes with the last lab. */
  async down(): Promise<void> {
    await step(`removing the lab ${this.name}`, () => removeAll(this.#daemon, this.name));
    this.#nodes = [];
    if ((await listLabs(this.#daemon)).length === 0) await stopPrivateDaemon();
  }

  /** Brings the product image into every running node; the names of those that did not have it. */
  async load(image: string = productImage): Promise<string[]> {
    return step(`loading ${image} into the nodes`, async () => {
      const saved = await saveImage(this.#daemon, image);
      await this.#look();
      const running = this.#nodes.filter((node) => node.state === 'running');
      const changed = await Promise.all(running.map((node) => sendImage(saved, daemonOf(node))));
      return running.filter((_, index) => changed[index]).map((node) => node.name);
    });
  }

  /** Ends the node at once, as a power cut would; its data stays. */
  async kill(ref: NodeRef): Promise<void> {
    await docker(this.#daemon, ['kill', this.#node(ref).container]);
  }

  /** Starts a killed node (and plugs it in, since it could not start otherwise). */
  async start(ref: NodeRef): Promise<void> {
    const node = this.#node(ref);
    await plug(this.#daemon, this.#port(node));
    await docker(this.#daemon, ['start', node.container]);
    await waitForDaemon(node);
  }

  /** Cuts a node off: from all, or from one node, or (one-way) only its own packets to that node. */
  async cut(ref: NodeRef, options: { from?: NodeRef; oneWay?: boolean } = {}): Promise<void> {
    const node = this.#node(ref);
    if (options.from === undefined) {
      if (options.oneWay === true) {
        throw new LabError('A one-way cut needs the other node: --from M.');
      }
      await unplug(this.#daemon, this.#port(node));
      return;
    }
    const other = this.#node(options.from);
    if (other === node) throw new LabError(`${node.name} cannot be cut from itself.`);
    const oneWay = options.oneWay ?? false;
    await block(this.#daemon, node.container, { peer: other.address, oneWay });
  }

  /** Repairs the node's network: plugs it in again and removes every filter that concerns it. */
  async heal(ref: NodeRef): Promise<void> {
    const node = this.#node(ref);
    await plug(this.#daemon, this.#port(node));
    await this.#look();
    for (const other of this.#nodes.filter((each) => each.state === 'running')) {
      await unblock(
        this.#daemon,
        other.container,
        other.name === node.name ? undefined : node.address,
      );
    }
  }

  /** Stops every process of the node, its containers included, without ending them. */
  async freeze(ref: NodeRef): Promise<void> {
    await docker(this.#daemon, ['pause', this.#node(ref).container]);
  }

  /** Lets a frozen node go on. */
  async thaw(ref: NodeRef): Promise<void> {
    await docker(this.#daemon, ['unpause', this.#node(ref).container]);
  }

  /** Undoes every fault: thaws, starts, heals, and waits until the Swarm is whole. */
  async repair(): Promise<void> {
    await this.#look();
    for (const node of this.#nodes) {
      if (node.state === 'paused') await this.thaw(node.name);
      if (node.state === 'exited' || node.state === 'created') await this.start(node.name);
    }
    for (const node of this.#nodes) await this.heal(node.name);
    await waitUntilReady(this.#nodes).catch(async (error: unknown) => {
      await this.#restartAbsent(error);
      await waitUntilReady(this.#nodes);
    });
  }

  /** Docker's agent was seen to stay away for good after a quorum had been lost and found again. */
  async #restartAbsent(error: unknown): Promise<void> {
    const absent = await absentNodes(this.#nodes);
    if (absent.length === 0) throw error;
    for (const { name } of absent) {
      note(`${name} does not come back to the Swarm by itself: switching it off and on`);
      await this.kill(name);
      await this.start(name);
    }
  }

  /** Runs a command inside a node; works also while the node is cut off. */
  exec(ref: NodeRef, argv: readonly string[], options: RunOptions = {}): Promise<Result> {
    const input = options.input === undefined ? [] : ['--interactive'];
    const args = ['exec', ...input, this.#node(ref).container, ...argv];
    return tryDocker(this.#daemon, args, options);
  }

  /** The DOCKER_HOST of a node. */
  docker(ref: NodeRef): string {
    return daemonOf(this.#node(ref)).host ?? '';
  }

  /** The address of a node, where its published ports are. */
  address(ref: NodeRef): string {
    return this.#node(ref).address;
  }

  /** The container of a node, on the daemon that `hostDocker` names. */
  container(ref: NodeRef): string {
    return this.#node(ref).container;
  }

  /** The daemon that carries the nodes. */
  get hostDocker(): Docker {
    return this.#daemon;
  }

  /** The names of the nodes, in order. */
  nodes(): string[] {
    return this.#nodes.map((node) => node.name);
  }

  /** The DOCKER_HOST of a manager that answers now, or null. */
  async manager(): Promise<string | null> {
    await this.#look();
    const running = this.#nodes.filter((node) => node.state === 'running');
    const found = await answeringManager(running);
    return found === null ? null : daemonOf(found).host;
  }

  /** Runs a docker command on a manager that answers. */
  async onManager(args: readonly string[], options: RunOptions = {}): Promise<Result> {
    const host = await this.manager();
    if (host === null) throw new LabError(`No manager of the lab ${this.name} answers.`);
    return attempt(['docker', '-H', host, ...args], options);
  }

  /** What is known of every node, as an answering manager sees it. */
  async status(): Promise<NodeStatus[]> {
    await this.#look();
    const running = this.#nodes.filter((node) => node.state === 'running');
    const manager = await answeringManager(running);
    const seen = manager === null ? [] : await swarmNodes(manager);
    return Promise.all(
      this.#nodes.map(async (node) => {
        const row = seen.find((each) => each.hostname === node.name);
        return {
          name: node.name,
          address: node.address,
          container: node.state,
          network: await this.#networkState(node),
          swarm: row?.state ?? 'unknown',
          manager: row?.manager ?? 'unknown',
        };
      }),
    );
  }

  async #networkState(node: LabNode): Promise<string> {
    if (!(await isPlugged(this.#daemon, this.#port(node)))) return 'cut off';
    if (node.state !== 'running') return 'up';
    const peers = await blockedPeers(this.#daemon, node.container);
    const names = peers.map(
      (peer) => this.#nodes.find((each) => each.address === peer)?.name ?? peer,
    );
    return names.length === 0 ? 'up' : `cut from ${names.join(', ')}`;
  }

  async #startNodes(wanted: number): Promise<void> {
    const image = await buildNodeImage(this.#daemon);
    await step(`starting ${wanted} node${wanted === 1 ? '' : 's'}`, async () => {
      const range = await ensureNetwork(this.#daemon, this.name);
      const present = new Set(this.nodes());
      const missing = Array.from({ length: wanted }, (_, index) => `n${index + 1}`);
      for (const name of missing.filter((each) => !present.has(each))) {
        await createNode(this.#daemon, { lab: this.name, name, range, image });
      }
      await this.#look();
      for (const node of this.#nodes) {
        if (node.state === 'paused') await this.thaw(node.name);
        if (node.state !== 'running') await this.start(node.name);
      }
      await Promise.all(this.#nodes.map(waitForDaemon));
    });
    await this.#look();
    await step('forming the Swarm', () => formSwarm(this.#nodes));
  }

  async #look(): Promise<void> {
    this.#nodes = await listNodes(this.#daemon, this.name);
  }

  #node(ref: NodeRef): LabNode {
    const number = typeof ref === 'number' ? ref : numberOf(ref);
    const node = this.#nodes.find((each) => numberOf(each.name) === number);
    if (node !== undefined) return node;
    throw new LabError(
      this.#nodes.length === 0
        ? `No lab "${this.name}" is up: run \`npm run lab -- up --name ${this.name}\`.`
        : `The lab ${this.name} has no node ${ref}; it has ${this.nodes().join(', ')}.`,
    );
  }

  #port(node: LabNode): Port {
    return {
      container: node.container,
      network: resourceName(this.name),
      address: node.address,
    };
  }
}

function checkName(name: string): void {
  if (!/^[a-z][a-z0-9]{0,19}$/.test(name)) {
    throw new LabError(
      `A lab's name is a lower-case letter and up to 19 more letters and digits, not "${name}".`,
    );
  }
}
