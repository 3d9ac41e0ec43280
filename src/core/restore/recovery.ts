/** How a recovery has ended, and what that means to whoever wants the database back. */
import { nameOfSegment, nextSegment, parseSegment, segmentBefore } from '../archive/wal-files';
import { furthestLsn, type Lsn } from '../lsn';
import { isoTime, type RecoveryLog } from './recovery-log';
import { describeTarget, type RestorePoint, type RestoreTarget } from './target';

/** What the server does after recovery. `failed`: it has ended, and cannot be looked at. */
export type RecoveryEnd = 'paused' | 'promoted' | 'shut down' | 'failed';

export interface RecoveryProblem {
  /** `TargetTooEarly`, `TargetNotReached`, `WalMissing`, `WalDamaged`, … */
  readonly reason: string;
  /** A sentence: what is wrong, and what to do. */
  readonly message: string;
}

/** Up to where the database was brought back. */
export interface RestoredTo {
  /** Behind the last record that was replayed; after a failure perhaps only its beginning. */
  readonly lsn: Lsn | null;
  /** ISO 8601: end of the last transaction that was replayed; null when there was none. */
  readonly at: string | null;
  readonly timeline: number | null;
}

export interface Recovery {
  readonly end: RecoveryEnd;
  readonly restoredTo: RestoredTo;
  /** One sentence for people, whatever the end. */
  readonly message: string;
  /** null: the database is as it was asked for. It may run and still have one: at a hole, `latest` is early. */
  readonly problem: RecoveryProblem | null;
}

/** What was seen of a recovery that has ended. */
export interface RecoverySeen {
  readonly end: 'paused' | 'promoted' | 'exited';
  readonly log: RecoveryLog;
  readonly target: RestoreTarget;
  /** By the server itself; null where it was never asked. */
  readonly replayed: RestoredTo;
  /** Up to here the archive has WAL, perhaps with holes; null: not known. */
  readonly walEndsAtLsn: Lsn | null;
  readonly segmentBytes: number;
}

/** Judges a recovery that has ended. */
export function concludeRecovery(seen: RecoverySeen): Recovery {
  const { log, replayed, target } = seen;
  const restoredTo = {
    lsn: furthestLsn([replayed.lsn, log.redoDoneLsn, log.progressLsn]),
    at: log.lastTransactionAt ?? replayed.at,
    timeline: replayed.timeline,
  };
  const end = endOf(seen);
  const problem = problemOf(seen, restoredTo);
  const done = `restored to ${describeTarget(target)}${whereabouts(restoredTo)}`;
  return { end, restoredTo, message: problem?.message ?? done, problem };
}

/**
 * A time from before the backup, by its `backup_label`. PostgreSQL stops at the first commit that is
 * later: it would call the end of the backup restored, with everything that was committed in between.
 */
export function refuseBeforeBackup(target: RestoreTarget, label: string): Recovery | null {
  const startedAt = isoTime(/^START TIME: (.+)$/m.exec(label)?.[1] ?? '');
  if (target.point.kind !== 'time' || startedAt === null) return null;
  if (Date.parse(target.point.time) >= Date.parse(startedAt)) return null;
  const problem = tooEarly(target);
  const restoredTo = { lsn: null, at: null, timeline: null };
  return { end: 'failed', restoredTo, message: problem.message, problem };
}

function endOf({ end, log }: RecoverySeen): RecoveryEnd {
  if (end !== 'exited') return end;
  return log.isShutDownAtTarget ? 'shut down' : 'failed';
}

function problemOf(seen: RecoverySeen, restoredTo: RestoredTo): RecoveryProblem | null {
  const { end, log, target } = seen;
  if (end === 'exited') return log.isShutDownAtTarget ? null : failureOf(seen, restoredTo);
  // PostgreSQL pauses by itself, too: when it cannot answer queries with the settings that it has.
  if (end === 'paused' && log.stop === null) return tooLow(log);
  if (target.point.kind !== 'latest') return null;
  return cutShort(seen, restoredTo);
}

// ── failures ─────────────────────────────────────────────────────────────────────────────────

interface KnownFailure {
  readonly pattern: RegExp;
  readonly problem: (seen: RecoverySeen, restoredTo: RestoredTo) => RecoveryProblem;
}

const FAILURES: readonly KnownFailure[] = [
  {
    pattern: /recovery ended before configured recovery target was reached/,
    problem: (seen, restoredTo) => cutShort(seen, restoredTo) ?? notReached(seen, restoredTo),
  },
  {
    pattern: /requested recovery stop point is before consistent recovery point/,
    problem: ({ target }) => tooEarly(target),
  },
  {
    pattern: /WAL ends before (end of online backup|consistent recovery point)/,
    problem: (seen, restoredTo) => {
      const what = 'the WAL that was written while the backup was made';
      return damaged(seen, restoredTo) ?? missing(seen, restoredTo, what);
    },
  },
  {
    pattern:
      /could not locate (a valid|required|the) ?checkpoint record|could not find redo location/,
    problem: (seen, restoredTo) =>
      damaged(seen, restoredTo) ?? missing(seen, restoredTo, 'the WAL at which the backup begins'),
  },
  {
    pattern: /could not restore file "([^"]+)" from archive/,
    problem: ({ log }) => ({
      reason: 'ArchiveUnavailable',
      message:
        `recovery was broken off, because the archive could not answer: ${log.failure ?? ''}` +
        `${log.commandWords === null ? '' : `; ${log.commandWords}`}. Nothing is lost: try again`,
    }),
  },
  {
    pattern: /archive file "[^"]*" has wrong size/,
    problem: (seen, restoredTo) => damaged(seen, restoredTo) ?? otherwise(seen),
  },
  {
    pattern:
      /recovery target timeline \d+ does not exist|requested timeline \d+ (is not a child|does not contain)/,
    problem: ({ log }) => ({
      reason: 'TimelineUnreachable',
      message:
        `no way leads from the backup to that timeline: ${log.failure ?? ''}. ` +
        'Take a backup from before the timelines parted, or another timeline',
    }),
  },
  { pattern: /insufficient parameter settings/, problem: ({ log }) => tooLow(log) },
];

