/** What keeps a backup from being taken, in words on which a person can act. */
import { explainFailure } from '../../adapters/postgres/failures';
import { messageOf, OperatingError, type ErrorKind } from '../../core/errors';

interface KnownFailure {
  readonly pattern: RegExp;
  readonly kind: ErrorKind;
  readonly reason: string;
  readonly advice: string;
}

/** The first that matches. Messages are English: programs run with `LC_ALL=C.UTF-8`. */
const KNOWN: readonly KnownFailure[] = [
  {
    pattern: /standby was promoted during online backup/,
    kind: 'stale',
    reason: 'PromotedMeanwhile',
    advice: 'this server became primary while it was copied: take the backup again',
  },
  {
    pattern: /WAL of the copy is gone/,
    kind: 'transient',
    reason: 'WalGone',
    advice:
      'more was written meanwhile than is kept: take it again, or raise max_slot_wal_keep_size',
  },
  {
    pattern: /no space left on device|disk quota exceeded/i,
    kind: 'refused',
    reason: 'ArchiveVolumeFull',
    advice: 'the archive volume is full: make it larger, or let go of old backups',
  },
  {
    pattern: /exceeds max_wal_senders|all replication slots are in use|too many clients/,
    kind: 'transient',
    reason: 'WalSendersExhausted',
    advice:
      'standbys, clones and other backups have them all: wait for one to end, or raise ' +
      'max_wal_senders and max_replication_slots in spec.postgres.parameters',
  },
  {
    pattern: /checksum error occurred|checksum verification failed/,
    kind: 'refused',
    reason: 'DataDamaged',
    advice:
      'pages of this server are damaged on its disk: back up another server, and clone this one again',
  },
  {
    pattern: /full_page_writes=off/,
    kind: 'refused',
    reason: 'FullPageWritesOff',
    advice: 'a standby can be backed up only while its primary has full_page_writes on',
  },
  {
    pattern: /summarize_wal|WAL summar/,
    kind: 'refused',
    reason: 'SummariesMissing',
    advice:
      'an incremental backup needs summarize_wal: on in spec.postgres.parameters since before its parent: turn it on, and take a full one first',
  },
  {
    pattern: /conflict with recovery/,
    kind: 'transient',
    reason: 'RecoveryConflict',
    advice: 'replay on this standby needed what the dump was reading: dump the primary',
  },
  {
    pattern: /role "[^"]*" does not exist/,
    kind: 'refused',
    reason: 'RoleMissing',
    advice: 'create it first; globals.sql of the backup says how it was',
  },
  {
    pattern: /is being accessed by other users/,
    kind: 'refused',
    reason: 'DatabaseInUse',
    advice: 'end the sessions in that database: it is dropped and made anew',
  },
  {
    pattern: /read-only transaction/,
    kind: 'refused',
    reason: 'NotPrimary',
    advice: 'a dump is restored on the primary',
  },
  {
    pattern: /manifest/,
    kind: 'refused',
    reason: 'ParentUnusable',
    advice: 'the changes since that backup are not known here: take a full one',
  },
  {
    pattern: /not supported by this build|could not set compression worker/,
    kind: 'refused',
    reason: 'CompressionUnavailable',
    advice: 'this PostgreSQL was built without it: choose another compression',
  },
  {
    pattern:
      /closed the connection|terminating connection|connection to server|could not (receive|read COPY|send)|connection (reset|refused)|SSL SYSCALL|connect E[A-Z]+|connection terminated|backup is not in progress|shutting down|starting up/i,
    kind: 'transient',
    reason: 'ConnectionLost',
    advice: 'PostgreSQL was stopped or failed meanwhile: nothing was kept; it is tried again',
  },
];

/** An error with a reason and advice; one that has them already, and an abort, stay as they are. */
export function explainBackupFailure(error: unknown, attempted: string): unknown {
  const isExplained = error instanceof OperatingError && error.code !== 'ProgramFailed';
  const isAbort = error instanceof Error && error.name === 'AbortError';
  if (isExplained || isAbort) return error;
  const words = complaintsOf(messageOf(error));
  const known = KNOWN.find(({ pattern }) => pattern.test(words));
  if (known === undefined) {
    const failure = new OperatingError('transient', 'ProgramFailed', words, error);
    return explainFailure(failure, { attempted, otherwise: 'BackupFailed' });
  }
  const { kind, reason, advice } = known;
  return new OperatingError(kind, reason, `${attempted}: ${words} (${advice})`, error);
}

/** What a program has said, without its progress, its warnings and its name on every line. */
export function complaintsOf(words: string): string {
  const lines = words.split('\n').filter((line) => !/^\s*\d+\/\d+ kB/.test(line));
  const complaints = lines.filter((line) => !/^(\w+: )?(warning|notice|hint)/i.test(line));
  const chosen = complaints.length > 0 ? complaints : lines;
  return chosen
    .map((line) => line.replace(/^pg_\w+: (error: |detail: )?/, '').trim())
    .filter((line) => line !== '')
    .join('; ');
}
