/** The instance's actions on the model: the place of `instance/perform`. */
import { setTimeout as pause } from 'node:timers/promises';
import { OperatingError } from '../../../src/core/errors';
import { type VolumeTag } from '../../../src/core/protocol';
import { renderSyncNames } from '../../../src/core/sync';
import { type LocalState } from '../../../src/instance/local-state';
import { type Action } from '../../../src/instance/next-action';
import { type Random } from '../kernel/random';
import { type SimLocalPostgres } from './local-postgres';
import { type Postgres, type PostgresWorld } from './postgres';

export interface Performer {
  readonly world: PostgresWorld;
  readonly random: Random;
  readonly cluster: string;
  readonly model: Postgres;
  readonly postgres: SimLocalPostgres;
  readonly state: LocalState;
  /** The volume outlives the container. */
  readonly tagVolume: (tag: VolumeTag) => void;
  readonly newSystemIdentifier: () => string;
}

const STOP_LIMITS = { fastMs: 30_000, immediateMs: 5_000 };

type Perform<Kind extends Action['kind']> = (
  performer: Performer,
  action: Extract<Action, { kind: Kind }>,
  signal: AbortSignal,
) => Promise<void>;

const PERFORM: { readonly [Kind in Action['kind']]: Perform<Kind> } = {
  initialise: async (performer, { volumeId }, signal) => {
    await takes(performer, 150, 400, signal);
    performer.model.initialise(performer.newSystemIdentifier());
    await fill(performer, volumeId);
  },
  clone,
  'start-primary': start,
  'start-standby': async (performer, { upstream }, signal) => {
    const { model, state } = performer;
    if (model.data === null) throw new Error('nothing to start');
    if (upstream !== null) {
      model.data.upstream = upstream;
      state.set({ upstream });
    }
    model.data.isStandby = true;
    await start(performer, null, signal);
  },
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
  await postgres.start(signal);
  if (assignment !== null) state.set({ settingsApplied: assignment.settings });
}

async function clone(
  performer: Performer,
  { volumeId, from }: Extract<Action, { kind: 'clone' }>,
  signal: AbortSignal,
): Promise<void> {
  const { model, state, world } = performer;
  const upstream = world.find(from.host);
  const isThere = (): boolean =>
    upstream?.phase === 'running' &&
    !upstream.process?.isFrozen &&
    world.network.isOpenBothWays('replication', model.host, upstream.host);
  for (let part = 0; part < 4; part += 1) {
    await takes(performer, 50, 400, signal);
    if (!isThere()) throw unreachable('CloneFailed');
  }
  if (upstream?.data == null) throw unreachable('CloneFailed');
  model.data = {
    ...upstream.data,
    clusterState: 'in archive recovery',
    isStandby: true,
    upstream: from,
    sync: null,
    slots: new Set(),
  };
  await fill(performer, volumeId);
  state.set({ upstream: from });
}

async function fill(performer: Performer, volumeId: string): Promise<void> {
  const { cluster, model, postgres, state, tagVolume } = performer;
  const { systemIdentifier } = model.end.branch;
  const tag = { cluster, server: model.server, systemIdentifier, volumeId };
  tagVolume(tag);
  await postgres.inspect();
  state.set({ volume: { kind: 'tagged', tag } });
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
