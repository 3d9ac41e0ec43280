/** The instance's actions on the model: the place of `instance/perform`. */
import { setTimeout as pause } from 'node:timers/promises';
import { OperatingError } from '../../../src/core/errors';
import { forkOf } from '../../../src/core/timelines';
import { compareLsn } from '../../../src/core/lsn';
import { type Upstream } from '../../../src/core/protocol';
import { renderSyncNames } from '../../../src/core/sync';
import { type LocalState } from '../../../src/instance/local-state';
import { type Action } from '../../../src/instance/next-action';
import { afterComparison, rejoinOf, type Standing } from '../../../src/instance/rejoin/ladder';
import { type VolumeMarks } from '../../../src/instance/volume';
import { type Random } from '../kernel/random';
import { type Volume } from './container';
import { type SimLocalPostgres } from './local-postgres';
import { type Data, type Postgres, type PostgresWorld } from './postgres';
import { commonAncestor, lineageOf, lsnText } from './wal';

export interface Performer {
  readonly world: PostgresWorld;
  readonly random: Random;
  readonly cluster: string;
  readonly model: Postgres;
  readonly postgres: SimLocalPostgres;
  readonly state: LocalState;
  readonly volume: Volume;
  readonly newSystemIdentifier: () => string;
}

const SETTLE_MS = 50;
const NOTE_MS = 3;
const STUCK_POLL_MS = 200;
const STOP_LIMITS = { fastMs: 30_000, immediateMs: 5_000 };

type Perform<Kind extends Action['kind']> = (
  performer: Performer,
  action: Extract<Action, { kind: Kind }>,
  signal: AbortSignal,
) => Promise<void>;

const notSimulated = async (): Promise<void> => {
  await Promise.reject(new Error('nothing is restored in the simulation'));
};

const PERFORM: { readonly [Kind in Action['kind']]: Perform<Kind> } = {
  initialise: async (performer, { volumeId }, signal) => {
    await takes(performer, 150, 400, signal);
    performer.model.initialise(performer.newSystemIdentifier());
    await fill(performer, volumeId);
  },
  clone,
  compare: async (performer, { upstream, suspicion }, signal) => {
    const standing = await standingTo(performer, upstream, signal);
    const before = rejoinOf(performer.state.values.rejoin, upstream);
    performer.state.set({ rejoin: afterComparison({ ...before, suspicion }, standing) });
  },
  rewind,
  reclone,
  settle: async ({ model, state, volume, world }) => {
    state.set({ rejoin: null });
    const { oldCopy } = volume;
    if (oldCopy === null) return;
    await pause(SETTLE_MS);
    volume.oldCopy = null;
    mark(volume, state, { hasOldCopy: false });
    world.happen({ kind: 'discarded', server: model.server, had: oldCopy.end, has: model.end });
  },
  'note-term': async ({ state, volume }, { term }) => {
    await pause(NOTE_MS);
    mark(volume, state, { primaryTerm: term });
  },
  'start-primary': start,
  'start-standby': startStandby,
  promote: async ({ postgres }) => await postgres.promote(),
  stop: async ({ postgres }) => await postgres.stop(STOP_LIMITS),
  follow: async ({ model, postgres, state }, { upstream }) => {
    if (model.data !== null) model.data.upstream = upstream;
    state.set({ upstream });
    await postgres.reload();
  },
  reconfigure: async (performer) => {
    await takes(performer, 5, 20);
    const settings = performer.state.values.assignment?.settings ?? null;
    const { data } = performer.model;
    if (settings !== null && data !== null) data.parameters = settings.parameters;
    performer.state.set({ settingsApplied: settings });
    await performer.postgres.reload();
  },
  'ensure-roles': async (performer) => {
    await takes(performer, 5, 20);
    const settings = performer.state.values.assignment?.settings ?? null;
    performer.state.set({ rolesEnsured: settings });
  },
  'ensure-slots': async (performer, { slots }) => {
    await takes(performer, 2, 10);
    const seen = performer.model.data?.slots;
    for (const name of seen ?? []) if (!slots.includes(name)) seen?.delete(name);
    for (const name of slots) seen?.add(name);
    await performer.postgres.observe();
  },
  'advance-slots': async (performer) => await takes(performer, 2, 10),
  'set-sync': async (performer, { sync }) => {
    const { model, postgres, state } = performer;
    await takes(performer, 2, 10);
    if (model.data !== null) model.data.sync = sync;
    await postgres.reload();
    state.set({ syncApplied: renderSyncNames(sync) });
    await postgres.observe();
  },
  restart: async ({ postgres, state }, { requestId }) => {
    await postgres.stop(STOP_LIMITS);
    state.set({ restartedFor: requestId });
  },
  checkpoint: async (performer, { changeId }, signal) => {
    await takes(performer, 20, 300, signal);
    if (performer.model.phase !== 'running') throw unreachable('CheckpointFailed');
    performer.state.set({ checkpointedFor: changeId });
  },
  restore: notSimulated,
  'start-restored': notSimulated,
  'leave-restored': notSimulated,
  'keep-restored': notSimulated,
};

