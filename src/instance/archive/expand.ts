/** A stored file brought back to what PostgreSQL handed over; nothing is believed, all is checked. */
import { type FileHandle, open, rename, rm } from 'node:fs/promises';
import { nameHash, type StoredFile } from '../../core/archive/stored-files';
import { messageOf, OperatingError } from '../../core/errors';
import { copyDigestingOutput, type Digest } from './copy';
import { availableCompressions, expanding, isRefusal } from './filters';
import { errnoOf, isReading } from './volume-troubles';

export interface Expansion {
  /** The stored bytes, here or as they came from a peer. */
  readonly path: string;
  readonly stored: StoredFile;
  /** Gets its name only when it is whole. */
  readonly destination: string;
  readonly segmentBytes: number;
}

/** Null when the destination is there; otherwise why the stored bytes are not what they should be. */
export async function expand(expansion: Expansion): Promise<string | null> {
  const { path, stored, destination } = expansion;
  await demandCompression(expansion);
  const temporary = `${destination}.new`;
  const from = await open(path, 'r');
  try {
    const because = await fill(temporary, from, expansion);
    if (because === null) await rename(temporary, destination);
    return because;
  } catch (error) {
    if (isRefusal(error)) return `${stored.compression} cannot expand it: ${messageOf(error)}`;
    throw errnoOf(error) === null || isReading(error) ? error : notExpanded(expansion, error);
  } finally {
    await from.close();
    await rm(temporary, { force: true });
  }
}

async function fill(
  temporary: string,
  from: FileHandle,
  { stored, segmentBytes }: Expansion,
): Promise<string | null> {
  const to = await open(temporary, 'w+', 0o600);
  try {
    const filter = expanding(stored.compression);
    return flawOf(await copyDigestingOutput({ from, to, filter }), stored, segmentBytes);
  } finally {
    await to.close();
  }
}

function flawOf(
  { sha256, bytes }: Digest,
  { file, hash }: StoredFile,
  segmentBytes: number,
): string | null {
  if (nameHash(sha256) !== hash) {
    return `its SHA-256 begins with ${nameHash(sha256)}, and its name says ${hash}`;
  }
  const isWhole = file.kind !== 'segment' || bytes === segmentBytes;
  return isWhole ? null : `it has ${bytes} bytes, and a segment has ${segmentBytes}`;
}

/** Or a file would be taken for corrupt because a program is missing. */
async function demandCompression({ stored, path }: Expansion): Promise<void> {
  if ((await availableCompressions()).includes(stored.compression)) return;
  throw new OperatingError(
    'refused',
    'CompressionUnavailable',
    `expanding ${path}: the program ${stored.compression} is not installed here. Use an image that has it.`,
  );
}

function notExpanded({ path, destination }: Expansion, error: unknown): OperatingError {
  const words = `writing ${destination} from ${path}: ${messageOf(error)}. Look at the free space there, and at the kernel's log.`;
  return new OperatingError('transient', 'WalFileNotWritten', words, error);
}
