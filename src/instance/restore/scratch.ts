/**
 * Copies that are thrown away. Each has a folder of its own below one that holds nothing else, so
 * that after a crash everything in there is rubbish, whatever state it is in.
 */
import { lstat, mkdir, readdir, realpath, rm } from 'node:fs/promises';
import { join, sep } from 'node:path';
import { readText } from '../../adapters/postgres/durable-files';
import { killProcessesIn } from '../../adapters/postgres/processes';
import { OperatingError } from '../../core/errors';

const DATA = 'pgdata';

export interface Scratch {
  readonly folder: string;
  /** To be filled with the copy; not there yet. */
  readonly dataDirectory: string;
}

/** A new place for a copy; an older one of this name is thrown away first. */
export async function openScratch(parent: string, name: string): Promise<Scratch> {
  const folder = join(parent, name);
  await removeScratch({ folder, dataDirectory: join(folder, DATA) });
  await mkdir(folder, { recursive: true, mode: 0o700 });
  return { folder, dataDirectory: join(folder, DATA) };
}

/** Ends whatever runs in it, and removes it. */
export async function removeScratch({ folder, dataDirectory }: Scratch): Promise<void> {
  await killProcessesIn(dataDirectory);
  await rm(folder, { recursive: true, force: true });
}

/** At the start of the instance manager: nothing in there is wanted any more. */
export async function clearScratch(parent: string): Promise<void> {
  for (const name of await readdir(parent).catch(() => [])) {
    const folder = join(parent, name);
    await removeScratch({ folder, dataDirectory: join(folder, DATA) });
  }
}

/**
 * A copy may point at where the original keeps its files: a PostgreSQL on it would write there, and
 * at its start it follows `tablespace_map`, too (manual: "Backing Up the Data Directory").
 */
export async function refuseForeignFiles(dataDirectory: string): Promise<void> {
  const own = await realpath(dataDirectory);
  const tablespaces = join(own, 'pg_tblspc');
  const names = await readdir(tablespaces).catch(() => []);
  const foreign: string[] = [];
  for (const path of [join(own, 'pg_wal'), ...names.map((name) => join(tablespaces, name))]) {
    if (!(await lstat(path)).isSymbolicLink()) continue;
    const target = await realpath(path).catch(() => 'nowhere');
    if (!target.startsWith(own + sep)) foreign.push(`${path.slice(own.length + 1)} → ${target}`);
  }
  const map = ((await readText(join(own, 'tablespace_map'))) ?? '').trim();
  if (map !== '') foreign.push(`tablespace_map: ${map.replaceAll('\n', ', ')}`);
  if (foreign.length === 0) return;
  const message =
    `the copy keeps files outside of itself (${foreign.join('; ')}), where the original may have ` +
    'its own: it was not started. Only databases without tablespaces can be restored beside it';
  throw new OperatingError('refused', 'ForeignFiles', message);
}
