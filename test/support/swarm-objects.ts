/** Builders for what Swarm should hold, so that a row of a test shows only what matters. */
import { desiredObjects, type Surroundings } from '../../src/core/desired';
import { type NodeSeen } from '../../src/core/observation';
import { type Spec } from '../../src/core/spec';
import { type ServiceSpecDesired } from '../../src/core/steps';

export function spec(changes: Partial<Spec> = {}): Spec {
  return {
    cluster: 'orders',
    image: null,
    postgres: { version: 17, parameters: {}, hba: [], database: 'app', owner: 'app' },
    network: { subnet: '10.0.200.0/24' },
    primary: 'pg1',
    servers: [
      { name: 'pg1', node: { hostname: 'n1' }, port: 5432 },
      { name: 'pg2', node: { hostname: 'n2' }, port: 5433 },
    ],
    switchover: { lagBytesMax: 0, timeoutMs: 0 },
    replication: { synchronous: null },
    failover: {
      mode: 'manual',
      ttlMs: 5000,
      lagBytesMax: 16 * 1024 ** 2,
      delayMs: 0,
      priorities: {},
      failback: 'hold',
      failbackAfterMs: 300_000,
    },
    archive: { compression: 'zstd', timeoutMs: 300_000 },
    update: { primary: 'automatic' },
    backup: { retention: { keep: null, maxAgeMs: null }, schedules: [] },
    ...changes,
  };
}

export const surroundings: Surroundings = {
  uid: 'uid-1',
  image: 'pgswarm:dev',
  nodeIds: { pg1: 'node1', pg2: 'node2' },
  fingerprints: { control: 'c0', replication: 'r0', owner: 'o0' },
  first: null,
};

export function serviceSpec(changes: Partial<Spec> = {}): ServiceSpecDesired {
  return desiredObjects(spec(changes), surroundings).services[0]!.spec;
}

export function node(changes: Partial<NodeSeen> & { readonly id: string }): NodeSeen {
  return {
    hostname: changes.id,
    labels: {},
    state: 'ready',
    availability: 'active',
    isManager: true,
    address: '10.0.0.1',
    ...changes,
  };
}
