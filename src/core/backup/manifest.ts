/** `backup_manifest`: what PostgreSQL says it has put into a base backup (manual: same title). */
import { compareLsn, type Lsn } from '../lsn';
import { type BackupWal } from './backup';
import { type ListedFile } from './stored-list';

export interface Manifest {
  readonly wal: BackupWal;
  /** Paths from the data directory on. WAL and the manifest itself are not among them. */
  readonly files: readonly ListedFile[];
}

/** What a manifest says of a copy that pgswarm made itself. */
export interface ManifestContent {
  readonly majorVersion: number;
  readonly systemIdentifier: string;
  /** Paths from the data directory on. */
  readonly files: readonly (ListedFile & { readonly modifiedAt: Date })[];
  readonly wal: readonly BackupWal[];
}

/** Since then a manifest names the database that it belongs to. */
const IDENTIFIED_SINCE = 17;

interface RawManifest {
  readonly Files?: readonly {
    /** Absent where the name is not UTF-8. */
    readonly Path?: string;
    readonly Size: number;
    readonly 'Checksum-Algorithm'?: string;
    readonly Checksum?: string;
  }[];
  readonly 'WAL-Ranges'?: readonly {
    readonly Timeline: number;
    readonly 'Start-LSN': Lsn;
    readonly 'End-LSN': Lsn;
  }[];
}

/** Throws when it is none. */
export function parseManifest(text: string): Manifest {
  const { Files: files = [], 'WAL-Ranges': ranges = [] } = JSON.parse(text) as RawManifest;
  const [first, ...others] = ranges;
  if (first === undefined) throw new Error('the manifest names no WAL');
  // A standby may have followed its upstream to another timeline while the backup was taken.
  const wal = others.reduce<BackupWal>((all, range) => join(all, walOf(range)), walOf(first));
  return {
    wal,
    files: files.flatMap(({ Path: path, Size: bytes, Checksum: sha256, ...rest }) =>
      path === undefined || sha256 === undefined || rest['Checksum-Algorithm'] !== 'SHA256'
        ? []
        : [{ path, bytes, sha256 }],
    ),
  };
}

/** All lines but the last one, which is `sealOf` them (manual: "Backup Manifest Format"). */
export function renderManifest(content: ManifestContent): string {
  const { majorVersion, systemIdentifier, files, wal } = content;
  const head =
    majorVersion < IDENTIFIED_SINCE
      ? '"PostgreSQL-Backup-Manifest-Version": 1'
      : // A number of 64 bits, which JSON.stringify could not write.
        `"PostgreSQL-Backup-Manifest-Version": 2,\n"System-Identifier": ${systemIdentifier}`;
  const lines = files.map(({ path, bytes, sha256, modifiedAt }) =>
    JSON.stringify({
      Path: path,
      Size: bytes,
      'Last-Modified': `${modifiedAt.toISOString().slice(0, 19).replace('T', ' ')} GMT`,
      'Checksum-Algorithm': 'SHA256',
      Checksum: sha256,
    }),
  );
  const ranges = wal.map(({ timeline, startLsn, stopLsn }) =>
    JSON.stringify({ Timeline: timeline, 'Start-LSN': startLsn, 'End-LSN': stopLsn }),
  );
  const list = (rows: readonly string[]): string => `[\n${rows.join(',\n')}\n]`;
  return `{ ${head},\n"Files": ${list(lines)},\n"WAL-Ranges": ${list(ranges)},\n`;
}

/** The last line; the SHA-256 is that of all lines before it. */
export const sealOf = (sha256: string): string => `"Manifest-Checksum": "${sha256}"}\n`;

const walOf = (range: NonNullable<RawManifest['WAL-Ranges']>[number]): BackupWal => ({
  timeline: range.Timeline,
  startLsn: range['Start-LSN'],
  stopLsn: range['End-LSN'],
});

const join = (a: BackupWal, b: BackupWal): BackupWal => ({
  timeline: Math.max(a.timeline, b.timeline),
  startLsn: compareLsn(a.startLsn, b.startLsn) <= 0 ? a.startLsn : b.startLsn,
  stopLsn: compareLsn(a.stopLsn, b.stopLsn) >= 0 ? a.stopLsn : b.stopLsn,
});
