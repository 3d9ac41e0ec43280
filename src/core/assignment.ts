/**
 * What each instance is told to be. It follows from the record alone, plus what is seen of the
 * volumes: an operator that takes over gives the same assignments as the one before it.
 */
import { assignedContract } from './contract';
import { type BackupOrder } from './backup/backup';
import { orderOf, type LoadOrder } from './backup/load';
import { isLate, isShipped } from './late';
import { type Lsn } from './lsn';
import { POSTGRES_PORT, slotName } from './names';
import {
  HEARTBEAT_MS,
  type Assignment,
  type InstanceSettings,
  type Task,
  type Upstream,
} from './protocol';
import { type RehearsalOrder } from './restore/rehearsal';
import { slotsGivenUp } from './rules/room';
import { volumeObstacle } from './rules/servers';
import { syncOfNewPrimary } from './rules/synchronous';
import { restartOrder } from './rollout';
import { type ServerView, type View } from './situation';
import { type LateSpec, type ServerSpec, type Spec } from './spec';
import { type ClusterState } from './state';

/**
 * While the write gap is open the target looks at its position all the time, and reports each move
 * at once; more reports than that would only take processor time from the change itself.
 */
const REPORT_WHILE_STOPPING_MS = 100;
const REPORT_WHILE_CHECKPOINTING_MS = 250;
const REPORT_WHILE_ELECTING_MS = 250;

/** The whole assignment of one server of the spec. */
export function assignmentFor(view: View, server: ServerView): Assignment {
  const { spec, state } = view;
  return {
    cluster: spec.cluster,
    server: server.name,
    leaderEpoch: state.leaderEpoch,
    term: state.term,
    task: taskFor(view, server),
    settings: {
      ...settingsOf(spec, server.name === state.primary ? undefined : server.spec.late),
      ...(isOnTrial(state, server.name) ? { isIsolated: true } : {}),
    },
    generation: view.generation,
    // Whoever has just started does not know what it has promised: it waits for the longest.
    ttlMs: Math.max(spec.failover.ttlMs, state.contract?.ttlMs ?? 0),
    rollCall: rollCallOf(state),
    others: spec.servers.map(({ name }) => name).filter((name) => name !== server.name),
    backup: backupOrder(view, server),
    rehearsal: rehearsalOrder(view, server),
    prospect: state.restore?.server === server.name ? state.restore.wanted : null,
    load: loadOrder(view, server),
    reportEveryMs: reportEveryMs(state, server.name),
  };
}

/**
 * A standby begins a backup at the last checkpoint of the primary's that it has seen, and that must
 * not be older than the backup to which only the changes are stored: a new one is made first.
 */
function checkpointForBackup({ state, servers }: View): string | null {
  const begun = state.backup?.begun ?? null;
  if (begun === null || begun.order.parent === null || begun.server === state.primary) return null;
  const { report } = servers.find(({ name }) => name === begun.server) ?? { report: null };
  const isUnderWay = report?.backup?.id === begun.order.id;
  return isUnderWay || state.change !== null ? null : begun.order.id;
}

/** Once it is under way it stays; before, it waits for a PostgreSQL that it can be taken from. */
function backupOrder(view: View, { name, report, ...server }: ServerView): BackupOrder | null {
  const begun = view.state.backup?.begun ?? null;
  if (begun?.server !== name) return null;
  const { order } = begun;
  if (report?.backup?.id === order.id) return order;
  const awaited = checkpointForBackup(view);
  const isDone = awaited === null || view.primary?.report?.checkpointedFor === awaited;
  return isDone && (server.asPrimary ?? server.asStandby) !== null ? order : null;
}

/** It begins on a server that runs, and never goes on where the role changes. */
function rehearsalOrder({ state }: View, server: ServerView): RehearsalOrder | null {
  const { name, report, asPrimary, asStandby } = server;
  const begun = state.rehearsal?.begun;
  if (begun?.server !== name || hasBetterToDo(state, name)) return null;
  const isUnderWay = report?.rehearsal?.id === begun.order.id;
  return isUnderWay || (asPrimary ?? asStandby) !== null ? begun.order : null;
}

const hasBetterToDo = ({ change, restore, fenced }: ClusterState, server: string): boolean =>
  restore !== null || [change?.from, change?.to, ...fenced].includes(server);

/** Only for the boot in which it was begun: nobody else may begin it again. */
function loadOrder({ state: { load, primary } }: View, server: ServerView): LoadOrder | null {
  if (load === null || load.begun?.server !== server.name || primary !== server.name) return null;
  return server.report?.bootId === load.begun.bootId ? orderOf(load.request) : null;
}

/** The same by name; null for a server that the spec does not list. */
export function assignmentIn(view: View | null, name: string): Assignment | null {
  const server = view?.servers.find((each) => each.name === name);
  return view === null || server === undefined ? null : assignmentFor(view, server);
}

/** How far everybody is, by the primary's last report. */
export function positionsIn({ primary }: View): Readonly<Record<string, Lsn>> {
  const postgres = primary?.lastReport?.postgres;
  if (primary === null || postgres?.state !== 'primary') return {};
  const flushed = postgres.standbys.flatMap(({ server, flushedLsn }) =>
    flushedLsn === null ? [] : [[server, flushedLsn] as const],
  );
  return Object.fromEntries([...flushed, [primary.name, postgres.lsn]]);
}

/** A primary is not late, whatever it was: one that was promoted all the same must be reachable. */
function settingsOf(spec: Spec, late: LateSpec | undefined): InstanceSettings {
  const { parameters, hba, database, owner } = spec.postgres;
  const { network, archive, backup } = spec;
  const { retention } = backup;
  const { subnet } = network;
  const settings = { parameters, hba, database, owner, subnet, archive, retention };
  return late === undefined ? settings : { ...settings, late };
}