export async function perform(
  performer: Performer,
  action: Action,
  signal: AbortSignal,
): Promise<void> {
  // The compiler cannot see that the entry and the action are of the same kind.
  await (PERFORM[action.kind] as Perform<Action['kind']>)(performer, action, signal);
}

async function start(performer: Performer, _: unknown, signal: AbortSignal): Promise<void> {
  const { model, postgres, state } = performer;
  const { assignment } = state.values;
  const task = assignment?.task;
  const sync = task?.kind === 'primary' || task?.kind === 'standby' ? task.sync : null;
  if (task !== undefined && model.data !== null) model.data.sync = sync;
  const syncApplied = task === undefined ? null : renderSyncNames(sync);
  state.set({ rolesEnsured: null, settingsApplied: null, syncApplied });
  state.noteRestart();
  if (assignment !== null && model.data !== null) {
    model.data.parameters = assignment.settings.parameters;
  }
  await postgres.start(signal);
  if (assignment !== null) state.set({ settingsApplied: assignment.settings });
}

/** As `instance/perform` does it. */
async function startStandby(
  performer: Performer,
  { upstream }: Extract<Action, { kind: 'start-standby' }>,
  signal: AbortSignal,
): Promise<void> {
  const { model, postgres, state } = performer;
  if (model.data === null) throw new Error('nothing to start');
  if (upstream !== null) {
    model.data.upstream = upstream;
    state.set({ upstream });
  }
  model.data.isStandby = true;
  const known = upstream === null ? null : rejoinOf(state.values.rejoin, upstream);
  state.set({ rejoin: known && { ...known, standing: null, suspicion: null } });
  const stuck = new AbortController();
  const watch = setInterval(() => {
    if (postgres.streamProblem !== null) stuck.abort();
  }, STUCK_POLL_MS);
  try {
    await start(performer, null, AbortSignal.any([signal, stuck.signal]));
  } catch (error) {
    if (!stuck.signal.aborted || signal.aborted) throw error;
  } finally {
    clearInterval(watch);
  }
}

async function clone(
  performer: Performer,
  { volumeId, from }: Extract<Action, { kind: 'clone' }>,
  signal: AbortSignal,
): Promise<void> {
  performer.model.data = await copyOf(performer, from, signal);
  await fill(performer, volumeId);
  performer.state.set({ upstream: from });
}

async function reclone(
  performer: Performer,
  { upstream }: Extract<Action, { kind: 'reclone' }>,
  signal: AbortSignal,
): Promise<void> {
  const { model, postgres, state, volume } = performer;
  if (!volume.marks.isHalfRewound) await standingTo(performer, upstream, signal);
  if (volume.oldCopy !== null && model.data?.isStandby === false) {
    throw new OperatingError('refused', 'OldCopyInTheWay', 'there is an old copy already');
  }
  const copy = await copyOf(performer, upstream, signal);
  volume.oldCopy ??= model.data;
  model.data = copy;
  mark(volume, state, { hasOldCopy: true, isHalfRewound: false });
  await postgres.inspect();
  state.set({ rejoin: null, upstream });
}

