/**
 * The end of a WAL record, as replay counts it. A record starts with its total length (uint32,
 * `XLogRecord.xl_tot_len` in access/xlogrecord.h); its bytes run on behind a header at the start of
 * every page, and the end is rounded up to 8 bytes (access/xlog_internal.h; xlogreader.c,
 * `NextRecPtr`). The same in all versions that pgswarm supports.
 */
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { nameOfSegmentAt } from '../../core/archive/wal-files';
import { formatLsn, lsnBytes, type Lsn } from '../../core/lsn';

const PAGE_BYTES = 8192n;
const PAGE_HEADER_BYTES = 24n;
/** The first page of a segment has a longer header. */
const SEGMENT_HEADER_BYTES = 40n;
const ALIGNMENT_BYTES = 8n;
const LENGTH_BYTES = 4;

export interface WalPlace {
  readonly timeline: number;
  readonly segmentBytes: number;
}

/** Where the record at `start` ends; null when its segment is not in the directory. */
export async function recordEnd(
  walDirectory: string,
  place: WalPlace,
  start: Lsn,
): Promise<Lsn | null> {
  const segment = join(walDirectory, nameOfSegmentAt(place.timeline, start, place.segmentBytes));
  const offset = Number(lsnBytes(start) % BigInt(place.segmentBytes));
  const file = await open(segment, 'r').catch(() => null);
  if (file === null) return null;
  try {
    const { bytesRead, buffer } = await file.read(
      Buffer.alloc(LENGTH_BYTES),
      0,
      LENGTH_BYTES,
      offset,
    );
    const length = bytesRead === LENGTH_BYTES ? buffer.readUInt32LE() : 0;
    return length === 0 ? null : endOf(start, length, place.segmentBytes);
  } finally {
    await file.close();
  }
}

/** End of a record of `length` bytes that starts at `start`. */
export function endOf(start: Lsn, length: number, segmentBytes: number): Lsn {
  let position = lsnBytes(start);
  let left = BigInt(length);
  for (;;) {
    const room = PAGE_BYTES - (position % PAGE_BYTES);
    if (left <= room) break;
    left -= room;
    position += room;
    position += position % BigInt(segmentBytes) === 0n ? SEGMENT_HEADER_BYTES : PAGE_HEADER_BYTES;
  }
  const end = position + left;
  return formatLsn(end + ((ALIGNMENT_BYTES - (end % ALIGNMENT_BYTES)) % ALIGNMENT_BYTES));
}
