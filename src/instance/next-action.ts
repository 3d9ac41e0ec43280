/**
 * What an instance does next: one action, from what it was told and what it sees of itself. Pure
 * and level-driven: the same facts give the same action, whatever happened before, so a lost,
 * repeated or late assignment does no harm.
 *
 * Kept here: nothing is ever started in an empty or foreign volume; a former primary starts only
 * when it is told its role; a data directory with `standby.signal` becomes primary only by a
 * promotion, which begins a new timeline.
 */
import { slotChanges, slotsBehind } from '../adapters/postgres/slots';
import { type SlotSeen } from '../adapters/postgres/observe';
import { type Lsn } from '../core/lsn';
import { type RestoreOrder } from '../core/restore/bootstrap';
import { type RestoreWish } from '../core/restore/task';
import { renderSyncNames } from '../core/sync';
import {
  type PostgresReport,
  type Problem,
  type SyncSet,
  type Task,
  type Upstream,
  type VolumeReport,
  type VolumeTag,
} from '../core/protocol';
import { nextRung, rejoinOf, type Rejoin } from './rejoin/ladder';
import { type VolumeMarks } from './volume';

export type Action =
  | { readonly kind: 'initialise'; readonly volumeId: string; readonly restore?: RestoreOrder }
  | { readonly kind: 'clone'; readonly volumeId: string; readonly from: Upstream }
  | { readonly kind: 'start-primary' }
  /** No upstream: the one that was configured last. */
  | { readonly kind: 'start-standby'; readonly upstream: Upstream | null }
  /** Look whether this server can follow the upstream as it is; stops it when it runs. */
  | { readonly kind: 'compare'; readonly upstream: Upstream; readonly suspicion: string | null }
  | { readonly kind: 'rewind'; readonly upstream: Upstream; readonly because: string }
  | { readonly kind: 'reclone'; readonly upstream: Upstream; readonly because: string }
  /** It streams: nothing of the way back is needed any more. */
  | { readonly kind: 'settle' }
  | { readonly kind: 'promote' }
  | { readonly kind: 'note-term'; readonly term: number }
  | { readonly kind: 'stop' }
  /** `misledBy`: the address that led nowhere. */
  | { readonly kind: 'follow'; readonly upstream: Upstream; readonly misledBy?: string }
  | { readonly kind: 'reconfigure' }
  | { readonly kind: 'ensure-roles' }
  | { readonly kind: 'ensure-slots'; readonly slots: readonly string[] }
  /** Slots that are mirrored here let WAL go that their standby has long had. */
  | { readonly kind: 'advance-slots'; readonly to: Readonly<Record<string, Lsn>> }
  | { readonly kind: 'set-sync'; readonly sync: SyncSet | null }
  | { readonly kind: 'restart'; readonly requestId: string }
  | { readonly kind: 'checkpoint'; readonly changeId: string }
  /** Recover the copy, or start it again, where nobody reaches it. */
  | { readonly kind: 'start-restored'; readonly id: string }
  /** Bring a copy into the place of the data, and set that aside. */
  | { readonly kind: 'restore'; readonly order: RestoreWish }
  /** Bring the data from before back into its place; the copy is thrown away. */
  | { readonly kind: 'leave-restored' }
  /** The copy is the data from now on; what was set aside is removed. */
  | { readonly kind: 'keep-restored' };

/** What the tenure allows. */
export interface Permission {
  /** PostgreSQL may be started as primary: there is a lease with room in it, or none is needed. */
  readonly mayBegin: boolean;
  /** It may be promoted: moreover, no promise to another primary is running. */
  readonly mayPromote: boolean;
}

export interface LocalFacts extends Permission {
  /** null until the first assignment of this boot. */
  readonly task: Task | null;
  readonly term: number | null;
  readonly volume: VolumeReport;
  readonly marks: VolumeMarks;
  readonly rejoin: Rejoin | null;
  readonly postgres: PostgresReport;
  /** The upstream written by this boot; null when unknown. */
  readonly upstream: Upstream | null;
  /** The server has been told the settings of the present assignment. */
  readonly hasSettings: boolean;
  /** The roles have been looked at since the server became primary. */
  readonly hasRoles: boolean;
  /** null until seen. */
  readonly slots: readonly SlotSeen[] | null;
  readonly checkpointedFor: string | null;
  /** `synchronous_standby_names` that the running server was told by this boot; null when unknown. */
  readonly syncApplied: string | null;
  readonly restartedFor: string | null;
  readonly positions: Readonly<Record<string, Lsn>>;
  /** The restore whose point was in none of the WAL: another attempt would end like that one. */
  readonly missed: string | null;
  /** PostgreSQL was started where nobody reaches it: what it is does not count. */
  readonly isSecluded: boolean;
  /** Why a standby has not been streaming for a while. */
  readonly streamProblem: Problem | null;
  /** It has not been for longer than any change of role takes. */
  readonly isOutOfReach: boolean;
  /** An address where the upstream was not. */
  readonly misledBy: string | null;
}

