/** The files in the data directory that are ours. */
import { access, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { readText, writeDurably } from '../adapters/postgres/durable-files';
import { type Limits } from '../core/limits';
import { type SyncSet, type Upstream } from '../core/protocol';
import {
  ENTRY_FILE,
  HBA_FILE,
  LOAD_FILE,
  renderEntry,
  renderSummaries,
  renderSync,
  renderUpstream,
  SETTINGS_FILE,
  SUMMARIES_FILE,
  SYNC_FILE,
  UPSTREAM_FILE,
  withLimitsOf,
  type Machine,
} from '../core/settings';

const STANDBY_SIGNAL = 'standby.signal';
const KEPT_HBA_FILE = `${HBA_FILE}.kept`;
/** With these PostgreSQL has started last. */
const KEPT_SETTINGS_FILE = `${SETTINGS_FILE}.kept`;
/** What ALTER SYSTEM and pg_basebackup write; read last, it would win over the generated files. */
const AUTO_FILE = 'postgresql.auto.conf';

/** The generated files, all but the upstream. */
export const OWN_FILES: readonly string[] = [
  ENTRY_FILE,
  SETTINGS_FILE,
  KEPT_SETTINGS_FILE,
  SUMMARIES_FILE,
  LOAD_FILE,
  SYNC_FILE,
  HBA_FILE,
  AUTO_FILE,
];

/** Writes what has changed, once `check` has let it pass; a running server is not told. */
export async function writeSettings(
  directory: string,
  text: string,
  check: (text: string) => Promise<void>,
): Promise<void> {
  const path = join(directory, SETTINGS_FILE);
  if ((await readText(path)) !== text) await check(text);
  await writeDurably(path, text);
  await writeDurably(join(directory, ENTRY_FILE), renderEntry());
  await writeDurably(join(directory, AUTO_FILE), '');
  const summaries = join(directory, SUMMARIES_FILE);
  if (!(await exists(summaries))) await writeDurably(summaries, renderSummaries(false));
}

/**
 * Writes `pg_hba.conf`. Only the server can tell whether it is right, by reading it or by starting
 * with it: until `use` has shown that, the last one that was right is kept beside it.
 */
export async function writeHba(
  directory: string,
  text: string,
  use: () => Promise<void>,
): Promise<void> {
  const path = join(directory, HBA_FILE);
  const kept = join(directory, KEPT_HBA_FILE);
  const before = await readText(path);
  if (before !== null && before !== text && !(await exists(kept))) await writeDurably(kept, before);
  await writeDurably(path, text);
  await use();
  await rm(kept, { force: true });
}

/** Puts the last right `pg_hba.conf` in the place of one that was refused; false without one. */
export async function restoreHba(directory: string): Promise<boolean> {
  const kept = await readText(join(directory, KEPT_HBA_FILE));
  if (kept === null) return false;
  await writeDurably(join(directory, HBA_FILE), kept);
  await rm(join(directory, KEPT_HBA_FILE));
  return true;
}

/** PostgreSQL has started with the present settings: it can start with them again. */
export async function keepSettings(directory: string): Promise<void> {
  const text = await readText(join(directory, SETTINGS_FILE));
  if (text !== null) await writeDurably(join(directory, KEPT_SETTINGS_FILE), text);
}

/** What was kept is another server's. */
export async function forgetKeptSettings(directory: string): Promise<void> {
  await rm(join(directory, KEPT_SETTINGS_FILE), { force: true });
}

/**
 * Puts the settings of the last start in the place of the present ones; the present ones, or null
 * when there are no others.
 */
export async function restoreSettings(directory: string): Promise<string | null> {
  const path = join(directory, SETTINGS_FILE);
  const present = await readText(path);
  const kept = await readText(join(directory, KEPT_SETTINGS_FILE));
  if (kept === null || present === kept) return null;
  await writeDurably(path, kept);
  return present;
}

/** Brings the present settings up to the limits of this standby's primary. */
export async function raiseLimits(directory: string, primary: Limits): Promise<void> {
  const path = join(directory, SETTINGS_FILE);
  const present = await readText(path);
  if (present === null) return;
  const raised = withLimitsOf(primary, present);
  if (raised !== present) await writeDurably(path, raised);
}

/** Whether the server has ever been given settings. */
export async function hasSettings(directory: string): Promise<boolean> {
  return await exists(join(directory, SETTINGS_FILE));
}

export async function writeUpstream(
  directory: string,
  upstream: Upstream,
  machine: Machine,
): Promise<void> {
  await writeDurably(join(directory, UPSTREAM_FILE), renderUpstream(upstream, machine));
}

export async function writeSync(directory: string, sync: SyncSet | null): Promise<void> {
  await writeDurably(join(directory, SYNC_FILE), renderSync(sync));
}

/** With this file the server starts as a standby (manual: "Standby Server Operation"). */
export async function writeStandbySignal(directory: string): Promise<void> {
  await writeDurably(join(directory, STANDBY_SIGNAL), '');
}

export async function hasStandbySignal(directory: string): Promise<boolean> {
  return await exists(join(directory, STANDBY_SIGNAL));
}

export async function hasData(directory: string): Promise<boolean> {
  return await exists(join(directory, 'PG_VERSION'));
}

/**
 * The process id in a left-over `postmaster.pid` was one of another container: it may be that of
 * any process here, and PostgreSQL would then refuse to start. That the file is left over is sure:
 * the volume is locked by us, and no process works in the directory.
 */
export async function removeLeftOverLock(directory: string): Promise<void> {
  await rm(join(directory, 'postmaster.pid'), { force: true });
}

async function exists(path: string): Promise<boolean> {
  return await access(path).then(
    () => true,
    () => false,
  );
}
