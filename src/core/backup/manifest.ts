/** `backup_manifest`: what PostgreSQL says it has put into a base backup (manual: same title). */
import { compareLsn, type Lsn } from '../lsn';
import { type BackupWal } from './backup';
import { type ListedFile } from './stored-list';

export interface Manifest {
  readonly wal: BackupWal;
  /** Paths from the data directory on. WAL and the manifest itself are not among them. */
  readonly files: readonly ListedFile[];
}

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
