/**
 * How much WAL follows a position, found by a few reads and not by reading it. Every page says at
 * which position it was written (`XLogPageHeaderData.xlp_pageaddr` in access/xlog_internal.h). A
 * page of a recycled segment, renamed for future use, still says its old one.
 */
import { open, readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { lsnBytes, type Lsn } from '../../core/lsn';

const SEGMENT_NAME = /^([0-9A-F]{8})([0-9A-F]{8})([0-9A-F]{8})$/;
const PAGE_BYTES = 8192n;
const ADDRESS_OFFSET = 8;
const ADDRESS_BYTES = 8;

interface Segments {
  readonly bytes: bigint;
  /** Paths by number, each on its newest timeline. */
  readonly paths: ReadonlyMap<bigint, string>;
}

/** Bytes of WAL from `start` on, to a page exactly; null when the WAL is not there. */
export async function walBytesFrom(walDirectory: string, start: Lsn): Promise<number | null> {
  const segments = await listSegments(walDirectory);
  if (segments === null) return null;
  const startBytes = lsnBytes(start);
  const firstPage = startBytes / PAGE_BYTES;
  if (!(await isWritten(segments, firstPage))) return null;
  let [written, absent] = [firstPage, pageBehind(segments, startBytes)];
  while (absent - written > 1n) {
    const middle = (written + absent) / 2n;
    if (await isWritten(segments, middle)) written = middle;
    else absent = middle;
  }
  return Number(absent * PAGE_BYTES - startBytes);
}

async function listSegments(walDirectory: string): Promise<Segments | null> {
  const names = (await readdir(walDirectory).catch(() => []))
    .filter((name) => SEGMENT_NAME.test(name))
    .toSorted();
  if (names[0] === undefined) return null;
  const bytes = BigInt((await stat(join(walDirectory, names[0]))).size);
  if (bytes === 0n) return null;
  const perFile = 0x1_0000_0000n / bytes;
  const paths = new Map(
    names.map((name) => {
      const [, , high = '0', low = '0'] = SEGMENT_NAME.exec(name) ?? [];
      return [BigInt(`0x${high}`) * perFile + BigInt(`0x${low}`), join(walDirectory, name)];
    }),
  );
  return { bytes, paths };
}

/** The first page that cannot be there: its segment is missing. */
function pageBehind({ bytes, paths }: Segments, start: bigint): bigint {
  let segment = start / bytes;
  while (paths.has(segment)) segment += 1n;
  return (segment * bytes) / PAGE_BYTES;
}

async function isWritten({ bytes, paths }: Segments, page: bigint): Promise<boolean> {
  const position = page * PAGE_BYTES;
  const path = paths.get(position / bytes);
  const file = path === undefined ? null : await open(path, 'r').catch(() => null);
  if (file === null) return false;
  try {
    const offset = Number(position % bytes) + ADDRESS_OFFSET;
    const { bytesRead, buffer } = await file.read(
      Buffer.alloc(ADDRESS_BYTES),
      0,
      ADDRESS_BYTES,
      offset,
    );
    return bytesRead === ADDRESS_BYTES && buffer.readBigUInt64LE() === position;
  } finally {
    await file.close();
  }
}
