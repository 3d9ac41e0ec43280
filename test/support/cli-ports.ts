/** Ports of the CLI without a Swarm: records in memory, and a cluster as the model has made it. */
import { Readable } from 'node:stream';
import { OperatingError } from '../../src/core/errors';
import { type HistoryEntry } from '../../src/core/history';
import { specRecordName, stateRecordName } from '../../src/core/names';
import { type NodeSeen, type SwarmSeen } from '../../src/core/observation';
import { type Situation } from '../../src/core/situation';
import { type Spec } from '../../src/core/spec';
import { type ClusterState } from '../../src/core/state';
import { plain, type Output } from '../../src/cli/output';
import {
  type CliPorts,
  type Fact,
  type OperatorClient,
  type SwarmAccess,
} from '../../src/cli/ports';
import { MemoryStore } from './memory-store';
import { node } from './swarm-objects';
import { empty, settle, withSwarm } from './world';

/** Two minutes after everything that happens in the model. */
const NOW = new Date('2026-01-01T00:12:00.000Z');

const NODES: readonly NodeSeen[] = [
  node({ id: 'id-n1', hostname: 'n1', address: '192.0.2.1', labels: { pgswarm: 'here' } }),
  node({ id: 'id-n2', hostname: 'n2', address: '192.0.2.2' }),
  node({ id: 'id-n3', hostname: 'n3', address: '192.0.2.3', labels: { rack: 'c' } }),
];

/** A cluster in a Swarm of these nodes that is as its spec wants it, in the model. */
export const running = (spec: Spec): Situation =>
  settle(withSwarm(empty(spec), { nodes: NODES })).situation;

/** Keeps what is printed, both streams in their order, as a person sees it. */
export function recordingOutput(answer: string | null = null): Output & { text(): string } {
  const lines: string[] = [];
  return {
    isTerminal: false,
    print: (text) => void lines.push(text),
    note: (text) => void lines.push(text),
    redraw: (text) => void lines.push(text),
    ask: () => Promise.resolve(answer),
    paint: plain,
    text: () => lines.join('\n'),
  };
}

export interface World {
  readonly store: MemoryStore;
  /** null: no operator answers. */
  readonly situation: Situation | null;
  /** By service; without it there are none. */
  readonly logs?: Readonly<Record<string, string>>;
  /** What the operators' volumes have; without it no operator answers. */
  readonly history?: (since: string | null) => Promise<readonly HistoryEntry[]>;
  readonly credentials?: OperatorClient['credentials'];
  /** What the operator and the instances have done by the next look; nothing when it is left out. */
  readonly acts?: (situation: Situation) => Situation;
}

/** Everything that there is to do. */
export const acts = (situation: Situation): Situation => settle(situation).situation;

/** Time passes at once. */
function hasty(): CliPorts['clock'] {
  let nowMs = 0;
  return {
    monotonicMs: () => nowMs,
    pause: (ms) => {
      nowMs += ms;
      return Promise.resolve(true);
    },
  };
}

const EMPTY_SWARM: SwarmSeen = {
  seenAtMs: 0,
  nodes: NODES,
  services: [],
  networks: [],
  secrets: [],
  tasks: [],
};

/** A Swarm in which this cluster runs; null for one with nothing in it, not even an operator. */
export async function world(situation: Situation | null): Promise<World> {
  const store = new MemoryStore();
  if (situation !== null) {
    const { cluster } = situation.record.spec;
    await store.create(specRecordName(cluster), situation.record);
    await store.create(stateRecordName(cluster), situation.state);
  }
  return { store, situation };
}

/** The situation that follows, with its state in the store; only the store has the verbs' writes. */
async function actOn({ store, acts }: World, situation: Situation): Promise<Situation> {
  const record = await store.read<ClusterState>(stateRecordName(situation.record.spec.cluster));
  if (acts === undefined || record === null) return situation;
  const after = acts({ ...situation, state: record.value });
  await store.update(record, after.state);
  return after;
}

/** As Docker sends it: a header before each piece. */
function framed(text: string | undefined): Promise<NodeJS.ReadableStream> | undefined {
  if (text === undefined) return undefined;
  const header = Buffer.from([1, 0, 0, 0, 0, 0, 0, 0]);
  header.writeUInt32BE(Buffer.byteLength(text), 4);
  return Promise.resolve(Readable.from([Buffer.concat([header, Buffer.from(text)])]));
}

const FACTS: readonly Fact[] = [
  { name: 'version', collect: () => Promise.resolve({ Version: '26.1.5' }) },
  {
    name: 'info',
    collect: () => Promise.resolve({ HttpProxy: 'http://proxy:kupfer@192.0.2.9:3128', NCPU: 2 }),
  },
];

export function portsOf(world: World, output: Output): CliPorts {
  const { store, credentials, history } = world;
  let { situation } = world;
  const silent = (): Promise<never> =>
    Promise.reject(new OperatingError('refused', 'OperatorMissing', 'No operator runs.'));
  const unknown = (): Promise<never> =>
    Promise.reject(new OperatingError('refused', 'UnknownCluster', 'There is no such cluster.'));
  const access: SwarmAccess = {
    store,
    operator: {
      cluster: async (name) => {
        if (situation === null) return silent();
        if (situation.record.spec.cluster !== name) return unknown();
        const { observation, nowMs } = situation;
        situation = await actOn(world, situation);
        return { status: null, observation, nowMs };
      },
      history: (_, since) => history?.(since) ?? silent(),
      credentials: credentials ?? silent,
      page: () => Promise.resolve({ port: 7780, token: '0123456789abcdef0123456789abcdef' }),
    },
    observe: (cluster) => {
      const seen = situation?.observation.swarm ?? EMPTY_SWARM;
      const isOwn = situation?.record.spec.cluster === cluster;
      return Promise.resolve(isOwn ? seen : { ...EMPTY_SWARM, networks: seen.networks });
    },
    operatorImage: () => Promise.resolve('pgswarm:test'),
    serviceLog: (service) => framed(world.logs?.[service]) ?? silent(),
    facts: () => Promise.resolve(FACTS),
    execute: silent,
  };
  const { signal } = new AbortController();
  return { output, connect: () => access, signal, now: () => NOW, user: 'ada', clock: hasty() };
}
