/** What the kernel says of the archive's volume, in words for people. */
import { OperatingError, type ErrorKind } from '../../core/errors';

interface Trouble {
  readonly kind: ErrorKind;
  readonly code: string;
  readonly words: string;
}

const KEPT = 'PostgreSQL keeps what is not archived, and tries again.';

export const ARCHIVE_GONE = 'ArchiveVolumeGone';

const FULL: Trouble = {
  kind: 'transient',
  code: 'ArchiveVolumeFull',
  words: `its volume is full. Make it larger, or let go of old backups. ${KEPT}`,
};
const GONE: Trouble = {
  kind: 'transient',
  code: ARCHIVE_GONE,
  words:
    'its directory has disappeared. Was the volume unmounted, or emptied? Bring it back; ' +
    `or restart the server, which begins a new archive. ${KEPT}`,
};
const DENIED: Trouble = {
  kind: 'refused',
  code: 'ArchiveVolumeDenied',
  words: `permission is denied. Give the volume to the user of PostgreSQL (chown -R). ${KEPT}`,
};

const TROUBLES: Readonly<Record<string, Trouble>> = {
  ENOSPC: FULL,
  EDQUOT: FULL,
  EROFS: {
    kind: 'transient',
    code: 'ArchiveVolumeReadOnly',
    words:
      'its volume is read-only. The kernel does that after errors of the disk: look at its log, ' +
      `repair the file system, mount it writable. ${KEPT}`,
  },
  EIO: {
    kind: 'transient',
    code: 'ArchiveVolumeBroken',
    words: `its disk reports input/output errors. Look at the kernel's log. ${KEPT}`,
  },
  ENOENT: GONE,
  ENOTDIR: GONE,
  ENODEV: GONE,
  ESTALE: GONE,
  EACCES: DENIED,
  EPERM: DENIED,
};

/** The code of a system call's error; null of any other. */
export function errnoOf(error: unknown): string | null {
  const code = (error as NodeJS.ErrnoException | null)?.code;
  return error instanceof OperatingError || typeof code !== 'string' ? null : code;
}

/** Whether it was met on reading an open file: not every file here belongs to the archive. */
export const isReading = (error: unknown): boolean =>
  errnoOf(error) !== null && (error as NodeJS.ErrnoException).syscall === 'read';

/** An error of the archive's volume explained; any other error as it is. */
export function explainVolumeTrouble(
  error: unknown,
  { attempted, archive }: { readonly attempted: string; readonly archive: string },
): unknown {
  const trouble = TROUBLES[errnoOf(error) ?? ''];
  if (trouble === undefined) return error;
  const { kind, code, words } = trouble;
  return new OperatingError(kind, code, `${attempted}, in the archive ${archive}: ${words}`, error);
}

export const archiveGone = (archive: string): OperatingError =>
  new OperatingError(GONE.kind, GONE.code, `looking at the archive ${archive}: ${GONE.words}`);
