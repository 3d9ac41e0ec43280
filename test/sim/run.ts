/** One seed: a cluster is built, suffers, is left alone, and must be whole again. */
import { type LateSpec, type Spec, type SynchronousSpec } from '../../src/core/spec';
import { Random } from './kernel/random';
import { installVirtualTime } from './kernel/virtual-time';
import { type Checker } from './checkers/checker';
import { Durability } from './checkers/durability';
import { Fitness } from './checkers/fitness';
import { Freshness } from './checkers/freshness';
import { LastCopy } from './checkers/last-copy';
import { Paused } from './checkers/pause';
import { missing } from './checkers/recovery';
import { SinglePrimary } from './checkers/single-primary';
import { Terms } from './checkers/terms';
import { planFaults, SYNCHRONOUS, type Heal, type Planned } from './faults';
import { installMemory, installProbe, observeDecisions } from './probe';
import { installExchange } from './world/exchange';
import { World, type Tracer } from './world/world';

export interface RunOptions {
  /** null: by the seed. */
  readonly servers: 2 | 3 | null;
  readonly trace: Tracer | null;
  /** Only these; null: all of them. */
  readonly faults?: readonly string[];
  /** Instead of what the seed would choose; null: asynchronous. */
  readonly synchronous?: SynchronousSpec | null;
  /** Length of the leases; 5 s unless it says otherwise. */
  readonly ttlMs?: number;
  /** Only this judge looks. */
  readonly invariant?: string;
}

export interface Violation {
  readonly seed: number;
  readonly atMs: number;
  readonly invariant: string;
  readonly what: string;
}

export interface Outcome {
  readonly violation: Violation | null;
  readonly events: number;
  readonly simulatedMs: number;
  readonly faults: readonly string[];
}

const SETTLE_MAX_MS = 60_000;
const SAFETY_MS = 40_000;
/** Raft's election, a leadership, a lease, a rejoin: and then some. */
const LIVENESS_MAX_MS = 120_000;
const LOOK_MS = 500;
const LATE_SHARE = 0.4;
/** How late does not matter: nobody may rely on it. */
const DELAYED: LateSpec = { replication: 'streaming', hotStandby: true, applyDelayMs: 3_600_000 };

let isInstalled = false;

/** Puts the real code into simulated worlds; once for the whole program. */
export function install(): void {
  if (isInstalled) return;
  isInstalled = true;
  installVirtualTime();
  installExchange();
  installProbe();
  installMemory();
}

export async function runSeed(seed: number, options: RunOptions): Promise<Outcome> {
  install();
  const random = new Random(seed).fork('plan');
  // Stacks of the many errors that are part of the game cost more than all the rest.
  Error.stackTraceLimit = options.trace === null ? 0 : 20;
  const world = new World({ seed, spec: specFor(random, options), trace: options.trace });
  observeDecisions((node, situation, decision) =>
    world.happen({ kind: 'decided', node, situation, decision }),
  );
  let violation: Violation | null = null;
  const fail = (invariant: string, what: string): void => {
    if (options.invariant !== undefined && options.invariant !== invariant) return;
    violation ??= { seed, atMs: Math.round(world.scheduler.nowMs), invariant, what };
    world.trace('VIOLATION', () => `${invariant}: ${what}`);
    world.scheduler.stop();
  };
  const checkers = checkersOf(world);
  world.listen((happening, atMs) => {
    for (const checker of checkers) {
      const what = checker.see(happening, atMs);
      if (what !== null) fail(checker.invariant, what);
    }
  });

  await untilWhole(world, SETTLE_MAX_MS, (what) => fail('L1', `it does not begin: ${what}`));
  const planned = planFaults(random, SAFETY_MS, options.faults ?? null);
  if (options.faults === undefined) keepLate(world, random.fork('late'));
  await suffer(world, random, planned);
  if (options.invariant === undefined || options.invariant === 'L1') {
    await untilWhole(world, LIVENESS_MAX_MS, (what) => fail('L1', what));
  }
  observeDecisions(null);
  const { eventsRun: events, nowMs: simulatedMs } = world.scheduler;
  const faults = planned.map(({ fault }) => fault.name);
  return { violation, events, simulatedMs, faults };
}

