/**
 * Files in `pg_wal`, by their names (access/xlog_internal.h; manual: "WAL Internals",
 * "Continuous Archiving"). A segment is called `<timeline><high><low>`, eight hexadecimal digits
 * each: its number among all segments is `high × (4 GB / segment size) + low`. What the number of a
 * name is depends on the segment size, which initdb chooses; whether it is a name does not.
 */
import { formatLsn, lagBytes, lsnBytes, type Lsn } from '../lsn';

/** A file that PostgreSQL asks to be archived, or asks back. */
export type WalFile =
  /** A whole segment: what replay reads. */
  | { readonly kind: 'segment'; readonly timeline: number; readonly segment: string }
  /**
   * The last segment of a timeline that was left in the midst of it. Its beginning is in the new
   * timeline's segment of the same number, too; PostgreSQL never asks for it.
   */
  | { readonly kind: 'partial'; readonly timeline: number; readonly segment: string }
  /** Label of a base backup that started in this segment, so many bytes from its beginning. */
  | {
      readonly kind: 'label';
      readonly timeline: number;
      readonly segment: string;
      readonly offsetBytes: number;
    }
  /** Which timelines a timeline came through. */
  | { readonly kind: 'history'; readonly timeline: number };

/** One segment: its timeline, and its number among all segments of that size. */
export interface Segment {
  readonly timeline: number;
  readonly number: number;
}

/** What initdb chooses unless told (`--wal-segsize`): a power of two from 1 MB to 1 GB. */
export const SEGMENT_BYTES_DEFAULT = 16 * 1024 ** 2;

const FORM = /^([0-9A-F]{8})(?:([0-9A-F]{16})(\.partial|\.([0-9A-F]{8})\.backup)?|\.history)$/;
/** As much as the low part of a position counts. */
const HIGH_BYTES = 2 ** 32;

/**
 * The file of that name; null for everything else. Only the very spelling that PostgreSQL uses is
 * a name, so nothing that comes from outside can lead to another place.
 */
export function parseWalFile(name: string): WalFile | null {
  const [, head, tail, ending = '', offset] = FORM.exec(name) ?? [];
  if (head === undefined) return null;
  const timeline = parseInt(head, 16);
  // No timeline has the number 0 (access/xlogdefs.h).
  if (timeline === 0) return null;
  if (tail === undefined) return { kind: 'history', timeline };
  const segment = `${head}${tail}`;
  if (offset !== undefined) {
    return { kind: 'label', timeline, segment, offsetBytes: parseInt(offset, 16) };
  }
  return { kind: ending === '.partial' ? 'partial' : 'segment', timeline, segment };
}

/** Its name; the reverse of `parseWalFile`. */
export function renderWalFile(file: WalFile): string {
  switch (file.kind) {
    case 'segment':
      return file.segment;
    case 'partial':
      return `${file.segment}.partial`;
    case 'label':
      return `${file.segment}.${digits(file.offsetBytes)}.backup`;
    case 'history':
      return `${digits(file.timeline)}.history`;
  }
}

/** The segment of that name; null when there is none of that name with segments of this size. */
export function parseSegment(name: string, segmentBytes: number): Segment | null {
  const file = parseWalFile(name);
  if (file?.kind !== 'segment') return null;
  const low = parseInt(name.slice(16), 16);
  const perHigh = HIGH_BYTES / segmentBytes;
  if (low >= perHigh) return null;
  return { timeline: file.timeline, number: parseInt(name.slice(8, 16), 16) * perHigh + low };
}

/** Name of the segment's file; the reverse of `parseSegment`. */
export function nameOfSegment({ timeline, number }: Segment, segmentBytes: number): string {
  const perHigh = HIGH_BYTES / segmentBytes;
  return [timeline, Math.floor(number / perHigh), number % perHigh].map(digits).join('');
}

/** Name of the segment of a timeline in which the byte at that position lies. */
export const nameOfSegmentAt = (timeline: number, lsn: Lsn, segmentBytes: number): string =>
  nameOfSegment({ timeline, number: segmentAt(lsn, segmentBytes) }, segmentBytes);

/** The one that follows on the same timeline. */
export const nextSegment = ({ timeline, number }: Segment): Segment => ({
  timeline,
  number: number + 1,
});

/** Number of the segment in which the byte at that position lies. */
export const segmentAt = (lsn: Lsn, segmentBytes: number): number =>
  Number(lsnBytes(lsn) / BigInt(segmentBytes));

/** Number of the segment that holds the last byte before that position. */
export function segmentBefore(lsn: Lsn, segmentBytes: number): number {
  const bytes = lsnBytes(lsn);
  return bytes === 0n ? 0 : Number((bytes - 1n) / BigInt(segmentBytes));
}

/** Position of its first byte. */
export const segmentStart = (number: number, segmentBytes: number): Lsn =>
  formatLsn(BigInt(number) * BigInt(segmentBytes));

/** Position behind its last byte. */
export const segmentEnd = (number: number, segmentBytes: number): Lsn =>
  segmentStart(number + 1, segmentBytes);

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
  const { timeline, fromLsn, endLsn } = range;
  const last = segmentBefore(endLsn, segmentBytes);
  const lastBytes = lagBytes(endLsn, segmentStart(last, segmentBytes));
  const parts: SegmentPart[] = [];
  for (let number = segmentAt(fromLsn, segmentBytes); number <= last; number += 1) {
    const name = nameOfSegment({ timeline, number }, segmentBytes);
    parts.push({ name, usedBytes: number === last ? lastBytes : segmentBytes });
  }
  return parts;
}

/** Position behind the last byte of the segment of that name; null when it is no whole segment. */
export function endOfSegment(name: string, segmentBytes: number): Lsn | null {
  const segment = parseSegment(name, segmentBytes);
  return segment === null ? null : segmentEnd(segment.number, segmentBytes);
}

/** Number of the last segment that can be: positions have 64 bits. */
export const lastSegment = (segmentBytes: number): number => 2 ** 64 / segmentBytes - 1;

/** Whether PostgreSQL could have segments of this size. */
export const isSegmentSize = (bytes: number): boolean =>
  bytes >= 1024 ** 2 && bytes <= 1024 ** 3 && Number.isInteger(Math.log2(bytes));

const digits = (value: number): string => value.toString(16).toUpperCase().padStart(8, '0');
