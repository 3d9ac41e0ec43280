/**
 * Every way in which the state record changes. Rules decide when; these functions say what the
 * record becomes. Nothing else writes a state.
 */
import { type ArchivePause } from './archive/pause';
import { type LoadRequest, type LoadResult, type LoadTask } from './backup/load';
import { type BackupRequest, type BackupResult, type BackupTask } from './backup/task';
import { type RestoreWish, type RestoreResult } from './restore/task';
import { type Lsn } from './lsn';
import {
  type RehearsalRequest,
  type RehearsalResult,
  type RehearsalTask,
} from './restore/rehearsal';
import { type Contract, type Divergence, type VolumeTag } from './protocol';
import {
  EVENTS_MAX,
  LOSSES_MAX,
  type ClusterEvent,
  type ClusterState,
  type Loss,
  type Override,
  type Pause,
  type PromotionRequest,
  type Restart,
  type RoleChange,
  type ScheduleState,
  type SyncState,
} from './state';

/** Appends to the history, which is bounded. */
export function withEvent(state: ClusterState, event: Omit<ClusterEvent, 'term'>): ClusterState {
  const events = [...state.events, { ...event, term: state.term }].slice(-EVENTS_MAX);
  return { ...state, events };
}

/** A new leader's first write: from now on every write of the old leader fails. */
export function takenOver(state: ClusterState, leaderEpoch: number): ClusterState {
  return { ...state, leaderEpoch };
}

export function beginInitialising(state: ClusterState, server: string): ClusterState {
  return { ...state, initialising: server };
}

/** The first primary of a cluster, freshly initialised or found on kept volumes. */
export function firstPrimary(
  state: ClusterState,
  primary: string,
  begun: {
    readonly tags: readonly VolumeTag[];
    readonly timeline: number | null;
    readonly contract: Contract | null;
    readonly kind: 'initialised' | 'adopted';
    readonly at: string;
  },
): ClusterState {
  const { tags, timeline, contract, kind, at } = begun;
  const tag = tags.find(({ server }) => server === primary);
  if (tag === undefined) throw new Error(`the first primary ${primary} has no tagged volume`);
  return {
    ...state,
    term: state.term + 1,
    primary,
    systemIdentifier: tag.systemIdentifier,
    initialising: null,
    timeline,
    contract,
    volumes: Object.fromEntries(tags.map(({ server, volumeId }) => [server, { volumeId }])),
    lastChange: { kind, at, from: null, to: primary, writeGapMs: null, lostBytes: 0 },
  };
}

export function volumeRecorded(state: ClusterState, tag: VolumeTag): ClusterState {
  return {
    ...state,
    volumes: { ...state.volumes, [tag.server]: { volumeId: tag.volumeId } },
  };
}

/** A person has said that the data of this server is gone: it may be cloned again. */
export function volumeForgotten(state: ClusterState, server: string): ClusterState {
  const { [server]: _, ...volumes } = state.volumes;
  return { ...state, volumes };
}

export function beginSwitchover(
  state: ClusterState,
  request: {
    readonly to: string;
    readonly generation: number;
    readonly at: string;
    readonly reason: string;
  },
): ClusterState {
  if (state.primary === null) throw new Error('a switchover needs a primary');
  const change: RoleChange = {
    id: `${state.term}.${state.changes + 1}`,
    kind: 'switchover',
    from: state.primary,
    to: request.to,
    phase: 'checkpointing',
    generation: request.generation,
    startedAt: request.at,
    shutdownLsn: null,
    reason: request.reason,
    harmless: null,
    knownLsn: null,
  };
  return { ...state, changes: state.changes + 1, change };
}

export function stopOldPrimary(state: ClusterState, change: RoleChange): ClusterState {
  return { ...state, change: { ...change, phase: 'stopping' } };
}

/** Nobody knows yet who will be primary; from now on the old one gets no lease any more. */
export function beginFailover(
  state: ClusterState,
  request: {
    readonly generation: number;
    readonly at: string;
    readonly reason: string;
    readonly harmless: string | null;
    readonly knownLsn: Lsn | null;
  },
): ClusterState {
  if (state.primary === null) throw new Error('a failover needs a primary that is gone');
  const { generation, at, reason, harmless, knownLsn } = request;
  const change: RoleChange = {
    id: `${state.term}.${state.changes + 1}`,
    kind: 'failover',
    from: state.primary,
    to: null,
    phase: 'electing',
    generation,
    startedAt: at,
    shutdownLsn: null,
    reason,
    harmless,
    knownLsn,
  };
  return { ...state, changes: state.changes + 1, change, restore: null };
}

