/**
 * Every way in which the state record changes. Rules decide when; these functions say what the
 * record becomes. Nothing else writes a state.
 */
import { type Lsn } from './lsn';
import { type VolumeTag } from './protocol';
import {
  EVENTS_MAX,
  type ClusterEvent,
  type ClusterState,
  type LastChange,
  type Pause,
  type PromotionRequest,
  type Restart,
  type RoleChange,
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
  tags: readonly VolumeTag[],
  change: Pick<LastChange, 'kind' | 'at'>,
): ClusterState {
  const tag = tags.find(({ server }) => server === primary);
  if (tag === undefined) throw new Error(`the first primary ${primary} has no tagged volume`);
  return {
    ...state,
    term: state.term + 1,
    primary,
    systemIdentifier: tag.systemIdentifier,
    initialising: null,
    volumes: Object.fromEntries(tags.map(({ server, volumeId }) => [server, { volumeId }])),
    lastChange: { ...change, from: null, to: primary, writeGapMs: null, lostBytes: 0 },
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
  request: { readonly to: string; readonly generation: number; readonly at: string },
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
    reason: `declared in generation ${request.generation}`,
    knownLsn: null,
  };
  return { ...state, changes: state.changes + 1, change };
}

export function stopOldPrimary(state: ClusterState, change: RoleChange): ClusterState {
  return { ...state, change: { ...change, phase: 'stopping' } };
}

/** The one place where a term begins: the old primary has reported where its WAL ends. */
export function nameNewPrimary(
  state: ClusterState,
  change: RoleChange,
  shutdownLsn: Lsn,
): ClusterState {
  return {
    ...state,
    term: state.term + 1,
    primary: change.to,
    change: { ...change, phase: 'promoting', shutdownLsn },
  };
}

export function finishSwitchover(
  state: ClusterState,
  change: RoleChange,
  result: { readonly writeGapMs: number | null; readonly at: string },
): ClusterState {
  const { from, to, kind } = change;
  return {
    ...state,
    change: null,
    refusal: null,
    lastChange: { kind, from, to: to ?? from, lostBytes: 0, ...result },
  };
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

// ── what people ask for with a verb ──────────────────────────────────────────────────────────

/** A person wants another primary; null: no more. */
export function promotionRequested(
  state: ClusterState,
  request: PromotionRequest | null,
): ClusterState {
  return { ...state, request };
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

/** The restart is done on this server, or is not to be done there any more. */
export function serverRestarted(state: ClusterState, server: string): ClusterState {
  if (state.restart === null) return state;
  const servers = state.restart.servers.filter((name) => name !== server);
  return { ...state, restart: servers.length === 0 ? null : { ...state.restart, servers } };
}
