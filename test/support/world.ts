/** Builders: a test names only what matters to it; everything else is a healthy pair. */
import { afterInstances, afterStep } from '../../src/core/model';
import { decide, type Decision } from '../../src/core/decide';
import { type Report } from '../../src/core/protocol';
import { type Situation } from '../../src/core/situation';
import { type Spec } from '../../src/core/spec';
import { type ClusterState } from '../../src/core/state';

export const NOW_MS = 1_000_000;

export function spec(changes: Partial<Spec> = {}): Spec {
  return {
    cluster: 'orders',
    image: null,
    postgres: { version: 17, parameters: {}, hba: [], database: 'app', owner: 'app' },
    network: { subnet: '10.0.200.0/24' },
    primary: 'pg1',
    servers: [
      { name: 'pg1', node: { hostname: 'n1' }, port: 5432 },
      { name: 'pg2', node: { hostname: 'n2' }, port: 5432 },
    ],
    switchover: { lagBytesMax: 16 * 1024 ** 2, timeoutMs: 10_000 },
    replication: { synchronous: null },
    failover: {
      mode: 'manual',
      ttlMs: 5_000,
      lagBytesMax: 16 * 1024 ** 2,
      delayMs: 0,
      priorities: {},
      failback: 'hold',
      failbackAfterMs: 300_000,
    },
    update: { primary: 'automatic' },
    archive: { compression: 'zstd', timeoutMs: 300_000 },
    backup: { retention: { keep: null, maxAgeMs: null }, schedules: [] },
    ...changes,
  };
}

/** A Swarm of three nodes with nothing on it, and a spec that was just applied. */
export function empty(changes: Partial<Spec> = {}): Situation {
  const nodes = ['n1', 'n2', 'n3'].map((hostname, index) => ({
    id: `id-${hostname}`,
    hostname,
    labels: {},
    state: 'ready',
    availability: 'active',
    isManager: true,
    address: `10.9.0.${String(index + 1)}`,
  }));
  return {
    record: {
      generation: 1,
      spec: spec(changes),
      document: {},
      source: { kind: 'apply', by: 'test' },
      appliedAt: '2026-01-01T00:00:00.000Z',
      appliedDigests: [],
      deletion: null,
    },
    state: null,
    observation: {
      reports: {},
      swarm: { seenAtMs: NOW_MS, nodes, services: [], networks: [], secrets: [], tasks: [] },
      phaseSinceMs: NOW_MS,
      writeGapMs: null,
      grants: [],
      acceptedAtMs: null,
      obeyingSinceMs: null,
      streamingSinceMs: {},
      lateSinceMs: {},
      volumesRemoved: [],
      leadingSinceMs: 0,
    },
    nowMs: NOW_MS,
    now: '2026-01-01T00:10:00.000Z',
    leaderEpoch: 1,
    newUid: '0123456789abcdef',
    image: 'pgswarm:test',
    fingerprints: null,
  };
}

/** One round of operator and instances. */
export function round(situation: Situation): { situation: Situation; decision: Decision } {
  const decision = decide(situation);
  const applied = decision.steps.reduce(afterStep, situation);
  return { situation: afterInstances(applied).situation, decision };
}

/** The record after the one write that is decided now. */
export function afterRecord(situation: Situation): Situation {
  const { steps, rule, because } = decide(situation);
  if (steps[0]?.kind !== 'record') throw new Error(`${rule} writes nothing: ${because}`);
  return afterStep(situation, steps[0]);
}

/** Rounds until nothing moves any more; every situation on the way is shown to `visit`. */
export function settle(
  situation: Situation,
  visit: (situation: Situation, decision: Decision) => void = () => undefined,
): { situation: Situation; decision: Decision } {
  let now = situation;
  for (let count = 0; count < 100; count += 1) {
    const next = round(now);
    visit(now, next.decision);
    if (JSON.stringify(next.situation) === JSON.stringify(now)) return next;
    now = next.situation;
  }
  throw new Error('the world never comes to rest');
}

/** A running pair, pg1 primary and pg2 streaming. */
export const running = (changes: Partial<Spec> = {}): Situation => settle(empty(changes)).situation;

export function withSpec(situation: Situation, changes: Partial<Spec>): Situation {
  const { record } = situation;
  const generation = record.generation + 1;
  return { ...situation, record: { ...record, generation, spec: { ...record.spec, ...changes } } };
}

export function withState(situation: Situation, changes: Partial<ClusterState>): Situation {
  if (situation.state === null) throw new Error('there is no state yet');
  return { ...situation, state: { ...situation.state, ...changes } };
}

/** Changes what a server reports; `null` makes it silent. */
export function withReport(
  situation: Situation,
  server: string,
  changes: Partial<Report> | null,
): Situation {
  const { observation, nowMs } = situation;
  const { [server]: before, ...others } = observation.reports;
  if (changes === null) return { ...situation, observation: { ...observation, reports: others } };
  if (before === undefined) throw new Error(`${server} has not reported`);
  const report = { ...before.report, ...changes };
  const reports = { ...others, [server]: { report, seenAtMs: nowMs } };
  return { ...situation, observation: { ...observation, reports } };
}

export function withSwarm(
  situation: Situation,
  changes: Partial<NonNullable<Situation['observation']['swarm']>>,
): Situation {
  const { observation } = situation;
  if (observation.swarm === null) throw new Error('Swarm has not been seen');
  return {
    ...situation,
    observation: { ...observation, swarm: { ...observation.swarm, ...changes } },
  };
}

export const stoppedReport = (clusterState: string, endLsn = '0/3000000'): Report['postgres'] => ({
  state: 'stopped',
  control: {
    systemIdentifier: '7000000000000000001',
    timeline: 1,
    clusterState,
    checkpointLsn: endLsn,
    endLsn,
  },
  standbySignal: false,
});

/** A running pair whose spec asks for pg2, and what becomes of it phase by phase. */
export function switchover(): Readonly<
  Record<'pair' | 'asked' | 'checkpointing' | 'stopping' | 'promoting', Situation>
> {
  const pair = running();
  const asked = withSpec(pair, { primary: 'pg2' });
  const checkpointing = round(asked).situation;
  const stopping = round(checkpointing).situation;
  return { pair, asked, checkpointing, stopping, promoting: round(stopping).situation };
}
