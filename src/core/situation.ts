/**
 * The digested view on which the rules are written: for every server, what is declared, what is
 * recorded and what was seen lately, side by side. Facts that are too old are left out here, in
 * one place, so that no rule can use them by mistake.
 */
import { desiredObjects, resolveNode, type DesiredObjects } from './desired';
import { type Observation, type SwarmSeen, type ServiceSeen, type TaskSeen } from './observation';
import {
  REPORT_AGE_MAX_MS,
  type PrimaryReport,
  type Report,
  type StandbyReport,
  type VolumeReport,
} from './protocol';
import { serviceName } from './names';
import { type ServerSpec, type Spec, type SpecRecord } from './spec';
import { type ClusterState } from './state';

/** Everything that `decide` may look at. Time, ids and keys are inputs. */
export interface Situation {
  readonly record: SpecRecord;
  /** null until the cluster's first record is written. */
  readonly state: ClusterState | null;
  readonly observation: Observation;
  /** The observer's monotonic clock. */
  readonly nowMs: number;
  /** Wall clock as ISO 8601, for people. */
  readonly now: string;
  readonly leaderEpoch: number;
  /** A fresh random id, used only for the first record. */
  readonly newUid: string;
  /** Image of the instances when the spec names none: the operator's own. */
  readonly image: string;
  /** Fingerprints of the cluster's derived keys; null while there is no record to derive from. */
  readonly fingerprints: Readonly<Record<'control' | 'replication' | 'owner', string>> | null;
}

export interface View {
  readonly situation: Situation;
  readonly spec: Spec;
  readonly generation: number;
  readonly state: ClusterState;
  /** null until Swarm has answered, or when its answer is too old. */
  readonly swarm: SwarmSeen | null;
  readonly desired: DesiredObjects | null;
  /** In the spec's order. */
  readonly servers: readonly ServerView[];
  /** The server that is primary by the record. */
  readonly primary: ServerView | null;
  readonly nowMs: number;
}

export interface ServerView {
  readonly name: string;
  readonly spec: ServerSpec;
  /** The node it is pinned to; null while `nodeProblem` says why not. */
  readonly nodeId: string | null;
  readonly nodeName: string | null;
  readonly nodeProblem: string | null;
  /** Fresh report; null means unknown, never "stopped". */
  readonly report: Report | null;
  readonly lastSeenMs: number | null;
  /** The newest report whatever its age: what was said once, not what is. */
  readonly lastReport: Report | null;
  readonly volume: VolumeReport | null;
  readonly asPrimary: PrimaryReport | null;
  readonly asStandby: StandbyReport | null;
  readonly service: ServiceSeen | null;
  /** Newest task of its service. */
  readonly task: TaskSeen | null;
  /** Why Swarm does not run it, in Docker's words. */
  readonly taskError: string | null;
}

/** Swarm's objects are looked at again at least this often; older than this they are unknown. */
export const SWARM_AGE_MAX_MS = 60_000;
/** A new leader gives the instances this long to find it before it calls one silent. */
export const INTRODUCTION_MS = 4_000;

/** Builds the view; `state` has been written by then. */
export function viewOf(situation: Situation, state: ClusterState): View {
  const { record, observation, nowMs } = situation;
  const seen = observation.swarm;
  const swarm = seen !== null && nowMs - seen.seenAtMs <= SWARM_AGE_MAX_MS ? seen : null;
  const servers = record.spec.servers.map((server) => serverView(situation, server, swarm));
  let desired: DesiredObjects | null | undefined;
  return {
    situation,
    spec: record.spec,
    generation: record.generation,
    state,
    swarm,
    // Most looks at a view ask for something else.
    get desired() {
      return (desired ??= desiredFor(situation, state, servers));
    },
    servers,
    primary: servers.find((server) => server.name === state.primary) ?? null,
    nowMs,
  };
}

function desiredFor(
  situation: Situation,
  state: ClusterState,
  servers: readonly ServerView[],
): DesiredObjects | null {
  if (situation.fingerprints === null) return null;
  return desiredObjects(situation.record.spec, {
    uid: state.uid,
    image: situation.image,
    nodeIds: Object.fromEntries(
      servers.flatMap((server) => (server.nodeId === null ? [] : [[server.name, server.nodeId]])),
    ),
    fingerprints: situation.fingerprints,
    first:
      state.systemIdentifier === null
        ? (state.initialising ?? situation.record.spec.primary)
        : null,
  });
}

function serverView(situation: Situation, spec: ServerSpec, swarm: SwarmSeen | null): ServerView {
  return {
    name: spec.name,
    spec,
    ...whatItReports(situation, spec.name),
    ...whereItIs(spec, swarm),
    ...howItRuns(serviceName(situation.record.spec.cluster, spec.name), swarm),
  };
}

function whatItReports(
  { observation, nowMs }: Situation,
  server: string,
): Pick<ServerView, 'report' | 'lastReport' | 'lastSeenMs' | 'volume' | 'asPrimary' | 'asStandby'> {
  const seen = observation.reports[server];
  const isFresh = seen !== undefined && nowMs - seen.seenAtMs <= REPORT_AGE_MAX_MS;
  const report = isFresh ? seen.report : null;
  // A restored copy is out of everybody's reach until it is accepted, and the data itself again
  // only when nothing is set aside any more.
  const postgres = report?.restored == null ? report?.postgres : undefined;
  return {
    report,
    lastReport: seen?.report ?? null,
    lastSeenMs: seen?.seenAtMs ?? null,
    volume: report?.volume ?? null,
    asPrimary: postgres?.state === 'primary' ? postgres : null,
    asStandby: postgres?.state === 'standby' ? postgres : null,
  };
}

function whereItIs(
  spec: ServerSpec,
  swarm: SwarmSeen | null,
): Pick<ServerView, 'nodeId' | 'nodeName' | 'nodeProblem'> {
  if (swarm === null) return { nodeId: null, nodeName: null, nodeProblem: null };
  const resolved = resolveNode(spec.node, swarm.nodes);
  if ('problem' in resolved) {
    return { nodeId: null, nodeName: null, nodeProblem: resolved.problem };
  }
  const node = swarm.nodes.find(({ id }) => id === resolved.nodeId);
  return { nodeId: resolved.nodeId, nodeName: node?.hostname ?? null, nodeProblem: null };
}

function howItRuns(
  service: string,
  swarm: SwarmSeen | null,
): Pick<ServerView, 'service' | 'task' | 'taskError'> {
  const tasks = swarm?.tasks.filter((task) => task.service === service) ?? [];
  return {
    service: swarm?.services.find(({ name }) => name === service) ?? null,
    task: newest(tasks),
    taskError: taskErrorOf(tasks),
  };
}

function newest(tasks: readonly TaskSeen[]): TaskSeen | null {
  return tasks.toSorted((a, b) => a.createdAt.localeCompare(b.createdAt)).at(-1) ?? null;
}

/** The error of the newest task, or of the one before it while the newest has not run yet. */
function taskErrorOf(tasks: readonly TaskSeen[]): string | null {
  const latest = newest(tasks);
  if (latest === null || latest.state === 'running') return null;
  return latest.error ?? newest(tasks.filter(({ error }) => error !== null))?.error ?? null;
}

/** A leader that has just taken over has not heard everybody: silence is no fact yet. */
export function isIntroduced(view: View): boolean {
  return view.nowMs - view.situation.observation.leadingSinceMs > INTRODUCTION_MS;
}
