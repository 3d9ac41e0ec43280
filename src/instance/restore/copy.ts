/**
 * A copy of the database as it was: made of a backup and WAL on the archive volume, in a folder of
 * which nothing is left afterwards, whatever happens.
 */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { type Log } from '../../adapters/log';
import { type Archive } from '../archive/archive';
import { type RecoverySource } from '../archive/recovery-source';
import { type Lease } from '../backup/catalogue';
import { materialise } from '../backup/unpack';
import { type RestorePlan } from './plan';
import { openScratch, type Scratch } from './scratch';
import { type ThrowawayOptions } from './throwaway';

export interface CopyPlace {
  /** Where the archive volume is mounted: there is room, and the server's own disk is left alone. */
  readonly volume: string;
  /** Short: sockets lie in it. */
  readonly runDirectory: string;
  readonly walCommand: string;
  readonly binDirectory: string;
  readonly archive: Pick<Archive, 'recoverySource'>;
  readonly log: Log;
}

/** What a recovery on the copy needs. */
export interface Copy {
  readonly options: ThrowawayOptions;
  readonly restoreCommand: string;
  /** Fills the data directory. */
  readonly materialise: (signal: AbortSignal, say: (words: string) => void) => Promise<void>;
}

const NAME = 'copy';

/** Everything in here is rubbish when the instance manager starts. */
export const scratchFolder = (volume: string): string => join(volume, 'scratch');

/** Lends a place for a copy of this backup, with a source of WAL for it. */
export async function withCopy<T>(
  place: CopyPlace,
  { plan, lease }: { readonly plan: RestorePlan; readonly lease: Lease },
  work: (copy: Copy) => Promise<T>,
): Promise<T> {
  const { volume, runDirectory, walCommand, binDirectory, log } = place;
  const scratch = await openScratch(scratchFolder(volume), NAME);
  const socket = join(runDirectory, `${NAME}.wal`);
  const source: RecoverySource = await place.archive.recoverySource({
    wal: plan.wal,
    socket,
    command: walCommand,
    spoolDirectory: join(scratch.folder, 'spool'),
  });
  try {
    const socketDirectory = join(runDirectory, NAME);
    return await work({
      options: { scratch, socketDirectory, binDirectory, log },
      restoreCommand: source.restoreCommand,
      materialise: async (signal, onProgress) =>
        await materialise(lease.chain, scratch.dataDirectory, {
          binDirectory,
          signal,
          onProgress,
          scratch: await unpackingFolder(scratch),
          isThrowaway: true,
        }),
    });
  } finally {
    await source.close();
  }
}

/** Increments are unpacked in it before they are put together. */
async function unpackingFolder({ folder }: Scratch): Promise<string> {
  const path = join(folder, 'unpacked');
  await mkdir(path, { mode: 0o700 });
  return path;
}