async function rewind(
  performer: Performer,
  { upstream }: Extract<Action, { kind: 'rewind' }>,
  signal: AbortSignal,
): Promise<void> {
  const { model, postgres, state, volume, world } = performer;
  const standing = await standingTo(performer, upstream, signal);
  state.set({ rejoin: { ...rejoinOf(state.values.rejoin, upstream), standing } });
  if (standing.kind !== 'diverged' || model.data === null) return;
  await takes(performer, 100, 600, signal);
  const source = primaryOn(performer, upstream);
  const had = model.data.end;
  mark(volume, state, { isHalfRewound: true });
  const has = commonAncestor(had, source.end);
  // From here on the data directory cannot be started, until it is done.
  model.data = { ...model.data, end: has, isStandby: true, upstream, slots: new Set() };
  world.happen({ kind: 'discarded', server: model.server, had, has });
  try {
    await takes(performer, 100, 1_500);
    model.data.consistentFrom = primaryOn(performer, upstream).end;
    model.data.clusterState = 'in archive recovery';
    mark(volume, state, { isHalfRewound: false });
    state.set({ rejoin: null });
  } finally {
    await postgres.inspect();
  }
}

/** As `instance/rejoin/compare` does it: by the numbers that both know, which is not the truth. */
async function standingTo(
  performer: Performer,
  upstream: Upstream,
  signal: AbortSignal,
): Promise<Standing> {
  const { model, postgres } = performer;
  await takes(performer, 5, 50, signal);
  primaryOn(performer, upstream);
  if (postgres.report.state !== 'stopped') await postgres.stop(STOP_LIMITS);
  const { end } = primaryOn(performer, upstream);
  const fork = forkOf(lineageOf(model.end), lineageOf(end));
  if (fork === 'unrelated') {
    throw new OperatingError('refused', 'NoCommonTimeline', `nothing of ${upstream.server}'s`);
  }
  if (fork === 'endless') {
    if (model.end.lsn <= end.lsn) return { kind: 'aligned' };
    throw new OperatingError('refused', 'AheadOfUpstream', `${upstream.server} has lost WAL`);
  }
  const isBeyond =
    model.end.branch.timeline !== fork.timeline ||
    compareLsn(lsnText(model.end.lsn), fork.endLsn) > 0;
  return isBeyond ? { kind: 'diverged', fork } : { kind: 'aligned' };
}

async function copyOf(performer: Performer, from: Upstream, signal: AbortSignal): Promise<Data> {
  for (let part = 0; part < 4; part += 1) {
    await takes(performer, 50, 400, signal);
    primaryOn(performer, from);
  }
  const { data } = primaryOn(performer, from);
  if (data === null) throw unreachable('CloneFailed');
  return {
    ...data,
    clusterState: 'in archive recovery',
    isStandby: true,
    upstream: from,
    sync: null,
    slots: new Set(),
  };
}

/** The upstream, when it answers and is a primary. */
function primaryOn({ model, world }: Performer, { host }: Upstream): Postgres {
  const upstream = world.find(host);
  const isThere =
    upstream?.isWritable === true &&
    upstream.process?.isFrozen !== true &&
    world.network.isOpenBothWays('replication', model.host, upstream.host);
  if (upstream === null || !isThere) throw unreachable('UpstreamUnreachable');
  return upstream;
}

async function fill(performer: Performer, volumeId: string): Promise<void> {
  const { cluster, model, postgres, state, volume } = performer;
  const { systemIdentifier } = model.end.branch;
  const tag = { cluster, server: model.server, systemIdentifier, volumeId };
  volume.tag = tag;
  await postgres.inspect();
  state.set({ volume: { kind: 'tagged', tag } });
}

function mark(volume: Volume, state: LocalState, marks: Partial<VolumeMarks>): void {
  volume.marks = { ...volume.marks, ...marks };
  state.set({ marks: volume.marks });
}

async function takes(
  { random }: Performer,
  minMs: number,
  maxMs: number,
  signal?: AbortSignal,
): Promise<void> {
  await pause(random.between(minMs, maxMs), undefined, signal === undefined ? {} : { signal });
}

const unreachable = (code: string): OperatingError =>
  new OperatingError('transient', code, 'the server does not answer');