export interface Decision {
  readonly action: Action | null;
  /** Why the task cannot be done; null when it is done, under way, or about to be. */
  readonly problem: Problem | null;
}

/** The next action; those whose kind has just failed are held back, and do not hold up others. */
export function nextAction(facts: LocalFacts, heldBack: readonly Action['kind'][]): Decision {
  const problem = obstacle(facts);
  if (problem !== null) return { action: null, problem };
  const action = actionsWanted(facts).find(({ kind }) => !heldBack.includes(kind)) ?? null;
  const isIdle = action === null && facts.task?.kind === 'standby';
  return { action, problem: isIdle ? facts.streamProblem : null };
}

/** Whether an action that is under way is not wanted any more, and may be broken off. */
export function isSuperseded(action: Action, task: Task): boolean {
  if (task.kind === 'wait') return false;
  switch (action.kind) {
    case 'initialise':
      return !isSameFilling(action, task);
    case 'clone':
      return task.kind !== 'clone' || task.volumeId !== action.volumeId;
    case 'start-primary':
      return task.kind !== 'primary';
    case 'start-restored':
      return task.kind !== 'restored' || task.order.id !== action.id;
    case 'start-standby':
      return true;
    case 'compare':
    case 'reclone':
      return !follows(task, action.upstream);
    case 'settle':
      return task.kind !== 'standby';
    case 'restore':
      return task.kind !== 'restored' || task.order.id !== action.order.id;
    case 'checkpoint':
      return task.kind !== 'primary' || task.checkpointFor !== action.changeId;
    default:
      // The others are bounded and short; half done, they would only have to be done again. A
      // rewind may be long, but half done it would be lost, and the data directory with it.
      return false;
  }
}

/** Another point or another source is another filling. */
const isSameFilling = (
  { volumeId, restore }: Extract<Action, { kind: 'initialise' }>,
  task: Task,
): boolean =>
  task.kind === 'initialise' &&
  task.volumeId === volumeId &&
  JSON.stringify(task.restore) === JSON.stringify(restore);

/** At another address there is another container of it, and nobody at the one before. */
const follows = (task: Task, { server, address }: Upstream): boolean =>
  task.kind === 'standby' &&
  task.upstream.server === server &&
  (address === undefined || (task.upstream.address ?? address) === address);

function obstacle({ task, volume, marks }: LocalFacts): Problem | null {
  if (task === null || task.kind === 'wait' || task.kind === 'stop') return null;
  if (volume.kind === 'foreign' || volume.kind === 'unusable') {
    const message = `the data volume cannot be used: ${volume.detail}`;
    return { reason: volume.kind === 'foreign' ? 'VolumeForeign' : 'VolumeUnusable', message };
  }
  if (task.kind === 'initialise' || task.kind === 'clone') return null;
  if (volume.kind === 'tagged') {
    if (task.kind === 'standby') return foreignUpstream(volume.tag, task.upstream);
    return marks.isHalfRewound ? HALF_REWOUND : null;
  }
  const message = `to run as ${task.kind}, but the data volume is empty`;
  return { reason: 'VolumeEmpty', message };
}

const HALF_REWOUND: Problem = {
  reason: 'RewindCutShort',
  message:
    'a rewind of this data directory was cut short: it cannot be started. As a standby it would be ' +
    'cloned again',
};

function foreignUpstream({ systemIdentifier }: VolumeTag, upstream: Upstream): Problem | null {
  if (systemIdentifier === upstream.systemIdentifier) return null;
  const message =
    `this data directory has the system identifier ${systemIdentifier}, the upstream ` +
    `${upstream.server} has ${upstream.systemIdentifier}: it cannot be its standby`;
  return { reason: 'UpstreamForeign', message };
}