/** The old primary cannot write any more: what the servers have is asked for again, for good. */
export function countAgain(
  state: ClusterState,
  change: RoleChange,
  harmless: string,
): ClusterState {
  const id = `${state.term}.${state.changes + 1}`;
  return { ...state, changes: state.changes + 1, change: { ...change, id, harmless } };
}

/** The old primary is back, and nobody has taken its place. */
export function giveUpFailover(state: ClusterState): ClusterState {
  return { ...state, change: null };
}

/**
 * The one place where a term begins. The old primary cannot write any more; whoever obeys the new
 * term knows its contract and its synchronous set from the first moment.
 */
export function nameNewPrimary(
  state: ClusterState,
  change: RoleChange,
  next: {
    readonly primary: string;
    readonly contract: Contract | null;
    readonly sync: SyncState;
    readonly override: Override | null;
  },
): ClusterState {
  return {
    ...state,
    ...next,
    term: state.term + 1,
    // It was asked for of another primary's data.
    restore: null,
    change: { ...change, to: next.primary, phase: 'promoting' },
  };
}

/** The new primary accepts writes. */
export function finishChange(
  state: ClusterState,
  change: RoleChange,
  result: {
    readonly timeline: number;
    readonly writeGapMs: number | null;
    readonly lostBytes: number;
    readonly at: string;
  },
): ClusterState {
  const { from, kind } = change;
  const { timeline, ...rest } = result;
  const to = change.to ?? from;
  return {
    ...state,
    timeline,
    change: null,
    refusal: null,
    request: state.request?.to === to ? null : state.request,
    lastChange: { kind, from, to, ...rest },
    losses: kind === 'failover' ? withLoss(state, change, result) : state.losses,
  };
}

/** An estimate, until the old primary has come back and counted. */
function withLoss(
  { losses, term }: ClusterState,
  { from }: RoleChange,
  { lostBytes, at }: { readonly lostBytes: number; readonly at: string },
): readonly Loss[] {
  if (lostBytes === 0) return losses;
  const loss: Loss = {
    term: term - 1,
    server: from,
    at,
    estimatedBytes: lostBytes,
    measured: null,
  };
  return [...losses, loss].slice(-LOSSES_MAX);
}

/** What an old primary has found in its WAL that the new one has not; known once by term and server. */
export function lossMeasured(
  state: ClusterState,
  server: string,
  measured: Divergence,
  at: string,
): ClusterState {
  const isSame = (loss: Loss): boolean => loss.term === measured.term && loss.server === server;
  const known = state.losses.find(isSame);
  const loss: Loss = {
    ...(known ?? { term: measured.term, server, at, estimatedBytes: null }),
    measured,
  };
  const others = state.losses.filter((each) => !isSame(each));
  return { ...state, losses: [...others, loss].slice(-LOSSES_MAX) };
}

export function contractRecorded(state: ClusterState, contract: Contract | null): ClusterState {
  return { ...state, contract };
}

/** The spec and the primary are in agreement again, or the spec asks for something new. */
export function overrideEnded(state: ClusterState): ClusterState {
  return { ...state, override: null };
}

export function timelineRecorded(state: ClusterState, timeline: number): ClusterState {
  return { ...state, timeline };
}

/** The switchover is given up before a new primary was named: the old one is primary as before. */
export function giveUpSwitchover(
  state: ClusterState,
  change: RoleChange,
  why: { readonly because: string; readonly at: string },
): ClusterState {
  const before = state.refusal?.generation === change.generation ? state.refusal.attempts : 0;
  return {
    ...state,
    change: null,
    refusal: {
      generation: change.generation,
      to: change.to ?? change.from,
      attempts: before + 1,
      ...why,
    },
  };
}

/** One of the writes on the way from one synchronous set to another; their order is in `sync.ts`. */
export function syncChanged(state: ClusterState, sync: SyncState): ClusterState {
  return { ...state, sync };
}

// ── what people ask for with a verb ──────────────────────────────────────────────────────────

