/** The actions themselves. Each is idempotent: it may have been half done before. */
import { statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { readControlData, readControlFields } from '../adapters/postgres/control-data';
import { writeDurably } from '../adapters/postgres/durable-files';
import { explainFailure } from '../adapters/postgres/failures';
import { LocalConnection } from '../adapters/postgres/local-connection';
import {
  cloneDirectory,
  initialiseDirectory,
  majorVersion,
  type FillOptions,
} from '../adapters/postgres/new-data-directory';
import { ensureRoles } from '../adapters/postgres/roles';
import { advanceSlots, ensureSlots } from '../adapters/postgres/slots';
import { CHECKPOINT } from '../adapters/postgres/sql';
import { prepareUpstream } from '../adapters/postgres/upstream-check';
import { type Log } from '../adapters/log';
import { OperatingError } from '../core/errors';
import { REPLICATION_ROLE } from '../core/names';
import { type Upstream } from '../core/protocol';
import { renderSettings, type Machine } from '../core/settings';
import { renderSyncNames } from '../core/sync';
import {
  forgetKeptSettings,
  keepSettings,
  writeHba,
  writeStandbySignal,
  writeSync,
  writeUpstream,
} from './data-directory';
import {
  configure,
  limitsOfPrimary,
  reconfigure,
  renderAccess,
  settingsOf,
  startAsBefore,
  writeCheckedSettings,
} from './configuration';
import { type Archive } from './archive/archive';
import { type Backups } from './backup/backups';
import { type InstanceEnvironment, type Secrets } from './environment';
import { type LocalPostgres } from './local-postgres';
import { type LocalState } from './local-state';
import { SUSPICIOUS, type Action } from './next-action';
import { compare } from './rejoin/compare';
import { beforeStart, isOfNote, rejoinOf } from './rejoin/ladder';
import { reclone, type Commit, type Copying } from './rejoin/reclone';
import { rewind } from './rejoin/rewind';
import { settle } from './rejoin/settle';
import { restoring } from './restore/new-cluster';
import { type RoomKeeper } from './room-keeper';
import { readRestoreNote } from './restore/in-place';
import {
  keepRestored,
  leaveRestored,
  openRestored,
  restoreCopy,
  startRestored,
} from './restore/restore-copy';
import { type Restoring } from './restore/restoring';
import { type Summaries } from './summaries';
import {
  beginFilling,
  commitFilling,
  dataDirectory,
  notePrimaryTerm,
  openVolume,
  readMarks,
} from './volume';

export interface Performer {
  readonly environment: InstanceEnvironment;
  readonly secrets: Secrets;
  readonly machine: Machine;
  readonly postgres: LocalPostgres;
  readonly room: RoomKeeper;
  readonly archive: Archive;
  readonly backups: Backups;
  readonly restoring: Restoring;
  readonly summaries: Summaries;
  readonly state: LocalState;
  readonly log: Log;
}

/** A demotion that takes longer is not orderly any more; the switchover is given up long before. */
const STOP_LIMITS = { fastMs: 30_000, immediateMs: 5000 };
const CHECKPOINT_MAX_MS = 60 * 60_000;
/** A standby that cannot become consistent never accepts connections: it is not waited for. */
const STUCK_POLL_MS = 200;

type Perform<Kind extends Action['kind']> = (
  performer: Performer,
  action: Extract<Action, { kind: Kind }>,
  signal: AbortSignal,
) => Promise<void>;

const PERFORM: { readonly [Kind in Action['kind']]: Perform<Kind> } = {
  initialise: async (performer, { volumeId, restore }, signal) => {
    const write = restore === undefined ? initialiseDirectory : restoring(performer, restore);
    await fill(performer, signal, write, committing(performer, volumeId));
  },
  clone: async (performer, { volumeId, from }, signal) =>
    await copy(performer, { from, commit: committing(performer, volumeId) }, signal),
  compare,
  rewind,
  reclone: async (performer, action, signal) =>
    await reclone(
      performer,
      action,
      signal,
      async (copying) => await copy(performer, copying, signal),
    ),
  settle,
  'start-primary': async (performer, _, signal) => {
    if (performer.state.values.marks.restored !== null) {
      await openArchive(performer);
      await openRestored(performer);
    }
    await start(performer, signal);
  },
  'start-standby': startStandby,
  promote: async ({ postgres, archive, summaries, state }) => {
    await archive.whilePromoting(
      async () => await summaries.whilePromoting(async () => await postgres.promote()),
    );
    // It waits for nobody's limits any more.
    if (state.values.heldBack.length > 0) state.set({ settingsApplied: null });
  },
  stop: async ({ postgres }) => await postgres.stop(STOP_LIMITS),
  follow: async (performer, { upstream, misledBy }) => {
    if (misledBy !== undefined) performer.state.set({ misledBy });
    await configureUpstream(performer, upstream);
    await performer.postgres.reload();
    performer.postgres.forgetStreamFailures();
  },
  'note-term': async ({ environment, state }, { term }) => {
    await notePrimaryTerm(environment.dataVolume, term);
    state.set({ marks: await readMarks(environment.dataVolume) });
  },
  reconfigure,
  'ensure-roles': provideRoles,
  'ensure-slots': async ({ postgres }, { slots }) => {
    await ensureSlots(postgres.connection, slots, postgres.rare?.slots ?? []);
    await postgres.observe();
  },
  'advance-slots': async ({ postgres }, { to }) => {
    await advanceSlots(postgres.connection, to);
    await postgres.observe();
  },
  'set-sync': setSync,
  restart: async ({ postgres, state }, { requestId }) => {
    await postgres.stop(STOP_LIMITS);
    // What has not worked before may work now: somebody may have given the machine what it lacked.
    state.set({ restartedFor: requestId, refused: null });
  },
  checkpoint,
  restore: async (performer, action, signal) => {
    const { environment, machine, state } = performer;
    const settings = settingsOf(state);
    await openArchive(performer);
    await restoreCopy(performer, action, signal, async (directory) => {
      await writeCheckedSettings({ environment }, directory, renderSettings(settings, machine));
      await writeHba(directory, await renderAccess(performer), async () => await Promise.resolve());
    });
  },
  'start-restored': async (performer, action, signal) => {
    await startRestored(performer, action, signal, async () => {
      await start(performer, signal, { isSecluded: true });
    });
  },
  'leave-restored': leaveRestored,
  'keep-restored': keepRestored,
};

/** Returns when it is done; rejects with an AbortError when `signal` struck before. */
export async function perform(
  performer: Performer,
  action: Action,
  signal: AbortSignal,
): Promise<void> {
  // The compiler cannot see that the entry and the action are of the same kind.
  await (PERFORM[action.kind] as Perform<Action['kind']>)(performer, action, signal);
}

/** What is known of the machine; writes the password file under the directory that dies with it. */
export async function prepareMachine(
  environment: InstanceEnvironment,
  secrets: Secrets,
): Promise<Machine> {
  const { runDirectory, dataVolume } = environment;
  const passfile = join(runDirectory, 'passfile');
  await writeDurably(passfile, `*:*:*:${REPLICATION_ROLE}:${secrets.replication}\n`);
  const volume = await statfs(dataVolume).catch(() => ({ blocks: 0, bsize: 0 }));
  return {
    server: environment.server,
    majorVersion: await majorVersion(environment.binDirectory),
    port: environment.postgresPort,
    socketDirectory: runDirectory,
    passfile,
    volumeBytes: volume.blocks * volume.bsize,
    wal: { command: environment.walCommand, socket: join(runDirectory, 'wal.sock') },
  };
}

async function copy(
  performer: Performer,
  { from, because = '', commit }: Copying,
  signal: AbortSignal,
): Promise<void> {
  const { machine, secrets, state } = performer;
  await prepareUpstream(from, secrets.replication).catch((error: unknown) => {
    const attempted = `looking at ${from.server} (${from.host}:${from.port}) before cloning from it`;
    throw explainFailure(error, { attempted, otherwise: 'CloneFailed' });
  });
  const write = async (options: FillOptions): Promise<void> => {
    const onProgress = (words: string): void =>
      options.onProgress(because === '' ? words : `${words}: ${because}`);
    await cloneDirectory(from, { ...options, onProgress });
    await writeUpstream(options.directory, from, machine);
    await writeStandbySignal(options.directory);
  };
  await fill(performer, signal, write, commit);
  state.set({ upstream: from });
}

/** Fills a new directory; only the last step makes it anything but one to be thrown away. */
async function fill(
  performer: Performer,
  signal: AbortSignal,
  write: (options: FillOptions) => Promise<void>,
  commit: Commit,
): Promise<void> {
  const { environment, machine, postgres, state } = performer;
  const { binDirectory, dataVolume, cluster, server } = environment;
  const settings = settingsOf(state);
  const onProgress = (busy: string): void => state.set({ busy });
  try {
    const directory = await beginFilling(dataVolume);
    await write({ directory, machine, binDirectory, signal, onProgress });
    const limits = await limitsOfPrimary(directory, binDirectory);
    await writeCheckedSettings(
      { environment },
      directory,
      renderSettings(settings, machine, limits),
    );
    await forgetKeptSettings(directory);
    await writeHba(directory, await renderAccess(performer), async () => await Promise.resolve());
    const { systemIdentifier } = await readControlData(directory, binDirectory);
    signal.throwIfAborted();
    await commit(systemIdentifier);
    await postgres.inspect();
    state.set({ volume: await openVolume(dataVolume, { cluster, server }) });
  } finally {
    state.set({ busy: null });
  }
}

const committing =
  ({ environment }: Performer, volumeId: string): Commit =>
  async (systemIdentifier) => {
    const { dataVolume, cluster, server } = environment;
    await commitFilling(dataVolume, { cluster, server, systemIdentifier, volumeId });
  };

async function startStandby(
  performer: Performer,
  { upstream }: Extract<Action, { kind: 'start-standby' }>,
  signal: AbortSignal,
): Promise<void> {
  const { environment, postgres, state } = performer;
  if (upstream !== null) await configureUpstream(performer, upstream);
  await writeStandbySignal(dataDirectory(environment.dataVolume));
  const known = upstream === null ? null : beforeStart(rejoinOf(state.values.rejoin, upstream));
  state.set({ rejoin: known !== null && isOfNote(known) ? known : null });
  // What was said before this start is not about it.
  postgres.forgetStreamFailures();
  const stuck = new AbortController();
  const watch = setInterval(() => {
    if (postgres.streamProblem !== null) stuck.abort();
  }, STUCK_POLL_MS);
  try {
    await start(performer, AbortSignal.any([signal, stuck.signal]));
  } catch (error) {
    if (stuck.signal.aborted && !signal.aborted) return;
    const isSuspicious = error instanceof OperatingError && SUSPICIOUS.includes(error.code);
    if (known !== null && isSuspicious) {
      state.set({ rejoin: { ...known, suspicion: error.message } });
    }
    throw error;
  } finally {
    clearInterval(watch);
  }
}

/**
 * Without an assignment yet, a server starts with the settings that it had before; and so it does
 * when the new ones are refused: they are tried again, and complained of, once it runs.
 */
async function start(
  performer: Performer,
  signal: AbortSignal,
  options: { readonly isSecluded?: boolean } = {},
): Promise<void> {
  const { environment, postgres, state } = performer;
  await performer.room.beforeStart();
  await openArchive(performer);
  const starting = async (): Promise<void> => await postgres.start(signal, options);
  const { task } = state.values.assignment ?? {};
  const sync = task?.kind === 'primary' || task?.kind === 'standby' ? task.sync : null;
  // A set that is not known any more stays in force until a leader says better.
  if (task !== undefined) await writeSync(dataDirectory(environment.dataVolume), sync);
  const syncApplied = task === undefined ? null : renderSyncNames(sync);
  state.set({ rolesEnsured: null, settingsApplied: null, syncApplied });
  state.noteRestart();
  try {
    if (state.values.assignment === null) await starting();
    else state.set({ settingsApplied: await configure(performer, starting) });
  } catch (error) {
    // Former settings would open the doors of a copy that nobody may reach.
    if (options.isSecluded === true) throw error;
    await startAsBefore(performer, error, { starting, signal });
  }
  await keepSettings(dataDirectory(environment.dataVolume));
}

/** Of the database in the data directory, for PostgreSQL to find it when it starts. */
async function openArchive({ environment, archive, backups, postgres }: Performer): Promise<void> {
  const { report } = postgres;
  const known = report.state === 'stopped' ? report.control?.systemIdentifier : undefined;
  if (known === undefined || known !== archive.database?.systemIdentifier) {
    const directory = dataDirectory(environment.dataVolume);
    const fields = await readControlFields(directory, environment.binDirectory);
    const { systemIdentifier } = fields;
    archive.use({ systemIdentifier, segmentBytes: Number(fields.segmentBytes) });
    backups.use(systemIdentifier);
  }
  const note = await readRestoreNote(environment.dataVolume);
  const timeline = note?.target.timeline;
  archive.replayTo(
    typeof timeline === 'number' ? { timeline, endLsn: note?.walEndsAtLsn ?? null } : null,
  );
  await archive.prepare();
}

/** In force when this returns: a promotion that follows finds it so (manual: "pg_reload_conf"). */
async function setSync(
  { environment, postgres, state }: Performer,
  { sync }: Extract<Action, { kind: 'set-sync' }>,
): Promise<void> {
  await writeSync(dataDirectory(environment.dataVolume), sync);
  await postgres.reload();
  await postgres.untilSetting('synchronous_standby_names', renderSyncNames(sync));
  state.set({ syncApplied: renderSyncNames(sync) });
}

async function configureUpstream(
  { environment, machine, state }: Performer,
  upstream: Upstream,
): Promise<void> {
  await writeUpstream(dataDirectory(environment.dataVolume), upstream, machine);
  state.set({ upstream });
}

async function provideRoles({ postgres, secrets, state }: Performer): Promise<void> {
  const settings = settingsOf(state);
  const { owner, database } = settings;
  await ensureRoles(postgres.connection, { owner, database, passwords: secrets });
  state.set({ rolesEnsured: settings });
}

/** On a connection of its own: a CHECKPOINT takes its time, and the server is observed meanwhile. */
async function checkpoint(
  { environment, machine, state }: Performer,
  { changeId }: Extract<Action, { kind: 'checkpoint' }>,
  signal: AbortSignal,
): Promise<void> {
  const { socketDirectory, port } = machine;
  const connection = new LocalConnection({ socketDirectory, port });
  const breakOff = (): void => connection.close();
  signal.addEventListener('abort', breakOff, { once: true });
  try {
    await connection.query(CHECKPOINT, { timeoutMs: CHECKPOINT_MAX_MS });
    state.set({ checkpointedFor: changeId });
  } catch (error) {
    signal.throwIfAborted();
    throw explainFailure(error, {
      attempted: `CHECKPOINT on ${environment.server}`,
      otherwise: 'CheckpointFailed',
    });
  } finally {
    signal.removeEventListener('abort', breakOff);
    connection.close();
  }
}
