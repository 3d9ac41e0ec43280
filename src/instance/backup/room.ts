/** Room for a backup: archiving goes on meanwhile, on the same volume, and must find some, too. */
import { statfs } from 'node:fs/promises';
import { OperatingError } from '../../core/errors';

/** Left to the WAL archive: four segments. */
const RESERVE_BYTES = 64 * 1024 ** 2;
const MEGABYTE = 1024 ** 2;

export interface RoomWanted {
  /** `taking backup 20261121T180000Z of pg2`: the beginning of a sentence. */
  readonly what: string;
  /** `the archive volume of pg2`. */
  readonly where: string;
  readonly bytes: number;
  readonly advice: string;
}

/** Throws, with the figures and what to do, when there is less than is needed. */
export async function requireRoom(path: string, wanted: RoomWanted): Promise<void> {
  const free = await freeBytes(path);
  const needed = wanted.bytes + RESERVE_BYTES;
  if (free >= needed) return;
  const message =
    `${wanted.what} needs about ${megabytes(needed)} MB on ${wanted.where}, ` +
    `${megabytes(free)} MB are free: nothing was written. ${wanted.advice}`;
  throw new OperatingError('refused', 'NoRoom', message);
}

/** The error that ends a backup which turned out larger than expected; null while all is well. */
export async function findRoomTrouble(path: string, what: string): Promise<OperatingError | null> {
  const free = await freeBytes(path).catch(() => Infinity);
  if (free >= RESERVE_BYTES) return null;
  const message =
    `${what}: only ${megabytes(free)} MB were left on the archive volume, and ` +
    `${megabytes(RESERVE_BYTES)} MB are kept for WAL. It was broken off, and nothing of it kept. ` +
    'Make the volume larger, or let go of old backups';
  return new OperatingError('refused', 'NoRoom', message);
}

async function freeBytes(path: string): Promise<number> {
  const { bavail, bsize } = await statfs(path);
  return bavail * bsize;
}

const megabytes = (bytes: number): string => String(Math.floor(bytes / MEGABYTE));