/** A person wants another primary; null: no more. */
export function promotionRequested(
  state: ClusterState,
  request: PromotionRequest | null,
): ClusterState {
  // What was given up before is tried anew: the person knows of it.
  return { ...state, request, refusal: request === null ? state.refusal : null };
}

/** Nothing is decided any more; null: decisions go on. */
export function pausedFor(state: ClusterState, paused: Pause | null): ClusterState {
  return { ...state, paused };
}

/** PostgreSQL on this server is kept stopped, by nobody's decision but a person's. */
export function serverFenced(state: ClusterState, server: string): ClusterState {
  return { ...state, fenced: [...new Set([...state.fenced, server])].sort() };
}

export function serverUnfenced(state: ClusterState, server: string): ClusterState {
  return { ...state, fenced: state.fenced.filter((name) => name !== server) };
}

/** A new request takes the place of what an earlier one has not done yet. */
export function restartRequested(state: ClusterState, restart: Restart): ClusterState {
  return { ...state, restart };
}

/** The operator itself restarts servers; how often it did for this generation is counted. */
export function rolloutBegun(
  state: ClusterState,
  restart: Required<Omit<Restart, 'id'>>,
  { generation, at }: { readonly generation: number; readonly at: string },
): ClusterState {
  const before = state.rollouts?.generation === generation ? state.rollouts : null;
  const id = `rollout ${state.term}.${state.changes + 1}`;
  return {
    ...state,
    changes: state.changes + 1,
    restart: { id, ...restart },
    rollouts: { generation, since: before?.since ?? at, count: (before?.count ?? 0) + 1 },
  };
}

/** Nobody can relieve the primary: its turn comes in place. */
export function restartInPlace(state: ClusterState): ClusterState {
  const { restart } = state;
  if (restart?.rollout === undefined) return state;
  return { ...state, restart: { ...restart, rollout: { ...restart.rollout, primary: 'last' } } };
}

/** What is not restarted yet stays as it is. */
export const restartEnded = (state: ClusterState): ClusterState => ({ ...state, restart: null });

/** A new pause takes the place of an earlier one on the same server. */
export function archivePaused(
  state: ClusterState,
  servers: readonly string[],
  pause: ArchivePause,
): ClusterState {
  const added = Object.fromEntries(servers.map((server) => [server, pause]));
  return { ...state, archivePauses: { ...state.archivePauses, ...added } };
}

/** Archiving goes on there; the same record when it was not paused. */
export function archiveResumed(state: ClusterState, servers: readonly string[]): ClusterState {
  const pauses = Object.entries(state.archivePauses);
  const left = pauses.filter(([server]) => !servers.includes(server));
  if (left.length === pauses.length) return state;
  return { ...state, archivePauses: Object.fromEntries(left) };
}

export function backupRequested(state: ClusterState, request: BackupRequest): ClusterState {
  return { ...state, backup: { request, begun: null } };
}

export function backupBegun(
  state: ClusterState,
  begun: NonNullable<BackupTask['begun']>,
): ClusterState {
  return state.backup === null ? state : { ...state, backup: { ...state.backup, begun } };
}

export const backupEnded = (state: ClusterState, lastBackup: BackupResult): ClusterState => ({
  ...state,
  backup: null,
  lastBackup,
});

export const loadRequested = (state: ClusterState, request: LoadRequest): ClusterState => ({
  ...state,
  load: { request, begun: null },
});

export const loadBegun = (
  state: ClusterState,
  begun: NonNullable<LoadTask['begun']>,
): ClusterState => (state.load === null ? state : { ...state, load: { ...state.load, begun } });

export const loadEnded = (state: ClusterState, lastLoad: LoadResult): ClusterState => ({
  ...state,
  load: null,
  lastLoad,
});

/** From now on these schedules are followed, and no others. */
export const schedulesFollowed = (
  state: ClusterState,
  schedules: ClusterState['schedules'],
): ClusterState => ({ ...state, schedules });

/** A schedule was due and asks for its backup. */
export function scheduledBackupRequested(
  state: ClusterState,
  request: BackupRequest,
  { name, followed }: { readonly name: string; readonly followed: ScheduleState },
): ClusterState {
  const schedules = { ...state.schedules, [name]: followed };
  return { ...backupRequested(state, request), schedules };
}

/** Also where one has begun and is to begin anew. */
export function rehearsalRequested(state: ClusterState, request: RehearsalRequest): ClusterState {
  return { ...state, rehearsal: { request, begun: null } };
}

