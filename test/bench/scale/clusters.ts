/**
 * Clusters at rest, as many as are wanted: the model settles one pair, and the others are it under
 * other names. A pair is primary and standby on their own nodes, with leases, and archives.
 */
import {
  controlKey,
  deriveSecrets,
  fingerprints,
  type ClusterSecrets,
} from '../../../src/adapters/keys';
import { type NodeSeen, type SwarmSeen } from '../../../src/core/observation';
import { type Report } from '../../../src/core/protocol';
import { type SpecRecord } from '../../../src/core/spec';
import { type ClusterState } from '../../../src/core/state';
import { empty, settle } from '../../support/world';

/** The key of an installation that lives for as long as the benchmark. */
export const ROOT_KEY = Buffer.alloc(32, 7);
/** The operator is on this one, away from all primaries: it has no reason to hand over. */
export const OPERATOR_NODE = 'n3';
export const IMAGE = 'pgswarm:test';
const UID = '0123456789abcdef';

export interface Pair {
  readonly name: string;
  readonly record: SpecRecord;
  readonly state: ClusterState;
  readonly swarm: SwarmSeen;
  readonly reports: readonly Report[];
  readonly key: Buffer;
  readonly fingerprints: ClusterSecrets;
}

/** What differs from pair to pair; no other text of the settled one looks like these. */
const TEMPLATE = {
  name: 'cluster-template',
  subnet: '10.99.99.0/24',
  port: 59_999,
  fingerprints: { control: 'template-c', replication: 'template-r', owner: 'template-o' },
};

const FAILOVER = {
  mode: 'automatic' as const,
  ...{ ttlMs: 5_000, lagBytesMax: 16 * 1024 ** 2, delayMs: 0, priorities: {} },
  ...{ failback: 'hold' as const, failbackAfterMs: 300_000 },
};

const ROOM = { sizeBytes: 100e9, freeBytes: 60e9, fullInMs: null, stage: 'ample' as const };

/** The same ones whenever they are asked for. */
export const pairs = (count: number): readonly Pair[] =>
  pairsNamed(Array.from({ length: count }, (_, index) => `db-${String(index).padStart(4, '0')}`));

export function pairsNamed(names: readonly string[]): readonly Pair[] {
  const text = JSON.stringify(template());
  return names.map((name, index) => pairOf(text, name, index));
}

export const nodes = (): readonly NodeSeen[] => empty().observation.swarm?.nodes ?? [];

function pairOf(text: string, name: string, index: number): Pair {
  const secrets = deriveSecrets(ROOT_KEY, name, UID);
  const marks = fingerprints(secrets);
  const subnet = `10.${100 + Math.floor(index / 256)}.${index % 256}.0/24`;
  const replacements: readonly [string, string][] = [
    [TEMPLATE.name, name],
    [TEMPLATE.subnet, subnet],
    [String(TEMPLATE.port), String(20_000 + index)],
    [TEMPLATE.fingerprints.control, marks.control],
    [TEMPLATE.fingerprints.replication, marks.replication],
    [TEMPLATE.fingerprints.owner, marks.owner],
  ];
  const own = replacements.reduce((all, [from, to]) => all.replaceAll(from, to), text);
  const pair = JSON.parse(own) as ReturnType<typeof template>;
  return { ...pair, name, key: controlKey(secrets), fingerprints: marks };
}

function template(): Pick<Pair, 'record' | 'state' | 'swarm' | 'reports'> {
  const { name: cluster, subnet, port } = TEMPLATE;
  const servers = ['pg1', 'pg2'].map((name, index) => ({
    ...{ name, port },
    node: { hostname: `n${index + 1}` },
  }));
  const declared = empty({ cluster, network: { subnet }, servers, failover: FAILOVER });
  const start = { ...declared, image: IMAGE, newUid: UID, fingerprints: TEMPLATE.fingerprints };
  const { record, state, observation } = settle(start).situation;
  const { swarm, reports } = observation;
  if (state === null || swarm === null) throw new Error('the model has not made a pair');
  const tasks = swarm.services.map(({ name: service }, index) => ({
    ...{ id: `task-${service}`, service, nodeId: `id-n${index + 1}`, error: null },
    ...{ state: 'running', desiredState: 'running', createdAt: '2026-01-01T00:00:00.000Z' },
  }));
  const said = Object.values(reports).map(({ report }) => withVolumes(report));
  return { record, state, swarm: { ...swarm, tasks }, reports: said };
}

/** What a real one has to say of its volumes, which the model leaves out. */
function withVolumes(report: Report): Report {
  const last = {
    ...{ file: '000000010000000000000002', at: '2026-01-01T00:09:00.000Z' },
    endLsn: '0/3000000',
  };
  return {
    ...report,
    taskId: `task-pgswarm-${report.cluster}-${report.server}`,
    dataVolume: ROOM,
    archive: { last, failure: null, waiting: 0, pausedLeftMs: null, room: ROOM, window: null },
  };
}
