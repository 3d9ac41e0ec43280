/** Everything that there is: three machines, the network between them, and what runs on them. */
import { type Log } from '../../../src/adapters/log';
import { OPERATOR_PORT, specRecordName, stateRecordName } from '../../../src/core/names';
import { type Spec, type SpecRecord } from '../../../src/core/spec';
import { type ClusterState } from '../../../src/core/state';
import { Network } from '../kernel/network';
import { type SimProcess } from '../kernel/process';
import { Random } from '../kernel/random';
import { Scheduler } from '../kernel/scheduler';
import { enterWorld } from '../kernel/virtual-time';
import { enterExchange, Exchange } from './exchange';
import { type Happening, type Listener, type ServerTruth } from './journal';
import { SimNode } from './node';
import { type Postgres, type PostgresWorld } from './postgres';
import { Raft } from './raft';
import { SimSwarm } from './swarm';

const NODES = ['n1', 'n2', 'n3'];

export type Tracer = (atMs: number, who: string, text: string) => void;

export interface WorldOptions {
  readonly seed: number;
  readonly spec: Spec;
  readonly trace: Tracer | null;
}

export class World {
  readonly random: Random;
  readonly scheduler = new Scheduler();
  readonly network: Network;
  readonly raft: Raft;
  readonly swarm: SimSwarm;
  readonly exchange: Exchange;
  readonly nodes: readonly SimNode[];
  readonly cluster: string;
  readonly operatorAddresses: readonly string[];
  readonly #trace: Tracer | null;
  readonly #listeners: Listener[] = [];
  readonly #thawedAtMs = new Map<string, number>();
  #lastState: ClusterState | null = null;
  #ids = 0;

  constructor({ seed, spec, trace }: WorldOptions) {
    this.random = new Random(seed);
    this.#trace = trace;
    this.cluster = spec.cluster;
    this.network = new Network(this.scheduler, this.random.fork('network'));
    this.nodes = NODES.map((name, index) => new SimNode(name, operatorAddress(index), this));
    this.operatorAddresses = NODES.map(
      (_, index) => `${operatorAddress(index)}:${String(OPERATOR_PORT)}`,
    );
    this.raft = new Raft({
      scheduler: this.scheduler,
      network: this.network,
      random: this.random.fork('raft'),
      managers: this.nodes.map((node) => ({ name: node.name, isUp: () => node.isUp })),
      onChange: (name) => this.#recordChanged(name),
    });
    this.swarm = new SimSwarm(this.raft, (service) => {
      const node = this.nodes.find(({ name }) => name === nodeOf(service.server));
      node?.run(service);
    });
    this.swarm.nodes.push(
      ...NODES.map((hostname, index) => ({
        id: `id-${hostname}`,
        hostname,
        labels: {},
        state: 'ready',
        availability: 'active',
        isManager: true,
        address: operatorAddress(index),
      })),
    );
    this.exchange = new Exchange({
      scheduler: this.scheduler,
      network: this.network,
      hostOf: (address) => `n${address.split('.').at(-1) ?? ''}`,
      isUp: (host) => this.node(host).isPowered,
    });
    enterWorld(this.scheduler);
    enterExchange(this.exchange);
    this.raft.create(specRecordName(spec.cluster), recordOf(spec, 1));
    for (const node of this.nodes) node.begin();
  }

  // ── looking ──────────────────────────────────────────────────────────────────────────────

  node(name: string): SimNode {
    const node = this.nodes.find((each) => each.name === name);
    if (node === undefined) throw new Error(`there is no ${name}`);
    return node;
  }

  /** null where no container has ever run. */
  postgresOf(server: string): Postgres | null {
    return this.nodes.find(({ postgres }) => postgres?.server === server)?.postgres ?? null;
  }

  get state(): ClusterState | null {
    return this.raft.peek(stateRecordName(this.cluster)) as ClusterState | null;
  }

  get spec(): Spec {
    const record = this.raft.peek(specRecordName(this.cluster)) as SpecRecord | null;
    if (record === null) throw new Error('the spec is gone');
    return record.spec;
  }

  /** The truth about every server that has ever run. */
  servers(): readonly ServerTruth[] {
    return this.nodes.flatMap(({ postgres }) => {
      if (postgres === null) return [];
      const isFrozen = postgres.process?.isFrozen === true;
      return [
        {
          name: postgres.server,
          canAcknowledge: postgres.isWritable && !isFrozen,
          end: postgres.data?.end ?? null,
          isFrozen,
          thawedAtMs: this.#thawedAtMs.get(postgres.server) ?? -Infinity,
        },
      ];
    });
  }

