/**
 * What PostgreSQL's log says of a recovery. Nothing else tells why one has ended: a target that was
 * never reached and a segment that cannot be read are one exit code. The words are those of versions
 * 15 to 17 (access/transam/xlogrecovery.c), in English.
 */
import { parseWalFile } from '../archive/wal-files';
import { type Lsn } from '../lsn';

export interface RecoveryLog {
  readonly redoFromLsn: Lsn | null;
  readonly consistentAtLsn: Lsn | null;
  /** How far it was when it last said so. */
  readonly progressLsn: Lsn | null;
  /** Where the last record that was replayed begins. */
  readonly redoDoneLsn: Lsn | null;
  /** ISO 8601: end of the last transaction that was replayed. */
  readonly lastTransactionAt: string | null;
  /** Why it stopped, when it was at a target: `recovery stopping before commit of transaction 731, …` */
  readonly stop: string | null;
  readonly isShutDownAtTarget: boolean;
  /** The last segment that the archive handed out; null when there was none. */
  readonly lastRestored: string | null;
  /** What is wrong with the WAL at the place at which reading it ended; null when it just ends. */
  readonly damage: string | null;
  /** Settings that must be as high as they were where the WAL comes from. */
  readonly tooLow: Readonly<Record<string, number>>;
  readonly failure: string | null;
  /** The last words of the restore command: lines that are not PostgreSQL's own. */
  readonly commandWords: string | null;
}

/** A message of the log, as `LogReader` joins it. */
export interface RecoveryLogEntry {
  /** `LOG`, `FATAL`, … */
  readonly level: string;
  readonly message: string;
  /** `backend`, `pid`, `detail`, `hint`, … */
  readonly fields: Readonly<Record<string, string>>;
}

export const NOTHING_LOGGED: RecoveryLog = {
  redoFromLsn: null,
  consistentAtLsn: null,
  progressLsn: null,
  redoDoneLsn: null,
  lastTransactionAt: null,
  stop: null,
  isShutDownAtTarget: false,
  lastRestored: null,
  damage: null,
  tooLow: {},
  failure: null,
  commandWords: null,
};

interface Reading {
  readonly pattern: RegExp;
  /** `group` is what the pattern's parentheses have caught. */
  readonly read: (group: string, entry: RecoveryLogEntry, log: RecoveryLog) => Partial<RecoveryLog>;
}

/** Zeros behind the last record are no damage: so ends a segment that was never filled. */
const DAMAGE =
  /^(incorrect resource manager data checksum|invalid magic number|invalid info bits|invalid resource manager ID|record with (incorrect|invalid)|unexpected pageaddr|out-of-sequence timeline|invalid contrecord|there is no contrecord|WAL file is from different|record length \d+ at|invalid block_id|archive file "[^"]*" has wrong size|invalid record (length|offset) at (?!.*got 0$))/;

const READINGS: readonly Reading[] = [
  { pattern: /^redo starts at (\S+)/, read: (redoFromLsn) => ({ redoFromLsn, damage: null }) },
  {
    pattern: /^consistent recovery state reached at (\S+)/,
    read: (consistentAtLsn) => ({ consistentAtLsn }),
  },
  { pattern: /current LSN: (\S+)$/, read: (progressLsn) => ({ progressLsn }) },
  { pattern: /^redo done at (\S+)/, read: (redoDoneLsn) => ({ redoDoneLsn }) },
  {
    pattern: /^last completed transaction was at log time (.+)$/,
    read: (time) => ({ lastTransactionAt: isoTime(time) }),
  },
  { pattern: /^(recovery stopping .+)$/, read: (stop) => ({ stop }) },
  { pattern: /^(shutdown at recovery target)$/, read: () => ({ isShutDownAtTarget: true }) },
  {
    pattern: /^restored log file "([^"]+)" from archive$/,
    // What was wrong with a file counts only when reading it was the end. Behind the end the last
    // good one is read once more.
    read: (name, _, { redoDoneLsn }) =>
      redoDoneLsn === null && parseWalFile(name)?.kind === 'segment'
        ? { lastRestored: name, damage: null }
        : {},
  },
  { pattern: DAMAGE, read: (_, { message }) => ({ damage: message }) },
  { pattern: /(insufficient parameter settings)/, read: (_, entry, log) => readTooLow(entry, log) },
];

/** What is known once this message has been read, too. */
export function readRecoveryLog(log: RecoveryLog, entry: RecoveryLogEntry): RecoveryLog {
  const { level, message, fields } = entry;
  if (fields['pid'] === undefined && level === 'LOG') return { ...log, commandWords: message };
  // A client that is turned away because the server starts is no failure of the server.
  if (!['startup', 'postmaster', undefined].includes(fields['backend'])) return log;
  const isFailure = level === 'FATAL' || level === 'PANIC';
  const failure = isFailure ? (log.failure ?? wordsOf(entry)) : log.failure;
  return READINGS.reduce<RecoveryLog>(
    (before, { pattern, read }) => {
      const match = pattern.exec(message);
      return match === null ? before : { ...before, ...read(match[1] ?? '', entry, before) };
    },
    { ...log, failure },
  );
}

/** `2026-11-21 17:14:59.1+00`, as PostgreSQL prints times where its zone is UTC, in ISO 8601. */
export function isoTime(text: string): string | null {
  const [, date, time] = /^(\S+) (\S+?)(?:\+00| UTC)$/.exec(text.trim()) ?? [];
  return date === undefined || time === undefined ? null : `${date}T${time}Z`;
}

function readTooLow({ fields }: RecoveryLogEntry, log: RecoveryLog): Partial<RecoveryLog> {
  const lower =
    /(\w+) = \d+ is a lower setting than on the primary server, where its value was (\d+)/;
  const [, name, value] = lower.exec(fields['detail'] ?? '') ?? [];
  if (name === undefined) return {};
  return { tooLow: { ...log.tooLow, [name]: Number(value) } };
}

const wordsOf = ({ message, fields }: RecoveryLogEntry): string =>
  fields['detail'] === undefined ? message : `${message} (${fields['detail']})`;
