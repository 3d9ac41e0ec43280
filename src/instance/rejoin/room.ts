/** Room on the data volume: looked at before anything is written that could fill it. */
import { readdir, stat, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { OperatingError } from '../../core/errors';

export interface RoomWanted {
  /** Stable word for the problem: `NoRoomToRewind`, … */
  readonly reason: string;
  /** `rewinding to pg2`, as the beginning of a sentence. */
  readonly what: string;
  readonly bytes: number;
  readonly advice: string;
}

/** Other servers of the node's volumes, and WAL while it goes on, want some of it too. */
const SPARE_BYTES = 64 * 1024 * 1024;
const MEGABYTE = 1024 * 1024;

/** Throws, with the figures and what to do, when there is less than is needed. */
export async function requireRoom(volume: string, wanted: RoomWanted): Promise<void> {
  const { bavail, bsize } = await statfs(volume);
  const freeBytes = bavail * bsize;
  const neededBytes = wanted.bytes + SPARE_BYTES;
  if (freeBytes >= neededBytes) return;
  const message =
    `${wanted.what} needs about ${megabytes(neededBytes)} MB on the data volume, ` +
    `${megabytes(freeBytes)} MB are free: nothing was changed. ${wanted.advice}`;
  throw new OperatingError('refused', wanted.reason, message);
}

/** Bytes in the files of a directory and all below; what vanishes meanwhile does not count. */
export async function directoryBytes(path: string): Promise<number> {
  const entries = await readdir(path, { withFileTypes: true }).catch(() => []);
  let bytes = 0;
  for (const entry of entries) {
    const inner = join(path, entry.name);
    bytes += entry.isDirectory()
      ? await directoryBytes(inner)
      : await stat(inner).then(
          ({ size }) => size,
          () => 0,
        );
  }
  return bytes;
}

const megabytes = (bytes: number): string => String(Math.ceil(bytes / MEGABYTE));
