/**
 * The end of a WAL record, as replay counts it. A record starts with its total length (uint32,
 * `XLogRecord.xl_tot_len` in access/xlogrecord.h); its bytes run on behind a header at the start of
 * every page, and the end is rounded up to 8 bytes (access/xlog_internal.h; xlogreader.c,
 * `NextRecPtr`). The same in all versions that pgswarm supports.
 */
import { open } from 'node:fs/promises';
import { join } from 'node:path';
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
  const segment = join(walDirectory, segmentName(place, start));
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

/** Name of the segment file that holds `lsn` (manual: "WAL Internals"). */
export function segmentName({ timeline, segmentBytes }: WalPlace, lsn: Lsn): string {
  const perFile = 0x1_0000_0000n / BigInt(segmentBytes);
  const segment = lsnBytes(lsn) / BigInt(segmentBytes);
  return [BigInt(timeline), segment / perFile, segment % perFile]
    .map((part) => part.toString(16).toUpperCase().padStart(8, '0'))
    .join('');
}

/** Position at which a segment file begins. */
export function segmentStart(name: string, segmentBytes: number): Lsn {
  const perFile = 0x1_0000_0000n / BigInt(segmentBytes);
  const segment = BigInt(`0x${name.slice(8, 16)}`) * perFile + BigInt(`0x${name.slice(16)}`);
  return formatLsn(segment * BigInt(segmentBytes));
}

export interface SegmentPart {
  readonly name: string;
  /** From the file's beginning on. */
  readonly usedBytes: number;
}

/** The segment files that hold the WAL of a timeline from one position up to another. */
export function segmentsOf(
  range: { readonly timeline: number; readonly fromLsn: Lsn; readonly endLsn: Lsn },
  segmentBytes: number,
): readonly SegmentPart[] {
  const size = BigInt(segmentBytes);
  const end = lsnBytes(range.endLsn);
  const parts: SegmentPart[] = [];
  for (let start = (lsnBytes(range.fromLsn) / size) * size; start < end; start += size) {
    const name = segmentName({ timeline: range.timeline, segmentBytes }, formatLsn(start));
    parts.push({ name, usedBytes: Number(end - start < size ? end - start : size) });
  }
  return parts;
}
