/** How pg_basebackup is asked, and what it says while it works (manual: "pg_basebackup"). */
import { isOfDataDirectory, type Backup, type BackupOrder } from './backup';

export interface BaseBackupPlan {
  readonly order: BackupOrder;
  /** Where to, and from where, in libpq's words. */
  readonly directory: string;
  readonly connection: string;
  /** `backup_manifest` of the backup to which only the changes are stored. */
  readonly parentManifest: string | null;
}

export interface BackupProgress {
  readonly percent: number;
  /** Read so far, before compression. */
  readonly bytes: number;
}

const KILOBYTE = 1024;
const MEGABYTE = 1024 ** 2;
/** What `--max-rate` takes, in kB. */
const RATE_MIN = 32;
const RATE_MAX = 1024 * 1024;

/** By the server, in workers beside the process that reads: twice as fast as one after the other. */
const SERVER_COMPRESSION = {
  zstd: 'server-zstd:level=1,workers=2',
  lz4: 'server-lz4',
  gzip: 'server-gzip:level=1',
  none: 'none',
} as const;

/** With the WAL that makes it whole, so that it can be restored without an archive. */
export function baseBackupArguments(plan: BaseBackupPlan): readonly string[] {
  const { order, directory, connection, parentManifest } = plan;
  const { bytesPerSecondMax: rate, format } = order;
  return [
    `--pgdata=${directory}`,
    `--dbname=${connection}`,
    '--no-password',
    `--label=pgswarm ${order.id}`,
    '--wal-method=stream',
    '--checkpoint=fast',
    '--manifest-checksums=SHA256',
    '--progress',
    `--format=${format}`,
    ...(format === 'tar' ? [`--compress=${SERVER_COMPRESSION[order.compression]}`] : []),
    ...(rate === null ? [] : [`--max-rate=${kilobytes(rate)}`]),
    ...(parentManifest === null ? [] : [`--incremental=${parentManifest}`]),
  ];
}

const PROGRESS = /^\s*(\d+)\/\d+ kB \((\d+)%\)/;

/** From `123456/307200 kB (40%), 0/1 tablespace …`; null for any other line. */
export function parseBaseBackupProgress(line: string): BackupProgress | null {
  const [, kilobytesDone, percent] = PROGRESS.exec(line) ?? [];
  if (kilobytesDone === undefined || percent === undefined) return null;
  return { percent: Math.min(Number(percent), 100), bytes: Number(kilobytesDone) * KILOBYTE };
}

/** WAL that is streamed meanwhile, in whole segments. */
const WAL_MARGIN_BYTES = 64 * MEGABYTE;
/** Since the last one of its kind a database grows. */
const GROWTH = 1.2;
/** Of a database that was never backed up in this way: rather too much than too little. */
const COMPRESSED_SHARE = 0.5;
const INCREMENT_SHARE = 0.2;

/** Room that a backup will take: as much as the last one of its kind, or a guess from the data. */
export function expectedBytes(
  order: Pick<BackupOrder, 'method' | 'parent' | 'format' | 'compression'>,
  databaseBytes: number,
  backups: readonly Backup[],
): number {
  const compression = storedCompression(order);
  const last = backups
    .filter(
      (each) =>
        each.method === order.method &&
        each.format === order.format &&
        each.compression === compression &&
        (each.parent === null) === (order.parent === null),
    )
    .toSorted((a, b) => (a.stoppedAt < b.stoppedAt ? -1 : 1))
    .at(-1);
  const packed = databaseBytes * (compression === 'none' ? 1 : COMPRESSED_SHARE);
  const guess = packed * (order.parent === null ? 1 : INCREMENT_SHARE);
  return Math.ceil((last === undefined ? guess : last.bytes * GROWTH) + WAL_MARGIN_BYTES);
}

/** A data directory that is stored plain is not compressed, whatever was asked for. */
export const storedCompression = ({
  method,
  format,
  compression,
}: Pick<BackupOrder, 'method' | 'format' | 'compression'>): BackupOrder['compression'] =>
  isOfDataDirectory(method) && format === 'plain' ? 'none' : compression;

const kilobytes = (bytes: number): number =>
  Math.min(Math.max(Math.floor(bytes / KILOBYTE), RATE_MIN), RATE_MAX);
