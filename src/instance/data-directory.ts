/** The files in the data directory that are ours. */
import { access, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { writeDurably } from '../adapters/postgres/durable-files';
import { type InstanceSettings, type Upstream } from '../core/protocol';
import {
  ENTRY_FILE,
  HBA_FILE,
  renderEntry,
  renderHba,
  renderSettings,
  renderUpstream,
  SETTINGS_FILE,
  UPSTREAM_FILE,
  type Machine,
} from '../core/settings';

const STANDBY_SIGNAL = 'standby.signal';
/** What ALTER SYSTEM and pg_basebackup write; read last, it would win over the generated files. */
const AUTO_FILE = 'postgresql.auto.conf';

/** Writes what has changed; nothing is told to a running server. */
export async function writeSettings(
  directory: string,
  settings: InstanceSettings,
  machine: Machine,
): Promise<void> {
  await writeDurably(join(directory, SETTINGS_FILE), renderSettings(settings, machine));
  await writeDurably(join(directory, HBA_FILE), renderHba(settings));
  await writeDurably(join(directory, ENTRY_FILE), renderEntry());
  await writeDurably(join(directory, AUTO_FILE), '');
}

export async function writeUpstream(
  directory: string,
  upstream: Upstream,
  machine: Machine,
): Promise<void> {
  await writeDurably(join(directory, UPSTREAM_FILE), renderUpstream(upstream, machine));
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