/** Most urgent first. */
function actionsWanted(facts: LocalFacts): readonly Action[] {
  const { task, volume } = facts;
  if (task === null) return firstContact(facts);
  if (isStray(facts)) return leaving(facts);
  switch (task.kind) {
    case 'wait':
      return [];
    case 'initialise':
      return volume.kind === 'empty' ? [task] : [];
    case 'clone':
      return volume.kind === 'empty'
        ? [{ kind: 'clone', volumeId: task.volumeId, from: task.from }]
        : [];
    case 'primary':
      return asPrimary(facts, task);
    case 'standby':
      return asStandby(facts, task);
    case 'restored':
      return asRestored(facts, task.order);
    case 'stop':
      return isRunning(facts.postgres) ? [{ kind: 'stop' }] : [];
  }
}

/** A restored copy is in the place of the data, and that is what is wanted now. */
function isStray({ task, marks: { restored } }: LocalFacts): boolean {
  if (restored === null) return false;
  return task?.kind === 'standby' || (task?.kind === 'primary' && task.accepted !== restored);
}

function leaving({ postgres: { state } }: LocalFacts): readonly Action[] {
  if (state === 'stopped') return [{ kind: 'leave-restored' }];
  return state === 'stopping' ? [] : [{ kind: 'stop' }];
}

function asRestored(facts: LocalFacts, { id, ...order }: RestoreWish): readonly Action[] {
  const { postgres, marks, isSecluded } = facts;
  const isThere = marks.restored === id;
  switch (postgres.state) {
    case 'stopped':
      if (isThere && facts.missed === id) return [];
      return [
        isThere ? { kind: 'start-restored', id } : { kind: 'restore', order: { id, ...order } },
      ];
    case 'primary':
      return isThere && isSecluded ? settings(facts) : [{ kind: 'stop' }];
    case 'standby':
    case 'starting':
    case 'unknown':
      return isThere && isSecluded ? [] : [{ kind: 'stop' }];
    case 'stopping':
      return [];
  }
}

/** Without an assignment a standby serves reads; a former primary might be one too many. */
function firstContact({ volume, marks, postgres }: LocalFacts): readonly Action[] {
  const isStandby = postgres.state === 'stopped' && postgres.standbySignal && !marks.isHalfRewound;
  return volume.kind === 'tagged' && isStandby ? [{ kind: 'start-standby', upstream: null }] : [];
}

function asPrimary(facts: LocalFacts, task: Extract<Task, { kind: 'primary' }>): readonly Action[] {
  const { postgres } = facts;
  if (facts.isSecluded && isRunning(postgres)) return [{ kind: 'stop' }];
  switch (postgres.state) {
    case 'stopped':
      if (postgres.standbySignal) return [{ kind: 'start-standby', upstream: null }];
      return facts.mayBegin ? [{ kind: 'start-primary' }] : [];
    case 'standby':
      // Nobody could tell it to be promoted, nor see that it is; it starts anew as one that answers.
      if (postgres.isWarm === true) return [{ kind: 'stop' }];
      if (!facts.mayPromote) return [];
      // The first commit after the promotion waits for the right standbys already.
      return [...sync(facts, task.sync), { kind: 'promote' }];
    case 'primary':
      return [
        ...sync(facts, task.sync),
        ...checkpoint(facts, task.checkpointFor),
        ...restart(facts, task.restartFor),
        ...(facts.hasRoles ? [] : [{ kind: 'ensure-roles' } as const]),
        ...slots(facts, task.slots),
        ...settings(facts),
        ...noteTerm(facts),
        ...(facts.marks.restored === null ? [] : [{ kind: 'keep-restored' } as const]),
      ];
    case 'starting':
    case 'stopping':
    case 'unknown':
      return [];
  }
}

function asStandby(facts: LocalFacts, task: Extract<Task, { kind: 'standby' }>): readonly Action[] {
  const { upstream: told } = task;
  const upstream = told.address === facts.misledBy ? byName(told) : told;
  switch (facts.postgres.state) {
    case 'stopped':
      return [wayBack(facts, upstream)];
    case 'primary':
      return [{ kind: 'stop' }];
    case 'standby':
      return [
        ...following(facts, upstream),
        ...suspecting(facts, upstream),
        ...(facts.postgres.isWarm === true ? [] : asking(facts, task)),
        ...settings(facts),
        ...restart(facts, task.restartFor),
        ...settle(facts, upstream),
      ];
    case 'starting':
      return [...following(facts, upstream), ...suspecting(facts, upstream)];
    case 'stopping':
    case 'unknown':
      return [];
  }
}

/** What takes a connection. */
const asking = (facts: LocalFacts, task: Extract<Task, { kind: 'standby' }>): readonly Action[] => [
  ...sync(facts, task.sync),
  ...slots(facts, task.slots),
  ...advance(facts),
];