function failureOf(seen: RecoverySeen, restoredTo: RestoredTo): RecoveryProblem {
  const words = seen.log.failure ?? '';
  const known = FAILURES.find(({ pattern }) => pattern.test(words));
  return known?.problem(seen, restoredTo) ?? otherwise(seen);
}

const otherwise = ({ log }: RecoverySeen): RecoveryProblem => ({
  reason: 'RecoveryFailed',
  message: `recovery has failed: ${log.failure ?? 'PostgreSQL has ended without a word'}`,
});

/** PostgreSQL takes the first record that it cannot read for the end of the WAL, and says no more. */
const cutShort = (seen: RecoverySeen, restoredTo: RestoredTo): RecoveryProblem | null =>
  damaged(seen, restoredTo) ?? (isEarly(seen, restoredTo) ? missing(seen, restoredTo) : null);

function damaged({ log }: RecoverySeen, restoredTo: RestoredTo): RecoveryProblem | null {
  if (log.damage === null) return null;
  const file = log.lastRestored === null ? '' : ` in ${log.lastRestored}`;
  return {
    reason: 'WalDamaged',
    message:
      `the WAL cannot be read any further${file}: ${log.damage}. Recovery got ` +
      `${reached(restoredTo)}: choose a point up to there, or bring back the file`,
  };
}

/** A segment may end long before it is full; a missing one is missed as a whole. */
const isEarly = ({ walEndsAtLsn, segmentBytes }: RecoverySeen, { lsn }: RestoredTo): boolean =>
  walEndsAtLsn !== null &&
  lsn !== null &&
  segmentBefore(lsn, segmentBytes) < segmentBefore(walEndsAtLsn, segmentBytes);

function missing(
  { log, segmentBytes }: RecoverySeen,
  restoredTo: RestoredTo,
  what = 'WAL in the midst of the way',
): RecoveryProblem {
  const last = log.lastRestored === null ? null : parseSegment(log.lastRestored, segmentBytes);
  const next = last === null ? null : nameOfSegment(nextSegment(last), segmentBytes);
  const file = next === null ? '' : `; the next file would be ${next}`;
  return {
    reason: 'WalMissing',
    message:
      `${what} is missing in the archive${file}. Recovery got ${reached(restoredTo)}: ` +
      'bring back the file, choose a point before it, or take another backup',
  };
}

function notReached({ target }: RecoverySeen, restoredTo: RestoredTo): RecoveryProblem {
  return {
    reason: 'TargetNotReached',
    message:
      `${describeTarget(target)} was not met: the WAL ends before. Recovery got ` +
      `${reached(restoredTo)}: ${adviceFor(target.point, restoredTo)}`,
  };
}

function adviceFor(point: RestorePoint, { at }: RestoredTo): string {
  switch (point.kind) {
    case 'time':
      return `choose ${at === null ? '' : `a time up to ${at}, or `}latest`;
    case 'xid':
      return 'the transaction has not ended, or it ended before the backup: then take an earlier one';
    case 'name':
      return 'check the name; if the point is older than the backup, take an earlier one';
    case 'lsn':
    case 'immediate':
    case 'latest':
      return 'choose an earlier point, or latest';
  }
}

const tooEarly = (target: RestoreTarget): RecoveryProblem => ({
  reason: 'TargetTooEarly',
  message:
    `${describeTarget(target)} lies before the end of the backup, and until there its files do ` +
    'not fit together: take an earlier backup, or a later point',
});

function tooLow({ tooLow: settings }: RecoveryLog): RecoveryProblem {
  const list = Object.entries(settings).map(([name, value]) => `${name} = ${value}`);
  return {
    reason: 'ParameterTooLow',
    message: `recovery needs settings as high as they were: ${list.join(', ')}`,
  };
}

// ── words ────────────────────────────────────────────────────────────────────────────────────

const reached = ({ lsn, at }: RestoredTo): string =>
  lsn === null
    ? 'nowhere'
    : `to WAL position ${lsn}${at === null ? '' : `, the last transaction being of ${at}`}`;

const whereabouts = ({ lsn, at }: RestoredTo): string => {
  const parts = [
    ...(lsn === null ? [] : [`WAL position ${lsn}`]),
    ...(at === null ? [] : [`last transaction ${at}`]),
  ];
  return parts.length === 0 ? '' : ` (${parts.join(', ')})`;
};