/** From now on drills are made at these times; null: not by themselves. */
export const drillScheduleFollowed = (
  state: ClusterState,
  drillSchedule: ScheduleState | null,
): ClusterState => ({ ...state, drillSchedule });

export function rehearsalBegun(
  state: ClusterState,
  begun: NonNullable<RehearsalTask['begun']>,
): ClusterState {
  return state.rehearsal === null ? state : { ...state, rehearsal: { ...state.rehearsal, begun } };
}

export function rehearsalEnded(state: ClusterState, result: RehearsalResult): ClusterState {
  const isDrill = state.rehearsal?.request.kind === 'drill';
  const last = isDrill ? { lastDrill: result } : { lastPreview: result };
  return { ...state, rehearsal: null, ...last };
}

/** Nobody wants to know any more: neither a success nor a failure. */
export const rehearsalCalledOff = (state: ClusterState): ClusterState => ({
  ...state,
  rehearsal: null,
});

/** The restart is done on this server, or is not to be done there any more. */
export function serverRestarted(state: ClusterState, server: string): ClusterState {
  if (state.restart === null) return state;
  const servers = state.restart.servers.filter((name) => name !== server);
  return { ...state, restart: servers.length === 0 ? null : { ...state.restart, servers } };
}

// ── a restore in place ───────────────────────────────────────────────────────────────────────

/** A person asks for a point. What is in the place of the data already stays until it is looked at. */
export function restoreRequested(
  state: ClusterState,
  order: Omit<RestoreWish, 'id'>,
): ClusterState {
  if (state.primary === null) throw new Error('a restore in place needs a primary');
  const before = state.restore ?? { server: state.primary, current: null };
  const wanted = { ...order, id: `r${state.changes + 1}` };
  const restore = { ...before, wanted, decision: null };
  return { ...state, changes: state.changes + 1, restore };
}

/** What a person has decided of what is in the place of the data, or of a wish not begun yet. */
export function restoreDecided(state: ClusterState, decision: 'accept' | 'undo'): ClusterState {
  const { restore } = state;
  // Once it was accepted the copy is the data: a second word changes nothing.
  if (restore === null || restore.decision === 'accepted') return state;
  const isUntouched = restore.current === null;
  return { ...state, restore: isUntouched ? null : { ...restore, wanted: null, decision } };
}

export function refuseRestore(
  state: ClusterState,
  order: RestoreWish,
  words: string,
  at: string,
): ClusterState {
  const { restore } = state;
  const lastRestore: RestoreResult = { id: order.id, at, outcome: 'refused', words };
  const isUntouched = restore?.current === null;
  return {
    ...state,
    lastRestore,
    restore: restore === null || isUntouched ? null : { ...restore, wanted: null },
  };
}

export function beginRestore(state: ClusterState, order: RestoreWish): ClusterState {
  if (state.restore === null) throw new Error('there is no restore to begin');
  return { ...state, restore: { ...state.restore, wanted: null, current: order } };
}

/**
 * A term begins, as with every change of primary, although the server is the same: nobody else has
 * what was restored, and what the others have is of another timeline.
 */
export function promoteRestored(
  state: ClusterState,
  next: { readonly contract: Contract | null; readonly sync: SyncState },
  at: string,
): ClusterState {
  const { restore } = state;
  if (restore?.current == null || restore.server !== state.primary) {
    throw new Error('nothing was restored on the primary');
  }
  const change: RoleChange = {
    id: `${state.term}.${state.changes + 1}`,
    kind: 'restore',
    from: restore.server,
    to: restore.server,
    phase: 'promoting',
    generation: 0,
    startedAt: at,
    shutdownLsn: null,
    reason: 'a restore was accepted',
    harmless: null,
    knownLsn: null,
  };
  return {
    ...nameNewPrimary(state, change, {
      primary: restore.server,
      ...next,
      override: state.override,
    }),
    changes: state.changes + 1,
    timeline: null,
    restore: { ...restore, decision: 'accepted' },
  };
}

export function endRestore(
  state: ClusterState,
  outcome: 'accepted' | 'undone',
  words: string,
  at: string,
): ClusterState {
  const id = state.restore?.current?.id ?? '';
  return { ...state, restore: null, lastRestore: { id, at, outcome, words } };
}
