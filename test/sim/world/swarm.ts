/** Docker Swarm as the operator sees it: nodes, services, and the tasks that they have become. */
import { type NodeSeen, type SwarmSeen, type TaskSeen } from '../../../src/core/observation';
import { type Swarm } from '../../../src/core/ports';
import { type ServiceDesired, type SwarmStep } from '../../../src/core/steps';
import { type SimProcess } from '../kernel/process';
import { type Raft } from './raft';

interface Service {
  readonly desired: ServiceDesired;
  version: number;
}

type Changed = Parameters<Swarm['watch']>[0];

/** What Swarm knows, in Raft like everything else. */
export class SimSwarm {
  readonly nodes: NodeSeen[] = [];
  readonly #services = new Map<string, Service>();
  readonly #networks = new Map<string, { readonly cluster: string; readonly subnet: string }>();
  readonly #secrets = new Set<string>();
  readonly #tasks = new Map<string, TaskSeen>();
  readonly #watchers = new Set<{ readonly process: SimProcess; readonly changed: Changed }>();
  readonly #raft: Raft;
  readonly #onService: (desired: ServiceDesired) => void;

  constructor(raft: Raft, onService: (desired: ServiceDesired) => void) {
    this.#raft = raft;
    this.#onService = onService;
  }

  /** The way of one operator to it. */
  portOf(process: SimProcess): Swarm {
    return {
      observe: (cluster) =>
        this.#raft
          .call(process, () => this.#seen(cluster))
          .then((seen) => ({
            ...seen,
            seenAtMs: performance.now(),
          })),
      apply: (step) => this.#raft.call(process, () => this.#apply(step)),
      watch: (changed) => {
        const watcher = { process, changed };
        this.#watchers.add(watcher);
        return () => this.#watchers.delete(watcher);
      },
    };
  }

  setNode(name: string, changes: Partial<NodeSeen>): void {
    const index = this.nodes.findIndex(({ hostname }) => hostname === name);
    const before = this.nodes[index];
    if (before === undefined) return;
    this.nodes[index] = { ...before, ...changes };
    this.announce('node', name);
  }

  setTask(task: TaskSeen): void {
    this.#tasks.set(task.id, task);
    this.announce('container', task.id);
  }

  task(id: string): TaskSeen | null {
    return this.#tasks.get(id) ?? null;
  }

  /** Docker tells whoever listens to its own node. */
  announce(type: string, name: string): void {
    for (const watcher of this.#watchers) {
      const { process, changed } = watcher;
      if (!process.isAlive) this.#watchers.delete(watcher);
      else if (this.#raft.isServing(process.host)) {
        process.after(2, () => changed({ type, name }));
      }
    }
  }

  #seen(cluster: string): SwarmSeen {
    return {
      seenAtMs: 0,
      nodes: [...this.nodes],
      services: [...this.#services].map(([name, { desired, version }]) => ({
        id: name,
        name,
        version,
        spec: desired.spec,
      })),
      networks: [...this.#networks].map(([name, network]) => ({
        id: name,
        name,
        cluster: network.cluster === cluster ? cluster : null,
        driver: 'overlay',
        subnets: [network.subnet],
      })),
      secrets: [...this.#secrets].map((name) => ({ id: name, name })),
      tasks: [...this.#tasks.values()],
    };
  }

  #apply(step: SwarmStep): void {
    switch (step.kind) {
      case 'create-network':
        this.#networks.set(step.network.name, step.network);
        return;
      case 'create-secret':
        this.#secrets.add(step.secret.name);
        return;
      case 'create-service':
      case 'update-service': {
        const { name } = step.service;
        const version = (this.#services.get(name)?.version ?? 0) + 1;
        this.#services.set(name, { desired: step.service, version });
        this.#onService(step.service);
        this.announce('service', name);
        return;
      }
      case 'remove-service':
        this.#services.delete(step.name);
        return;
      case 'remove-secret':
        this.#secrets.delete(step.name);
        return;
      case 'remove-network':
        this.#networks.delete(step.name);
        return;
      case 'remove-volumes':
        throw new Error('no simulated cluster is deleted');
    }
  }
}