const checkersOf = (world: World): readonly Checker[] => [
  new SinglePrimary(world),
  new Terms(),
  new Durability(world),
  new LastCopy(world),
  new Fitness(world),
  new Paused(),
  new Freshness(),
];

async function untilWhole(
  world: World,
  maxMs: number,
  fail: (what: string) => void,
): Promise<void> {
  const endMs = world.scheduler.nowMs + maxMs;
  for (;;) {
    const what = missing(world);
    if (what === null || world.scheduler.isStopped) return;
    if (world.scheduler.nowMs >= endMs) {
      fail(what);
      return;
    }
    await world.scheduler.runFor(LOOK_MS);
  }
}

/** In some worlds of three the last server is late on purpose for a while, unless it is declared primary. */
function keepLate(world: World, random: Random): void {
  if (world.spec.servers.length < 3 || !random.chance(LATE_SHARE)) return;
  const beginMs = random.between(0, SAFETY_MS / 2);
  const be = (late: LateSpec | null): void =>
    world.changeSpec((spec) => ({
      ...spec,
      servers: spec.servers.map(({ late: _, ...server }) =>
        late === null || server.name !== 'pg3' || spec.primary === 'pg3'
          ? server
          : { ...server, late },
      ),
    }));
  world.trace('fault', () => `pg3 is to be late from ${Math.round(beginMs)} ms on`);
  world.scheduler.after(beginMs, () => be(DELAYED));
  world.scheduler.after(random.between(beginMs, SAFETY_MS), () => be(null));
}

/** All faults are healed when this returns. */
async function suffer(world: World, random: Random, planned: readonly Planned[]): Promise<void> {
  const open = new Set<Heal>();
  const beganMs = world.scheduler.nowMs;
  for (const { atMs, forMs, fault } of planned) {
    world.scheduler.after(atMs, () => {
      world.trace('fault', () => `begins: ${fault.name}, for ${Math.round(forMs)} ms`);
      const heal = fault.begin(world, random);
      const once = (): void => {
        if (!open.delete(once)) return;
        world.trace('fault', () => `ends: ${fault.name}`);
        heal();
      };
      open.add(once);
      world.scheduler.after(forMs, once);
    });
  }
  await world.scheduler.runUntil(beganMs + SAFETY_MS);
  if (!world.scheduler.isStopped) for (const heal of [...open]) heal();
}

function specFor(random: Random, { servers, ttlMs = 5_000, synchronous: given }: RunOptions): Spec {
  const count = servers ?? random.pick([2, 3] as const);
  const chosen = random.pick(SYNCHRONOUS);
  const synchronous = given === undefined ? chosen : given;
  return {
    cluster: 'orders',
    image: null,
    postgres: { version: 17, parameters: {}, hba: [], database: 'app', owner: 'app' },
    network: { subnet: '10.0.200.0/24' },
    primary: 'pg1',
    servers: Array.from({ length: count }, (_, index) => ({
      name: `pg${String(index + 1)}`,
      node: { hostname: `n${String(index + 1)}` },
      port: 5432,
    })),
    switchover: { lagBytesMax: 16 * 1024 ** 2, timeoutMs: 10_000 },
    replication: { synchronous },
    failover: {
      mode: 'automatic',
      ttlMs,
      lagBytesMax: 16 * 1024 ** 2,
      delayMs: 0,
      priorities: {},
      failback: 'hold',
      failbackAfterMs: 300_000,
    },
    archive: { compression: 'zstd', timeoutMs: 300_000 },
    update: { primary: 'automatic' },
    backup: { retention: { keep: null, maxAgeMs: null }, schedules: [] },
  };
}
