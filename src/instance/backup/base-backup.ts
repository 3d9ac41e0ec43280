/**
 * A copy of the whole server by pg_basebackup: over TCP, since only there the replication role is
 * let in, but within the machine. A standby is copied like a primary.
 */
import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { readText, writeDurably } from '../../adapters/postgres/durable-files';
import { runProgram } from '../../adapters/postgres/programs';
import { CLONE_APPLICATION_NAME } from '../../adapters/postgres/sql';
import { type BackupOrder } from '../../core/backup/backup';
import {
  baseBackupArguments,
  parseBaseBackupProgress,
  storedCompression,
} from '../../core/backup/base-backup';
import { parseManifest, type Manifest } from '../../core/backup/manifest';
import { type ListedFile } from '../../core/backup/stored-list';
import {
  ENTRY_FILE,
  HBA_FILE,
  renderConnection,
  SETTINGS_FILE,
  SYNC_FILE,
  UPSTREAM_FILE,
} from '../../core/settings';
import { CONFIGURATION, DATA, MANIFEST } from './catalogue';
import { findRoomTrouble } from './room';
import { type Content, type Taking } from './take';

const LOOPBACK = '127.0.0.1';
const AUTO_FILE = 'postgresql.auto.conf';
/** They are in the copy of the data directory, too, but that may be packed. */
const CONFIGURATION_FILES = [
  ...[ENTRY_FILE, SETTINGS_FILE, UPSTREAM_FILE, SYNC_FILE],
  ...[HBA_FILE, AUTO_FILE],
];

/** The history that replay needs is in the WAL of the copy: pg_basebackup streams both. */
export async function writeBaseBackup(directory: string, taking: Taking): Promise<Content> {
  const { order, source } = taking;
  await runBaseBackup(join(directory, DATA), taking);
  await keepConfiguration(source.dataDirectory, directory);
  const manifest = parseManifest(await readFile(join(directory, DATA, MANIFEST), 'utf8'));
  return {
    wal: manifest.wal,
    format: order.format,
    compression: storedCompression(order),
    known: knownOf(order, manifest),
  };
}

/** pg_basebackup syncs all that it has written. */
async function runBaseBackup(directory: string, taking: Taking): Promise<void> {
  const { order, source, catalogue, signal, onProgress, parent, attempted } = taking;
  const { machine, binDirectory } = source;
  const upstream = {
    server: machine.server,
    host: LOOPBACK,
    port: machine.port,
    slot: null,
    systemIdentifier: catalogue.systemIdentifier,
  };
  const shortage = new AbortController();
  const onLine = (line: string): void => {
    const progress = parseBaseBackupProgress(line);
    if (progress === null) return;
    onProgress(progress);
    void findRoomTrouble(catalogue.directory, attempted).then((trouble) => {
      if (trouble !== null) shortage.abort(trouble);
    });
  };
  await runProgram(
    'pg_basebackup',
    baseBackupArguments({
      order,
      directory,
      // Under the name of clones: this is no standby whose progress would be of interest.
      connection: renderConnection(upstream, machine, CLONE_APPLICATION_NAME),
      parentManifest: parent === null ? null : join(parent.directory, DATA, MANIFEST),
    }),
    { binDirectory, signal: AbortSignal.any([signal, shortage.signal]), onLine },
  );
}

/** Beside the data directory, so that it can be read without unpacking anything. */
export async function keepConfiguration(dataDirectory: string, directory: string): Promise<void> {
  const folder = join(directory, CONFIGURATION);
  await mkdir(folder, { mode: 0o700 });
  for (const name of CONFIGURATION_FILES) {
    const text = await readText(join(dataDirectory, name));
    if (text !== null) await writeDurably(join(folder, name), text);
  }
}

/** In a plain backup lie the very files of the manifest; their hashes need not be computed again. */
const knownOf = ({ format }: BackupOrder, { files }: Manifest): ReadonlyMap<string, ListedFile> =>
  new Map(
    format === 'tar'
      ? []
      : files.map((file) => {
          const path = join(DATA, file.path);
          return [path, { ...file, path }];
        }),
  );