/** A standby starts as it is; whether it can go on shows then. A former primary is compared first. */
function wayBack({ postgres, marks, rejoin }: LocalFacts, upstream: Upstream): Action {
  const { standing, suspicion, failed } = rejoinOf(rejoin, upstream);
  const isStandby = postgres.state === 'stopped' && postgres.standbySignal;
  if (standing === null && !marks.isHalfRewound) {
    if (isStandby && suspicion === null) return { kind: 'start-standby', upstream };
    return { kind: 'compare', upstream, suspicion };
  }
  const { name, because } = nextRung({
    upstream: upstream.server,
    isHalfRewound: marks.isHalfRewound,
    standing: standing ?? { kind: 'aligned' },
    failed,
  });
  return name === 'start' ? { kind: 'start-standby', upstream } : { kind: name, upstream, because };
}

/** Problems of a stream that do not pass by themselves. */
export const SUSPICIOUS: readonly string[] = [
  'TimelineDiverged',
  'WalRemoved',
  'RecoveryImpossible',
];

function suspecting({ streamProblem }: LocalFacts, upstream: Upstream): readonly Action[] {
  if (streamProblem === null || !SUSPICIOUS.includes(streamProblem.reason)) return [];
  return [{ kind: 'compare', upstream, suspicion: streamProblem.message }];
}

/**
 * Connected is not enough: only a standby that has heard of the upstream's WAL streams. One that is
 * fed from the archives is whole when it runs: only then is it consistent.
 */
function settle(
  { postgres, marks, rejoin, streamProblem }: LocalFacts,
  { slot }: Upstream,
): readonly Action[] {
  if (postgres.state !== 'standby' || streamProblem !== null) return [];
  const streams = postgres.receiver?.status === 'streaming' && postgres.upstreamLsn !== null;
  return (streams || slot === null) && (marks.hasOldCopy || rejoin !== null)
    ? [{ kind: 'settle' }]
    : [];
}

function noteTerm({ term, marks }: LocalFacts): readonly Action[] {
  return term === null || term === marks.primaryTerm ? [] : [{ kind: 'note-term', term }];
}

function sync({ syncApplied }: LocalFacts, wanted: SyncSet | null): readonly Action[] {
  return syncApplied === renderSyncNames(wanted) ? [] : [{ kind: 'set-sync', sync: wanted }];
}

function restart({ restartedFor }: LocalFacts, requestId: string | null): readonly Action[] {
  return requestId === null || requestId === restartedFor ? [] : [{ kind: 'restart', requestId }];
}

function advance({ slots: seen, positions, postgres }: LocalFacts): readonly Action[] {
  if (seen === null || postgres.state !== 'standby') return [];
  const to = slotsBehind(seen, positions, postgres.replayedLsn);
  return Object.keys(to).length === 0 ? [] : [{ kind: 'advance-slots', to }];
}

function checkpoint({ checkpointedFor }: LocalFacts, changeId: string | null): readonly Action[] {
  return changeId === null || changeId === checkpointedFor
    ? []
    : [{ kind: 'checkpoint', changeId }];
}

function slots({ slots: seen }: LocalFacts, wanted: readonly string[]): readonly Action[] {
  if (seen === null) return [];
  const { create, drop } = slotChanges(wanted, seen);
  return create.length + drop.length === 0 ? [] : [{ kind: 'ensure-slots', slots: wanted }];
}

const settings = ({ hasSettings }: LocalFacts): readonly Action[] =>
  hasSettings ? [] : [{ kind: 'reconfigure' }];

function following(
  { upstream: known, isOutOfReach }: LocalFacts,
  upstream: Upstream,
): readonly Action[] {
  const isSame =
    known?.host === upstream.host && known.port === upstream.port && known.slot === upstream.slot;
  if (!isSame) return [{ kind: 'follow', upstream }];
  if (isOutOfReach && known.address !== undefined && known.address === upstream.address) {
    return [{ kind: 'follow', upstream: byName(upstream), misledBy: known.address }];
  }
  const isThere = upstream.address === undefined || upstream.address === known.address;
  return isThere ? [] : [{ kind: 'follow', upstream }];
}

/** Nobody has to answer for where it is: its name is looked up with each connection. */
function byName({ address: _, ...upstream }: Upstream): Upstream {
  return upstream;
}

const isRunning = ({ state }: PostgresReport): boolean =>
  state !== 'stopped' && state !== 'stopping';
