/**
 * The settings of the assignment on their way into a server: tried, written, read, and given up for
 * those from before when PostgreSQL does not start with them.
 */
import { checkHba, checkSettings } from '../adapters/postgres/check-configuration';
import { readLimits } from '../adapters/postgres/control-data';
import { OperatingError } from '../core/errors';
import { type Limits } from '../core/limits';
import { type InstanceSettings, type PostgresReport } from '../core/protocol';
import { heldBackBy, renderHba, renderIsolatedHba, renderSettings } from '../core/settings';
import {
  hasSettings,
  hasStandbySignal,
  raiseLimits,
  restoreHba,
  restoreSettings,
  writeHba,
  writeSettings,
} from './data-directory';
import { type LocalState } from './local-state';
import { operatorNetworks } from './operator-networks';
import { type Performer } from './perform';
import { dataDirectory } from './volume';

/** Writes the settings of the assignment; those that `use` has worked with. */
export async function configure(
  performer: Performer,
  use: () => Promise<void>,
): Promise<InstanceSettings> {
  const { environment, machine, state } = performer;
  const settings = settingsOf(state);
  const directory = dataDirectory(environment.dataVolume);
  performer.archive.compression = settings.archive.compression;
  const limits = await limitsOfPrimary(directory, environment.binDirectory);
  const text = renderSettings(settings, machine, limits);
  if (text !== state.values.refused?.text) {
    await writeCheckedSettings(performer, directory, text);
    state.set({ refused: null });
  }
  state.set({ heldBack: Object.keys(heldBackBy(settings, machine, limits)) });
  await writeHba(directory, await renderAccess(performer), use);
  return settings;
}

export async function reconfigure(performer: Performer): Promise<void> {
  const { environment, postgres, state } = performer;
  let settings: InstanceSettings;
  try {
    settings = await configure(performer, async () => {
      if (!isWarm(postgres.report)) await checkHba(postgres.connection);
    });
  } catch (error) {
    await hasFormerSettings(error, dataDirectory(environment.dataVolume));
    throw error;
  }
  await postgres.reload();
  state.set({ settingsApplied: settings });
}

/** It lets nobody in, so that it can tell of no line that is wrong either. */
const isWarm = (report: PostgresReport): boolean =>
  report.state === 'standby' && report.isWarm === true;

/** Whether settings that were refused leave others to start with, now in their place. */
async function hasFormerSettings(error: unknown, directory: string): Promise<boolean> {
  if (!(error instanceof OperatingError)) return false;
  if (error.code === 'HbaRefused') return await restoreHba(directory);
  return error.code === 'ParameterRefused' && (await hasSettings(directory));
}

/** Failures of a start that its settings may be the cause of. */
const SETTINGS_BLAMED: readonly string[] = [
  'StartFailed',
  'OutOfMemory',
  'ParameterTooLow',
  'SharedMemoryRefused',
];

interface Start {
  readonly starting: () => Promise<void>;
  /** Ends the wait for it. */
  readonly signal: AbortSignal;
}

/**
 * Starts with what is there from before: what was refused when it was tried is not even in its place
 * yet. Else with the settings of the last start; either with the limits that the primary has by now.
 * If that works, the others were to blame, and are not tried again before they are changed or a restart
 * is asked for; if not, they stay.
 */
export async function startAsBefore(
  { environment, state, log }: Performer,
  error: unknown,
  { starting, signal }: Start,
): Promise<void> {
  const directory = dataDirectory(environment.dataVolume);
  const startRaised = async (): Promise<void> => {
    await raiseLimits(directory, await limitsOfPrimary(directory, environment.binDirectory));
    await starting();
  };
  if (await hasFormerSettings(error, directory)) {
    await startRaised();
    return;
  }
  const isSuspect = error instanceof OperatingError && SETTINGS_BLAMED.includes(error.code);
  const text = isSuspect ? await restoreSettings(directory) : null;
  if (text === null || !isSuspect) throw error;
  log.warn('PostgreSQL does not start: trying the settings of its last start', {
    error: error.message,
  });
  // Known before the server can be seen to run: nobody must take this for a restart that worked.
  const message = `${error.message}; it runs with the settings from before`;
  state.set({ refused: { text, problem: { reason: 'SettingsRolledBack', message } } });
  try {
    await startRaised();
  } catch (failure) {
    // Whoever breaks this off does not wait for it any more; it goes on starting.
    if (signal.aborted) throw failure;
    state.set({ refused: null });
    await writeSettings(directory, text, async () => await Promise.resolve());
    throw error;
  }
}

/** Of a standby's primary, as far as the standby has replayed; a primary has no bounds. */
export const limitsOfPrimary = async (directory: string, binDirectory: string): Promise<Limits> =>
  (await hasStandbySignal(directory)) ? await readLimits(directory, binDirectory) : {};

/** `pg_hba.conf` for the present assignment. */
export async function renderAccess({ environment, state }: Performer): Promise<string> {
  const settings = settingsOf(state);
  if (settings.isIsolated !== true) return renderHba(settings);
  return renderIsolatedHba(await operatorNetworks(environment.operators));
}

export async function writeCheckedSettings(
  { environment }: Pick<Performer, 'environment'>,
  directory: string,
  text: string,
): Promise<void> {
  const { runDirectory, binDirectory } = environment;
  await writeSettings(directory, text, async () => {
    await checkSettings(text, { directory, runDirectory, binDirectory });
  });
}

export function settingsOf(state: LocalState): InstanceSettings {
  const settings = state.values.assignment?.settings;
  if (settings !== undefined) return settings;
  throw new OperatingError('stale', 'NoAssignment', 'there is no assignment yet');
}
