/**
 * What each instance is told to be. It follows from the record alone, plus what is seen of the
 * volumes: an operator that takes over gives the same assignments as the one before it.
 */
import { POSTGRES_PORT, slotName } from './names';
import {
  HEARTBEAT_MS,
  type Assignment,
  type InstanceSettings,
  type Task,
  type Upstream,
} from './protocol';
import { volumeObstacle } from './rules/servers';
import { type ServerView, type View } from './situation';
import { type Spec } from './spec';
import { type ClusterState } from './state';

/**
 * While the write gap is open the target looks at its position all the time, and reports each move
 * at once; more reports than that would only take processor time from the change itself.
 */
const REPORT_WHILE_STOPPING_MS = 100;
const REPORT_WHILE_CHECKPOINTING_MS = 250;

/** The whole assignment of one server of the spec. */
export function assignmentFor(view: View, server: ServerView): Assignment {
  const { spec, state } = view;
  return {
    cluster: spec.cluster,
    server: server.name,
    leaderEpoch: state.leaderEpoch,
    term: state.term,
    task: taskFor(view, server),
    settings: settingsOf(spec),
    ttlMs: spec.failover.ttlMs,
    rollCall: null,
    reportEveryMs: reportEveryMs(state, server.name),
  };
}

export function settingsOf(spec: Spec): InstanceSettings {
  const { parameters, hba, database, owner } = spec.postgres;
  return { parameters, hba, database, owner, subnet: spec.network.subnet };
}

function reportEveryMs({ change }: ClusterState, server: string): number {
  if (change === null || (server !== change.from && server !== change.to)) return HEARTBEAT_MS;
  if (change.phase === 'checkpointing') return REPORT_WHILE_CHECKPOINTING_MS;
  return server === change.to ? REPORT_WHILE_STOPPING_MS : HEARTBEAT_MS;
}

const wait = (because: string): Task => ({ kind: 'wait', because });

function taskFor(view: View, server: ServerView): Task {
  const { state } = view;
  if (view.situation.record.deletion !== null) return wait('the cluster is being deleted');
  if (state.systemIdentifier === null) return firstTask(view, server);
  const obstacle = volumeObstacle(server, view);
  if (obstacle !== null) return wait(obstacle);
  return server.name === state.primary ? primaryTask(view, server) : standbyTask(view, server);
}

/** Before the first primary: one server is initialised, the others do nothing. */
function firstTask({ state }: View, { name, volume }: ServerView): Task {
  if (state.initialising !== name) return wait('the cluster has no primary yet');
  return volume?.kind === 'empty'
    ? { kind: 'initialise', volumeId: volumeId(state, name) }
    : wait('initialised; it is about to become the first primary');
}

function primaryTask({ state, spec }: View, { name, volume }: ServerView): Task {
  const { change } = state;
  if (volume?.kind === 'empty') return wait('the volume of the primary is empty');
  if (change?.phase === 'stopping') {
    return { kind: 'stop', because: `${change.to ?? 'another server'} is to become primary` };
  }
  return {
    kind: 'primary',
    slots: spec.servers.filter((other) => other.name !== name).map((other) => slotName(other.name)),
    checkpointFor: change?.phase === 'checkpointing' ? change.id : null,
    contract: null,
    sync: null,
    restartFor: null,
  };
}

function standbyTask(view: View, { name, volume }: ServerView): Task {
  const { state, primary } = view;
  // The old primary stays down until the new one is up: the promotion has the machine for itself.
  if (state.change?.phase === 'promoting' && name === state.change.from) {
    return wait(`${state.change.to ?? 'another server'} is being promoted`);
  }
  const upstream = upstreamOf(state, name);
  if (volume?.kind !== 'empty')
    return { kind: 'standby', upstream, slots: [], sync: null, restartFor: null };
  return primary?.asPrimary == null
    ? wait(`to be cloned from ${upstream.server}, which does not accept connections yet`)
    : { kind: 'clone', volumeId: volumeId(state, name), from: upstream };
}

function upstreamOf({ primary, systemIdentifier }: ClusterState, server: string): Upstream {
  if (primary === null || systemIdentifier === null) throw new Error('there is no primary yet');
  return {
    server: primary,
    host: primary,
    port: POSTGRES_PORT,
    slot: slotName(server),
    systemIdentifier,
  };
}

/** One per filling of a volume: a server is filled at most once in a term. */
const volumeId = ({ uid, term }: ClusterState, server: string): string =>
  `${uid.slice(0, 8)}-${server}-${String(term)}`;
