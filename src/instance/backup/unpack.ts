/** Makes a data directory of a backup, or of a full backup and its increments. */
import { lstat, mkdir, readdir, readFile, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { syncDirectory } from '../../adapters/postgres/durable-files';
import { explainFailure } from '../../adapters/postgres/failures';
import { runProgram } from '../../adapters/postgres/programs';
import { isOfDataDirectory } from '../../core/backup/backup';
import { parseManifest } from '../../core/backup/manifest';
import { bytesOf } from '../../core/backup/stored-list';
import { OperatingError } from '../../core/errors';
import { DATA, MANIFEST, type StoredBackup } from './catalogue';
import { requireRoom } from './room';

export interface UnpackOptions {
  /** Empty: PostgreSQL's programs are found in PATH. */
  readonly binDirectory: string;
  readonly signal: AbortSignal;
  /** An empty directory, thrown away afterwards: increments that are packed are unpacked in it. */
  readonly scratch: string;
  readonly onProgress?: (what: string) => void;
  /** The copy is of no value after a crash, and nobody waits for it: not synced, and made gently. */
  readonly isThrowaway?: boolean;
}

/** The oldest, which is a full backup, first. */
export type Chain = readonly StoredBackup[];

const UNFINISHED = '.part';
const BASE = /^base\.tar(\.zst|\.lz4|\.gz)?$/;
const WAL = /^pg_wal\.tar(\.zst|\.lz4|\.gz)?$/;
const PROGRAMS: Readonly<Record<string, string>> = { '.zst': 'zstd', '.lz4': 'lz4', '.gz': 'gzip' };
/** A standby is copied with the first of them; what the copy is to be, others say. */
const SIGNALS = ['standby.signal', 'recovery.signal'];

/**
 * Makes the data directory `destination`, which must not exist. It has that name only when all of
 * it is durable; before, it is called `<destination>.part`, which is thrown away by the next try.
 */
export async function materialise(
  chain: Chain,
  destination: string,
  options: UnpackOptions,
): Promise<void> {
  if (await exists(destination)) {
    const message = `${destination} exists already: a backup is never unpacked over anything`;
    throw new OperatingError('refused', 'DestinationExists', message);
  }
  const unfinished = `${destination}${UNFINISHED}`;
  try {
    await rm(unfinished, { recursive: true, force: true });
    await mkdir(unfinished, { mode: 0o700 });
    await fillFromBackup(chain, unfinished, options);
    await rename(unfinished, destination);
    await syncDirectory(dirname(destination));
  } catch (error) {
    await rm(unfinished, { recursive: true, force: true });
    throw error;
  }
}

/**
 * Fills an empty directory, ready for recovery, without a signal file: it is for the caller to say
 * how far to go. Its content is durable when this returns.
 */
export async function fillFromBackup(
  chain: Chain,
  directory: string,
  options: UnpackOptions,
): Promise<void> {
  const [full, ...increments] = chain;
  const last = chain.at(-1);
  if (full === undefined || last === undefined) throw new Error('there is no backup to unpack');
  const attempted = `unpacking backup ${last.backup.id} into ${directory}`;
  try {
    requireChain(chain);
    options.signal.throwIfAborted();
    await requireRoom(directory, {
      what: attempted,
      where: 'the volume of that',
      bytes: await bytesOfChain(chain),
      advice: 'Make room on it',
    });
    if (increments.length === 0) await unpackFiles(full, directory, options);
    else await combine(chain, directory, options);
    for (const name of SIGNALS) await rm(join(directory, name), { force: true });
    if (options.isThrowaway === true) return;
    options.onProgress?.('syncing');
    await runProgram('initdb', ['--sync-only', '-D', directory], options);
  } catch (error) {
    options.signal.throwIfAborted();
    throw explainFailure(error, { attempted, otherwise: 'UnpackFailed' });
  }
}

/** Puts the files of one backup into an empty directory, as they were copied; not durable yet. */
export async function unpackFiles(
  { backup, directory }: StoredBackup,
  into: string,
  {
    signal,
    onProgress,
    isThrowaway: isNice = false,
  }: Omit<UnpackOptions, 'binDirectory' | 'scratch'>,
): Promise<void> {
  onProgress?.(`unpacking ${backup.id}`);
  const data = join(directory, DATA);
  const run = async (program: string, ...rest: readonly string[]): Promise<void> => {
    await runProgram(program, rest, { binDirectory: '', signal, isNice });
  };
  if (backup.format === 'plain') {
    await run('cp', '--archive', '--reflink=auto', `${data}/.`, into);
    return;
  }
  const names = (await readdir(data)).toSorted();
  const [base, wal] = [BASE, WAL].map((form) => names.find((name) => form.test(name)));
  if (base === undefined || wal === undefined) {
    const message = `${data} holds no ${base === undefined ? 'base.tar' : 'pg_wal.tar'}`;
    throw new OperatingError('refused', 'BackupBroken', message);
  }
  await run('tar', ...tarArguments(join(data, base), into));
  await mkdir(join(into, 'pg_wal'), { recursive: true, mode: 0o700 });
  await run('tar', ...tarArguments(join(data, wal), join(into, 'pg_wal')));
  await run('cp', '--archive', join(data, MANIFEST), into);
}

/** What its files take when they are unpacked; the WAL is never packed, and not in the manifest. */
export async function unpackedBytes({ backup, directory }: StoredBackup): Promise<number> {
  if (backup.format === 'plain') return backup.bytes;
  const manifest = parseManifest(await readFile(join(directory, DATA, MANIFEST), 'utf8'));
  return bytesOf(manifest.files) + backup.bytes;
}

/** What a chain takes while it is put together. */
export async function bytesOfChain(chain: Chain): Promise<number> {
  const each = await Promise.all(chain.map(unpackedBytes));
  return each.reduce((sum, bytes) => sum + bytes, 0);
}

function tarArguments(archive: string, into: string): readonly string[] {
  const program = PROGRAMS[archive.slice(archive.lastIndexOf('.'))];
  return [
    '--extract',
    `--file=${archive}`,
    `--directory=${into}`,
    '--preserve-permissions',
    '--no-same-owner',
    ...(program === undefined ? [] : [`--use-compress-program=${program}`]),
  ];
}

/** Manual: "pg_combinebackup". It reads directories only, and syncs what it has written. */
async function combine(chain: Chain, directory: string, options: UnpackOptions): Promise<void> {
  const inputs: string[] = [];
  for (const stored of chain) {
    inputs.push(await directoryOf(stored, join(options.scratch, stored.backup.id), options));
  }
  options.onProgress?.(`putting together ${chain.length} backups`);
  await runProgram('pg_combinebackup', combineArguments(inputs, directory), {
    ...options,
    isNice: options.isThrowaway === true,
  });
}

/** Oldest first. */
export const combineArguments = (inputs: readonly string[], output: string): readonly string[] => [
  `--output=${output}`,
  '--manifest-checksums=SHA256',
  ...inputs,
];

async function directoryOf(
  stored: StoredBackup,
  scratch: string,
  options: UnpackOptions,
): Promise<string> {
  if (stored.backup.format === 'plain') return join(stored.directory, DATA);
  await mkdir(scratch, { mode: 0o700 });
  await unpackFiles(stored, scratch, options);
  return scratch;
}

function requireChain(chain: Chain): void {
  for (const [index, { backup }] of chain.entries()) {
    const before = chain[index - 1]?.backup.id ?? null;
    if (isOfDataDirectory(backup.method) && backup.parent === before) continue;
    const message = isOfDataDirectory(backup.method)
      ? `backup ${backup.id} holds the changes to ${backup.parent ?? 'nothing'}, not to ${before ?? 'nothing'}`
      : `backup ${backup.id} is a ${backup.method}, not a copy of a data directory`;
    throw new OperatingError('refused', 'ChainBroken', message);
  }
}

async function exists(path: string): Promise<boolean> {
  return await lstat(path).then(
    () => true,
    () => false,
  );
}