  // ── judging ──────────────────────────────────────────────────────────────────────────────

  listen(listener: Listener): void {
    this.#listeners.push(listener);
  }

  happen(happening: Happening): void {
    if (this.#trace !== null) this.#traceHappening(happening);
    for (const listener of this.#listeners) listener(happening, this.scheduler.nowMs);
  }

  trace(who: string, text: () => string): void {
    this.#trace?.(this.scheduler.nowMs, who, text());
  }

  frozen(server: string, isFrozen: boolean): void {
    if (!isFrozen) this.#thawedAtMs.set(server, this.scheduler.nowMs);
    this.happen({ kind: isFrozen ? 'frozen' : 'thawed', server });
  }

  // ── changing ─────────────────────────────────────────────────────────────────────────────

  /** A person applies another spec. */
  changeSpec(change: (spec: Spec) => Spec): void {
    const record = this.raft.read<SpecRecord>(specRecordName(this.cluster));
    if (record === null) return;
    const { generation, spec } = record.value;
    this.raft.update(record, recordOf(change(spec), generation + 1));
  }

  /** What a person changes in the state by a verb, as the leader would write it. */
  changeState(change: (state: ClusterState) => ClusterState): void {
    const record = this.raft.read<ClusterState>(stateRecordName(this.cluster));
    if (record !== null) this.raft.update(record, change(record.value));
  }

  newId(what: string): string {
    this.#ids += 1;
    return `${what}-${String(this.#ids)}`;
  }

  addressOf(server: string): string {
    return `10.9.1.${server.slice(-1)}`;
  }

  logOf(process: SimProcess | (() => SimProcess | null)): Log {
    const say = (level: string, message: string, fields?: object): void => {
      if (this.#trace === null) return;
      const who = typeof process === 'function' ? process() : process;
      this.trace(who?.name ?? '?', () => `${level} ${message} ${JSON.stringify(fields ?? {})}`);
    };
    const at =
      (level: string) =>
      (message: string, fields?: object): void =>
        say(level, message, fields);
    const log = {
      log: say,
      error: at('error'),
      warn: at('warn'),
      info: at('info'),
      debug: at('debug'),
    };
    return log as unknown as Log;
  }

  postgresWorld(server: string): PostgresWorld {
    return {
      network: this.network,
      random: this.random.fork(`postgres ${server}`),
      find: (name) => this.postgresOf(name),
      happen: (happening) => this.happen(happening),
      trace: (who, text) => this.trace(who, text),
    };
  }

  #recordChanged(name: string): void {
    if (name === stateRecordName(this.cluster) && this.state !== null) {
      const before = this.#lastState;
      this.#lastState = this.state;
      this.happen({ kind: 'state', before, after: this.state });
    }
    if (name === specRecordName(this.cluster)) {
      const record = this.raft.peek(name) as SpecRecord | null;
      if (record !== null) this.happen({ kind: 'spec', record });
    }
    this.swarm.announce('config', name);
  }

  #traceHappening(happening: Happening): void {
    switch (happening.kind) {
      case 'acknowledged':
      case 'reported':
        return;
      case 'decided': {
        const { rule, because, steps } = happening.decision;
        if (steps.length > 0) this.trace(`operator@${happening.node}`, () => `${rule}: ${because}`);
        return;
      }
      case 'state': {
        const { term, primary, change, contract, sync, leaderEpoch, paused } = happening.after;
        const text = JSON.stringify({ leaderEpoch, term, primary, change, contract, sync, paused });
        this.trace('store', () => `state ${text}`);
        return;
      }
      case 'spec':
        this.trace('store', () => `spec generation ${happening.record.generation}`);
        return;
      default:
        this.trace(happening.server, () => happening.kind);
    }
  }
}

const operatorAddress = (index: number): string => `10.9.0.${String(index + 1)}`;

/** Server `pg1` is tied to node `n1`. */
const nodeOf = (server: string): string => `n${server.slice(-1)}`;

const recordOf = (spec: Spec, generation: number): SpecRecord => ({
  generation,
  spec,
  document: {},
  source: { kind: 'apply', by: 'simulation' },
  appliedAt: '2026-01-01T00:00:00.000Z',
  appliedDigests: [],
  deletion: null,
});
