/**
 * What goes wrong. Every fault begins at some moment and returns how it is healed; those that heal
 * by themselves (a killed process is started again by Swarm) return nothing to do.
 */
import { type SynchronousSpec } from '../../src/core/spec';
import { type Channel } from './kernel/network';
import { type Random } from './kernel/random';
import { type SimNode } from './world/node';
import { type World } from './world/world';

export interface Fault {
  readonly name: string;
  /** How much more often than others. */
  readonly weight: number;
  readonly begin: (world: World, random: Random) => Heal;
}

export type Heal = () => void;

const NOTHING: Heal = () => undefined;

/** The machine of the recorded primary twice as often as any other. */
function someNode(world: World, random: Random): SimNode {
  const primary = world.state?.primary;
  const node = world.nodes.find(({ postgres }) => postgres?.server === primary);
  return node !== undefined && random.chance(0.5) ? node : random.pick(world.nodes);
}

const nodeOfServer = (world: World, random: Random): SimNode => {
  const node = someNode(world, random);
  return node.postgres === null ? random.pick(world.nodes.slice(0, 2)) : node;
};

const leadingNode = (world: World): SimNode | undefined =>
  world.nodes.find(({ operator }) => operator?.leadership.isLeading());

/** In one direction, or in both. */
function cutNode(
  world: World,
  node: string,
  channels: readonly Channel[] | null,
  random: Random,
): Heal {
  const way = random.pick(['in', 'out', 'both', 'both', 'both'] as const);
  const heals = [
    ...(way === 'out' ? [] : [world.network.cut({ channels, from: null, to: node })]),
    ...(way === 'in' ? [] : [world.network.cut({ channels, from: node, to: null })]),
  ];
  world.raft.reconsider();
  world.trace('fault', () => `${node} is cut off (${channels?.join(', ') ?? 'all'}; ${way})`);
  return () => {
    for (const heal of heals) heal();
    world.raft.reconsider();
  };
}

/** What a spec may ask for. */
export const SYNCHRONOUS: readonly (SynchronousSpec | null)[] = [
  null,
  { mode: 'any', number: 1, durability: 'preferred' },
  { mode: 'any', number: 1, durability: 'required' },
  { mode: 'first', number: 1, durability: 'preferred' },
];

const fault = (name: string, weight: number, begin: Fault['begin']): Fault => ({
  name,
  weight,
  begin,
});