/** While an old primary is on its way out everybody is asked, and may promise nothing. */
const rollCallOf = ({ change }: ClusterState): string | null =>
  change?.phase === 'electing' || change?.phase === 'stopping' ? change.id : null;

function reportEveryMs({ change }: ClusterState, server: string): number {
  if (change?.phase === 'electing') return REPORT_WHILE_ELECTING_MS;
  if (change === null || (server !== change.from && server !== change.to)) return HEARTBEAT_MS;
  if (change.phase === 'checkpointing') return REPORT_WHILE_CHECKPOINTING_MS;
  return server === change.to ? REPORT_WHILE_STOPPING_MS : HEARTBEAT_MS;
}

const wait = (because: string): Task => ({ kind: 'wait', because });

function taskFor(view: View, server: ServerView): Task {
  const { state } = view;
  if (view.situation.record.deletion !== null) return wait('the cluster is being deleted');
  if (state.systemIdentifier === null) return firstTask(view, server);
  if (state.fenced.includes(server.name)) {
    return { kind: 'stop', because: 'it is kept stopped by `pgswarm fence`' };
  }
  const obstacle = volumeObstacle(server, view);
  if (obstacle !== null) return wait(obstacle);
  return restoreTask(state, server.name) ?? taskInRole(view, server);
}

const taskInRole = (view: View, server: ServerView): Task =>
  server.name === view.state.primary ? primaryTask(view, server) : standbyTask(view, server);

/** The others stay as they are, stopped, until it is decided which data they have to follow. */
function restoreTask({ restore }: ClusterState, server: string): Task | null {
  if (restore?.current == null) return null;
  if (server !== restore.server) {
    return { kind: 'stop', because: `${restore.server} is being restored` };
  }
  const isUndecided = restore.decision === null || restore.decision === 'accept';
  return isUndecided ? { kind: 'restored', order: restore.current } : null;
}

const isOnTrial = (state: ClusterState, server: string): boolean =>
  restoreTask(state, server)?.kind === 'restored';

/** Before the first primary: one server is initialised, the others do nothing. */
function firstTask({ state, spec }: View, { name, volume }: ServerView): Task {
  if (state.initialising !== name) return wait('the cluster has no primary yet');
  return volume?.kind === 'empty'
    ? { kind: 'initialise', volumeId: volumeId(state, name), ...spec.bootstrap }
    : wait('initialised; it is about to become the first primary');
}

function primaryTask(view: View, server: ServerView): Task {
  const { volume } = server;
  const { state } = view;
  const { change } = state;
  if (volume?.kind === 'empty') return wait('the volume of the primary is empty');
  if (change?.phase === 'stopping') {
    return { kind: 'stop', because: `${change.to ?? 'another server'} is to become primary` };
  }
  if (change?.phase === 'electing') {
    return { kind: 'stop', because: `it was taken for lost: ${change.reason}` };
  }
  return {
    kind: 'primary',
    slots: slotsOfOthers(view, server),
    checkpointFor: change?.phase === 'checkpointing' ? change.id : checkpointForBackup(view),
    contract: assignedContract(view),
    sync: state.sync.wanted,
    restartFor: restartOrder(view, server),
    ...acceptedRestore(state),
  };
}

const acceptedRestore = ({ restore }: ClusterState): { readonly accepted?: string } =>
  restore?.decision === 'accepted' && restore.current !== null
    ? { accepted: restore.current.id }
    : {};

function standbyTask(view: View, server: ServerView): Task {
  const { name, spec, volume } = server;
  const { state, primary } = view;
  // The old primary stays down until the new one is up: the promotion has the machine for itself.
  const isPromoted = primary?.report !== null;
  if (state.change?.phase === 'promoting' && name === state.change.from && isPromoted) {
    return wait(`${state.change.to ?? 'another server'} is being promoted`);
  }
  const upstream = upstreamOf(view, spec);
  if (volume?.kind !== 'empty') {
    return {
      kind: 'standby',
      upstream,
      // Nobody will ever stream from a server that does not take over.
      slots: isLate(spec) ? [] : slotsOfOthers(view, server),
      sync: syncOfNewPrimary(view, name).wanted,
      restartFor: restartOrder(view, server),
    };
  }
  return primary?.asPrimary == null
    ? wait(`to be cloned from ${upstream.server}, which does not accept connections yet`)
    : { kind: 'clone', volumeId: volumeId(state, name), from: upstream };
}

/** On the primary for those that stream from it; on a standby for those that will one day. */
function slotsOfOthers(view: View, server: ServerView): readonly string[] {
  const without = [server.name, ...slotsGivenUp(view, server)];
  return view.spec.servers
    .filter((other) => !without.includes(other.name) && !isShipped(other, view.state))
    .map(({ name }) => slotName(name));
}

function upstreamOf({ state, situation }: View, server: ServerSpec): Upstream {
  const { primary, systemIdentifier } = state;
  if (primary === null || systemIdentifier === null) throw new Error('there is no primary yet');
  // However old that is: as long as it has said nothing else, it is where it was.
  const address = situation.observation.reports[primary]?.report.address;
  return {
    server: primary,
    host: primary,
    ...(address === undefined ? {} : { address }),
    port: POSTGRES_PORT,
    slot: isShipped(server, state) ? null : slotName(server.name),
    systemIdentifier,
  };
}

/** One per filling of a volume: a server is filled at most once in a term. */
const volumeId = ({ uid, term }: ClusterState, server: string): string =>
  `${uid.slice(0, 8)}-${server}-${String(term)}`;
