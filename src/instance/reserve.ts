/**
 * A file in the data volume that only takes room: given up when PostgreSQL has none left to start with.
 * Its content is random, so that it takes real blocks also where the file system compresses.
 */
import { randomBytes } from 'node:crypto';
import { open, rename, rm, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { syncDirectory } from '../adapters/postgres/durable-files';

const PIECE_BYTES = 1024 * 1024;
/** No flood of writes beside PostgreSQL's own. */
const SYNC_EVERY_PIECES = 8;
const BLOCK_BYTES = 512;

/** Whether it is there and takes the room. */
export async function hasReserve(path: string, bytes: number): Promise<boolean> {
  return await stat(path).then(
    ({ size, blocks }) => size === bytes && blocks * BLOCK_BYTES >= bytes,
    () => false,
  );
}

/** Under its name it is whole; what a crash has left of an earlier attempt is written over. */
export async function makeReserve(path: string, bytes: number): Promise<void> {
  const unfinished = unfinishedReserve(path);
  const piece = randomBytes(PIECE_BYTES);
  const file = await open(unfinished, 'w', 0o600);
  try {
    for (let written = 0; written < bytes; written += piece.length) {
      await file.write(piece, 0, Math.min(piece.length, bytes - written));
      if ((written / PIECE_BYTES) % SYNC_EVERY_PIECES === 0) await file.datasync();
    }
    await file.sync();
  } catch (error) {
    await rm(unfinished, { force: true });
    throw error;
  } finally {
    await file.close();
  }
  await rename(unfinished, path);
  await syncDirectory(dirname(path));
}

/** Whether there was anything to give up. */
export async function giveUpReserve(path: string): Promise<boolean> {
  await rm(unfinishedReserve(path), { force: true });
  return await rm(path).then(
    () => true,
    () => false,
  );
}

const unfinishedReserve = (path: string): string => `${path}.new`;