export const FAULTS: readonly Fault[] = [
  fault('postmaster killed', 2, (world, random) => {
    nodeOfServer(world, random).postgres?.killPostmaster();
    return NOTHING;
  }),
  fault('all of PostgreSQL killed', 1, (world, random) => {
    nodeOfServer(world, random).postgres?.kill('a fault');
    return NOTHING;
  }),
  fault('container killed', 2, (world, random) => {
    nodeOfServer(world, random).container?.kill();
    return NOTHING;
  }),
  fault('primary killed while a standby stands still', 2, (world, random) => {
    const primary = world.nodes.find(({ postgres }) => postgres?.server === world.state?.primary);
    const others = world.nodes.filter((node) => node !== primary && node.container !== null);
    primary?.container?.kill();
    if (others.length === 0) return NOTHING;
    const node = random.pick(others);
    const { container } = node;
    node.freezeContainer();
    return () => {
      if (container !== null) node.thawContainer(container);
    };
  }),
  fault('primary killed while its standbys lag', 2, (world) => {
    const primary = world.nodes.find(({ postgres }) => postgres?.server === world.state?.primary);
    const standbys = world.nodes.flatMap(({ postgres }) => postgres ?? []);
    for (const { temper } of standbys) temper.flushMs = 1_000;
    world.scheduler.after(1_500, () => primary?.container?.kill());
    return () => {
      for (const { temper } of standbys) temper.flushMs = 0.3;
    };
  }),
  fault('container told to end', 1, (world, random) => {
    nodeOfServer(world, random).container?.terminate();
    return NOTHING;
  }),
  fault('guard killed', 1, (world, random) => {
    nodeOfServer(world, random).container?.killGuard();
    return NOTHING;
  }),
  fault('instance manager frozen', 3, (world, random) => {
    const manager = nodeOfServer(world, random).container?.manager;
    manager?.freeze();
    return () => manager?.thaw();
  }),
  fault('container frozen', 2, (world, random) => {
    const node = nodeOfServer(world, random);
    const { container } = node;
    if (container === null) return NOTHING;
    node.freezeContainer();
    return () => node.thawContainer(container);
  }),
  fault('node frozen', 2, (world, random) => {
    const node = someNode(world, random);
    node.freeze();
    return () => node.thaw();
  }),
  fault('node killed', 3, (world, random) => {
    const node = someNode(world, random);
    node.crash();
    return () => node.boot();
  }),
  fault('node cut off from all', 4, (world, random) =>
    cutNode(world, someNode(world, random).name, null, random),
  ),
  fault('server cut off from the operators', 3, (world, random) => {
    const { name } = nodeOfServer(world, random);
    return cutNode(world, name, ['control'], random);
  }),
  fault('server cut off from the others', 3, (world, random) => {
    const { name } = nodeOfServer(world, random);
    return cutNode(world, name, ['replication', 'peers'], random);
  }),
  fault('primary cut off from the operators and from one standby', 3, (world, random) => {
    const primary = world.nodes.find(({ postgres }) => postgres?.server === world.state?.primary);
    const others = world.nodes.filter((node) => node !== primary && node.postgres !== null);
    if (primary === undefined || others.length === 0) return NOTHING;
    const heals = [
      cutNode(world, primary.name, ['control'], random),
      world.network.cut({
        channels: ['replication'],
        from: primary.name,
        to: random.pick(others).name,
      }),
    ];
    return () => {
      for (const heal of heals) heal();
    };
  }),
  fault('peers cannot be asked', 1, (world, random) => {
    const { name } = nodeOfServer(world, random);
    return cutNode(world, name, ['peers', 'control'], random);
  }),
  fault('replication cut', 2, (world, random) => {
    const { name } = nodeOfServer(world, random);
    return cutNode(world, name, ['replication'], random);
  }),
  fault('manager cut off from Raft', 2, (world, random) =>
    cutNode(world, someNode(world, random).name, ['raft'], random),
  ),
  fault('leading operator cut off from Raft', 2, (world, random) => {
    const { name } = leadingNode(world) ?? someNode(world, random);
    return cutNode(world, name, ['raft'], random);
  }),
  fault('Swarm without quorum', 2, (world) => {
    const heal = world.network.cut({ channels: ['raft'], from: null, to: null });
    world.raft.reconsider();
    return () => {
      heal();
      world.raft.reconsider();
    };
  }),
  fault('an operator killed', 2, (world, random) => {
    someNode(world, random).killOperator();
    return NOTHING;
  }),
  fault('all operators killed', 2, (world) => {
    for (const node of world.nodes) node.killOperator();
    return NOTHING;
  }),
  fault('leading operator frozen', 3, (world) => {
    const process = leadingNode(world)?.freezeOperator() ?? null;
    return () => process?.thaw();
  }),
  fault('leading operator told to end', 1, (world) => {
    leadingNode(world)?.terminateOperator();
    return NOTHING;
  }),
  fault('primary cut off while the leading operator ends', 1, (world, random) => {
    const primary = world.nodes.find(({ postgres }) => postgres?.server === world.state?.primary);
    const leader = leadingNode(world);
    if (primary === undefined || leader === primary) return NOTHING;
    world.scheduler.after(random.between(0, 1_000), () => leader?.terminateOperator());
    return cutNode(world, primary.name, null, random);
  }),
  fault('answers of the store are lost', 2, (world) => {
    world.raft.answerLoss = 0.3;
    return () => {
      world.raft.answerLoss = 0;
    };
  }),
  fault('slow and lossy network', 3, (world, random) => {
    world.network.weather = { delayMs: random.between(5, 150), loss: random.between(0, 0.3) };
    return () => {
      world.network.weather = null;
    };
  }),
  fault('slow disk of a standby', 2, (world, random) => {
    const standbys = world.nodes.filter(({ postgres }) => postgres?.role === 'standby');
    const temper = standbys.length === 0 ? undefined : random.pick(standbys).postgres?.temper;
    if (temper === undefined) return NOTHING;
    temper.flushMs = random.between(50, 2_000);
    return () => {
      temper.flushMs = 0.3;
    };
  }),
  fault('PostgreSQL does not stop', 2, (world, random) => {
    const temper = nodeOfServer(world, random).postgres?.temper;
    if (temper === undefined) return NOTHING;
    temper.isStuck = true;
    temper.recoveryMs = random.between(150, 5_000);
    return () => {
      temper.isStuck = false;
      temper.recoveryMs = 150;
    };
  }),
  fault('volume full', 1, (world, random) => {
    const { postgres } = nodeOfServer(world, random);
    if (postgres === null) return NOTHING;
    postgres.temper.isDiskFull = true;
    postgres.kill('PANIC: No space left on device');
    return () => {
      postgres.temper.isDiskFull = false;
    };
  }),
  fault('wall clock set', 1, (world, random) => {
    someNode(world, random).clock.jumpWall(random.between(-1, 1) * 86_400_000);
    return NOTHING;
  }),
  fault('switchover asked for', 4, (world, random) => {
    const names = world.spec.servers.map(({ name }) => name);
    world.changeSpec((spec) => ({ ...spec, primary: random.pick(names) }));
    return NOTHING;
  }),
  fault('synchronous replication changed', 2, (world, random) => {
    const synchronous = random.pick(SYNCHRONOUS);
    world.changeSpec((spec) => ({ ...spec, replication: { synchronous } }));
    return NOTHING;
  }),
  fault('leases made longer or shorter', 1, (world, random) => {
    const ttlMs = random.pick([4_000, 5_000, 8_000]);
    world.changeSpec((spec) => ({ ...spec, failover: { ...spec.failover, ttlMs } }));
    return NOTHING;
  }),
  fault('leases given up', 1, (world) => {
    const be = (mode: 'manual' | 'automatic'): void =>
      world.changeSpec((spec) => ({ ...spec, failover: { ...spec.failover, mode } }));
    be('manual');
    return () => be('automatic');
  }),
  fault('a server fenced by a person', 1, (world, random) => {
    const { name } = random.pick(world.spec.servers);
    world.changeState((state) => ({ ...state, fenced: [name] }));
    return () => world.changeState((state) => ({ ...state, fenced: [] }));
  }),
  fault('restarts asked for', 1, (world, random) => {
    const servers = random.shuffled(world.spec.servers).map(({ name }) => name);
    const restart = { id: world.newId('restart'), servers };
    world.changeState((state) => ({ ...state, restart }));
    return NOTHING;
  }),
  fault('a setting that needs a restart', 2, (world, random) => {
    const parameters = { max_connections: String(random.pick([100, 200, 300])) };
    world.changeSpec((spec) => ({ ...spec, postgres: { ...spec.postgres, parameters } }));
    return NOTHING;
  }),
  fault('node drained', 2, (world, random) => {
    const node = nodeOfServer(world, random);
    node.drain();
    return () => node.fill();
  }),
  fault('paused', 1, (world) => {
    const since = '2026-01-01T00:00:00.000Z';
    world.changeState((state) => ({ ...state, paused: { since, by: 'simulation' } }));
    return () => world.changeState((state) => ({ ...state, paused: null }));
  }),
];

function someFault(random: Random, from: readonly Fault[]): Fault {
  const total = from.reduce((sum, { weight }) => sum + weight, 0);
  let at = random.between(0, total);
  return from.find(({ weight }) => (at -= weight) < 0) ?? random.pick(from);
}

/** When a fault begins, and how long it lasts. */
export interface Planned {
  readonly atMs: number;
  readonly forMs: number;
  readonly fault: Fault;
}

export function planFaults(
  random: Random,
  durationMs: number,
  names: readonly string[] | null,
): readonly Planned[] {
  const from = names === null ? FAULTS : FAULTS.filter(({ name }) => names.includes(name));
  const count = random.integer(2, 12);
  return Array.from({ length: count }, () => ({
    atMs: random.between(0, durationMs),
    // Some shorter than a lease, some longer than everything.
    forMs: random.pick([300, 1_500, 5_000, 12_000]) * random.between(0.5, 1.5),
    fault: someFault(random, from),
  })).toSorted((a, b) => a.atMs - b.atMs);
}
