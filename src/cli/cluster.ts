/**
 * What is known of a cluster: the records from the store, its objects from Swarm, and what the
 * operator's leader has heard from the instances. From these the CLI decides by the same rules as
 * the operator, so that what it foretells and what is done cannot differ.
 */
import { performance } from 'node:perf_hooks';
import { randomUUID } from 'node:crypto';
import { decide } from '../core/decide';
import { messageOf } from '../core/errors';
import { nearest } from '../core/nearest';
import { specRecordName, stateRecordName, type SecretPurpose } from '../core/names';
import { type Observation, type SwarmSeen } from '../core/observation';
import { viewOf, type Situation, type View } from '../core/situation';
import { type SpecRecord, upgradedSpec } from '../core/spec';
import { initialState, upgraded, type ClusterState } from '../core/state';
import { statusOf, type Status } from '../core/status';
import { type ClusterAnswer } from '../operator/operator';
import { type Store, type StoredRecord } from '../core/ports';
import { refusal } from './exit';
import { type CliPorts, type SwarmAccess } from './ports';

export interface Known {
  readonly situation: Situation;
  readonly view: View;
  readonly status: Status;
  /** Why nothing is known of the servers; null when the operator has answered. */
  readonly silence: string | null;
}

/** Of every cluster there is, sorted. */
export async function clusterNames(store: Store): Promise<readonly string[]> {
  const records = await store.list();
  return records.flatMap(({ name }) => /^pgswarm\.([^.]+)\.spec$/.exec(name)?.[1] ?? []);
}

/** The cluster's spec as it is in force; refuses with the names that there are. */
export async function readSpec(store: Store, cluster: string): Promise<StoredRecord<SpecRecord>> {
  const record = await store.read<SpecRecord>(specRecordName(cluster));
  if (record !== null) return { ...record, value: upgradedSpec(record.value) };
  const known = await clusterNames(store);
  const meant = nearest(cluster, known);
  const advice =
    known.length === 0
      ? 'There is none yet: pgswarm apply -f FILE makes one.'
      : `There ${known.length === 1 ? 'is' : 'are'}: ${known.join(', ')}.`;
  const question = meant === null ? '' : ` Did you mean ${meant}?`;
  throw refusal('UnknownCluster', `There is no cluster ${cluster}.${question} ${advice}`);
}

/** The cluster's record, whichever version has written it; null until an operator has made it. */
export async function readState(
  store: Store,
  cluster: string,
): Promise<StoredRecord<ClusterState> | null> {
  const record = await store.read<ClusterState>(stateRecordName(cluster));
  return record === null ? null : { ...record, value: upgraded(record.value) };
}

/** All that is known of a cluster that is in the store. */
export async function loadCluster(ports: CliPorts, cluster: string): Promise<Known> {
  const access = ports.connect();
  const { value: record } = await readSpec(access.store, cluster);
  return loadSituation(ports, record);
}

/** All that is known of a cluster, under a spec that need not be in force yet. */
export async function loadSituation(ports: CliPorts, record: SpecRecord): Promise<Known> {
  const access = ports.connect();
  const { cluster } = record.spec;
  const [state, swarm, heard, image] = await Promise.all([
    readState(access.store, cluster),
    access.observe(cluster),
    hear(access, cluster),
    access.operatorImage(),
  ]);
  const nowMs = performance.now();
  const situation: Situation = {
    record,
    state: state?.value ?? null,
    observation: observationOf({ ...swarm, seenAtMs: nowMs }, heard.answer, nowMs),
    nowMs,
    now: ports.now().toISOString(),
    leaderEpoch: state?.value.leaderEpoch ?? 0,
    newUid: randomUUID(),
    image: image ?? 'pgswarm',
    fingerprints: state === null ? null : fingerprintsOf(cluster, swarm),
  };
  const view = viewOf(situation, situation.state ?? initialState(cluster, '', 0));
  const status = heard.answer?.status ?? statusOf(view, decide(situation));
  return { situation, view, status, silence: heard.silence };
}

interface Heard {
  readonly answer: ClusterAnswer | null;
  readonly silence: string | null;
}

/** That no operator answers is a fact to show, not a reason to show nothing. */
async function hear({ operator }: SwarmAccess, cluster: string): Promise<Heard> {
  try {
    return { answer: await operator.cluster(cluster), silence: null };
  } catch (error) {
    const isNew = error instanceof Error && 'code' in error && error.code === 'UnknownCluster';
    return { answer: null, silence: isNew ? null : messageOf(error) };
  }
}

/** The leader's clock is not ours: its times are moved by what the clocks differ. */
export function observationOf(
  swarm: SwarmSeen,
  answer: ClusterAnswer | null,
  nowMs: number,
): Observation {
  if (answer === null) return { ...NOTHING_HEARD, swarm, leadingSinceMs: nowMs };
  const { observation } = answer;
  const shift = (timeMs: number): number => timeMs + nowMs - answer.nowMs;
  const shiftAll = (times: Readonly<Record<string, number>>): Record<string, number> =>
    Object.fromEntries(Object.entries(times).map(([server, ms]) => [server, shift(ms)]));
  const shiftIfAny = (timeMs: number | null): number | null =>
    timeMs === null ? null : shift(timeMs);
  return {
    ...observation,
    swarm,
    reports: Object.fromEntries(
      Object.entries(observation.reports).map(([server, { report, seenAtMs }]) => [
        server,
        // Never in the future, not even by a rounding error.
        { report, seenAtMs: Math.min(shift(seenAtMs), nowMs) },
      ]),
    ),
    phaseSinceMs: shiftIfAny(observation.phaseSinceMs),
    grants: observation.grants.map((each) => ({ ...each, endsAtMs: shift(each.endsAtMs) })),
    acceptedAtMs: shiftIfAny(observation.acceptedAtMs),
    obeyingSinceMs: shiftIfAny(observation.obeyingSinceMs),
    streamingSinceMs: shiftAll(observation.streamingSinceMs),
    lateSinceMs: shiftAll(observation.lateSinceMs),
    leadingSinceMs: shift(observation.leadingSinceMs),
  };
}

const NOTHING_HEARD = {
  reports: {},
  phaseSinceMs: null,
  writeGapMs: null,
  grants: [],
  acceptedAtMs: null,
  obeyingSinceMs: null,
  streamingSinceMs: {},
  lateSinceMs: {},
  volumesRemoved: [],
};

/** The key is the operators' own; what it gives is seen in the names of the secrets. */
function fingerprintsOf(cluster: string, { secrets }: SwarmSeen): Situation['fingerprints'] {
  const of = (purpose: SecretPurpose): string => {
    const start = `pgswarm.${cluster}.${purpose}.`;
    return secrets.find(({ name }) => name.startsWith(start))?.name.slice(start.length) ?? 'new';
  };
  return { control: of('control'), replication: of('replication'), owner: of('owner') };
}
