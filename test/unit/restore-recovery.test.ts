import { expect } from 'chai';
import {
  concludeRecovery,
  refuseBeforeBackup,
  type Recovery,
} from '../../src/core/restore/recovery';
import {
  NOTHING_LOGGED,
  readRecoveryLog,
  type RecoveryLog,
  type RecoveryLogEntry,
} from '../../src/core/restore/recovery-log';
import { parseTarget, type TargetDocument } from '../../src/core/restore/target';

const SEGMENT_BYTES = 16 * 1024 ** 2;

/** `FATAL: words` of the startup process; `client FATAL: words`; `command LOG: words`. */
function entryOf(line: string): RecoveryLogEntry {
  const [, who = 'startup', level = 'LOG', message = line, , detail] =
    /^(?:(client|command|early) )?(?:(LOG|WARNING|FATAL): )?(.*?)(\| DETAIL: (.*))?$/.exec(line) ??
    [];
  if (who === 'command') return { level: 'LOG', message, fields: {} };
  const backend = who === 'client' ? 'client backend' : who;
  return {
    level,
    message,
    fields: {
      pid: '7',
      ...(who === 'early' ? {} : { backend }),
      ...(detail === undefined ? {} : { detail }),
    },
  };
}

const logOf = (lines: readonly string[]): RecoveryLog =>
  lines.map(entryOf).reduce(readRecoveryLog, NOTHING_LOGGED);

interface Row {
  readonly name: string;
  readonly target: TargetDocument;
  readonly end?: 'paused' | 'promoted' | 'exited';
  readonly log: readonly string[];
  readonly replayedLsn?: string;
  readonly walEndsAtLsn?: string;
  readonly is: Recovery['end'];
  readonly reason?: string;
  readonly says: readonly string[];
}

function conclude({ target, end = 'exited', log, replayedLsn, walEndsAtLsn }: Row): Recovery {
  const parsed = parseTarget(target);
  if (parsed.kind === 'findings') throw new Error(JSON.stringify(parsed.findings));
  return concludeRecovery({
    end,
    log: logOf(log),
    target: parsed.target,
    replayed: { lsn: replayedLsn ?? null, at: null, timeline: 1 },
    walEndsAtLsn: walEndsAtLsn ?? null,
    segmentBytes: SEGMENT_BYTES,
  });
}

const RESTORED = [
  'redo starts at 0/2000028',
  'restored log file "000000010000000000000003" from archive',
  'consistent recovery state reached at 0/2000138',
];
const DONE = [
  'redo done at 0/3000060 system usage: CPU: user: 0.00 s',
  'last completed transaction was at log time 2026-11-21 17:14:59.12345+00',
];
const NOT_REACHED = 'FATAL: recovery ended before configured recovery target was reached';
const CHECKSUM = 'incorrect resource manager data checksum in record at 0/3000060';

describe('a recovery that has ended', () => {
  const rows: readonly Row[] = [
    {
      name: 'pauses at its target',
      target: { xid: 731, exclusive: true },
      end: 'paused',
      log: [
        ...RESTORED,
        'recovery stopping before commit of transaction 731, time 2026-11-21 17:15:00+00',
        'pausing at the end of recovery',
      ],
      replayedLsn: '0/3000100',
      is: 'paused',
      says: ['restored to just before transaction 731', '0/3000100'],
    },
    {
      name: 'is promoted at the end of the WAL',
      target: { latest: true },
      end: 'promoted',
      log: [...RESTORED, ...DONE],
      replayedLsn: '0/4000000',
      walEndsAtLsn: '0/4000000',
      is: 'promoted',
      says: ['restored to the end of the WAL', '2026-11-21T17:14:59.12345Z'],
    },
    {
      name: 'was shut down at its target',
      target: { name: 'a', action: 'shutdown' },
      log: [
        ...RESTORED,
        'recovery stopping at restore point "a"',
        ...DONE,
        'shutdown at recovery target',
      ],
      is: 'shut down',
      says: ['restored to restore point "a"'],
    },
    {
      name: 'was promoted in the midst of the WAL, because a file is missing',
      target: { latest: true },
      end: 'promoted',
      log: [...RESTORED, ...DONE],
      replayedLsn: '0/4000000',
      walEndsAtLsn: '0/6000000',
      is: 'promoted',
      reason: 'WalMissing',
      says: ['000000010000000000000004', '0/4000000'],
    },
    {
      name: 'was promoted in the midst of the WAL, because a file is damaged',
      target: { latest: true },
      end: 'promoted',
      // The last good file is read once more.
      log: [...RESTORED, CHECKSUM, ...DONE, RESTORED[1]!],
      replayedLsn: '0/3000060',
      is: 'promoted',
      reason: 'WalDamaged',
      says: ['000000010000000000000003', 'checksum', '2026-11-21T17:14:59.12345Z'],
    },
    {
      name: 'found damage that the next file made good',
      target: { latest: true },
      end: 'promoted',
      log: [CHECKSUM, ...RESTORED, ...DONE],
      is: 'promoted',
      says: ['restored to the end of the WAL'],
    },
    {
      name: 'found a segment that was never filled: that is where WAL ends',
      target: { latest: true },
      end: 'promoted',
      log: [...RESTORED, 'invalid record length at 0/3000100: wanted 24, got 0', ...DONE],
      is: 'promoted',
      says: ['restored to the end of the WAL'],
    },
    {
      name: 'found the same, in the words of PostgreSQL 17',
      target: { latest: true },
      end: 'promoted',
      log: [
        ...RESTORED,
        'invalid record length at 0/3000100: expected at least 24, got 0',
        ...DONE,
      ],
      is: 'promoted',
      says: ['restored to the end of the WAL'],
    },
    {
      name: 'ends before a time',
      target: { time: '2026-11-21T18:00:00Z' },
      log: [...RESTORED, ...DONE, NOT_REACHED],
      is: 'failed',
      reason: 'TargetNotReached',
      says: ['2026-11-21T18:00:00Z was not met', 'up to 2026-11-21T17:14:59.12345Z, or latest'],
    },
    {
      name: 'never meets a restore point',
      target: { name: 'nowhere' },
      log: [...RESTORED, ...DONE, NOT_REACHED],
      is: 'failed',
      reason: 'TargetNotReached',
      says: ['restore point "nowhere" was not met', 'check the name'],
    },
    {
      name: 'never meets a transaction',
      target: { xid: 900 },
      log: [...RESTORED, ...DONE, NOT_REACHED],
      is: 'failed',
      reason: 'TargetNotReached',
      says: ['transaction 900', 'before the backup'],
    },
    {
      name: 'misses a file on the way to a position',
      target: { lsn: '0/5000000' },
      log: [...RESTORED, ...DONE, NOT_REACHED],
      walEndsAtLsn: '0/6000000',
      is: 'failed',
      reason: 'WalMissing',
      says: ['next file would be 000000010000000000000004'],
    },
    {
      name: 'meets damage on the way to a position',
      target: { lsn: '0/5000000' },
      log: [...RESTORED, CHECKSUM, ...DONE, NOT_REACHED],
      is: 'failed',
      reason: 'WalDamaged',
      says: ['checksum'],
    },
    {
      name: 'is to stop before the backup is whole',
      target: { lsn: '0/2000040' },
      log: [
        'redo starts at 0/2000028',
        'recovery stopping after WAL location (LSN) "0/2000040"',
        'FATAL: requested recovery stop point is before consistent recovery point',
      ],
      is: 'failed',
      reason: 'TargetTooEarly',
      says: ['earlier backup'],
    },
    {
      name: 'misses WAL of the backup itself',
      target: { immediate: true },
      log: ['redo starts at 0/2000028', 'FATAL: WAL ends before end of online backup'],
      is: 'failed',
      reason: 'WalMissing',
      says: ['while the backup was made'],
    },
    {
      name: 'cannot even begin',
      target: { immediate: true },
      log: ['FATAL: could not locate required checkpoint record'],
      is: 'failed',
      reason: 'WalMissing',
      says: ['at which the backup begins', 'Recovery got nowhere'],
    },
    {
      name: 'cannot even begin, in the words of PostgreSQL 17',
      target: { immediate: true },
      log: ['FATAL: could not locate required checkpoint record at 0/2000060'],
      is: 'failed',
      reason: 'WalMissing',
      says: ['at which the backup begins'],
    },
    {
      name: 'is broken off by an archive that cannot answer now',
      target: { latest: true },
      log: [
        ...RESTORED,
        'command LOG: the peers cannot be asked',
        'FATAL: could not restore file "000000010000000000000004" from archive: child process exited with exit code 126',
      ],
      is: 'failed',
      reason: 'ArchiveUnavailable',
      says: ['the peers cannot be asked', 'try again'],
    },
    {
      name: 'gets a file that is too short',
      target: { latest: true },
      log: [
        'redo starts at 0/2000028',
        'FATAL: archive file "000000010000000000000003" has wrong size: 100 instead of 16777216',
      ],
      is: 'failed',
      reason: 'WalDamaged',
      says: ['100 instead of 16777216'],
    },
    {
      name: 'is to follow a timeline that is elsewhere',
      target: { latest: true, timeline: 4 },
      log: [
        "FATAL: requested timeline 4 is not a child of this server's history| DETAIL: Latest checkpoint is at 0/5000060 on timeline 1, but the server forked off from that timeline at 0/4000000.",
      ],
      is: 'failed',
      reason: 'TimelineUnreachable',
      says: ['forked off from that timeline at 0/4000000'],
    },
    {
      name: 'pauses where its settings are too low',
      target: { latest: true },
      end: 'paused',
      log: [
        ...RESTORED,
        'WARNING: hot standby is not possible because of insufficient parameter settings| DETAIL: max_connections = 100 is a lower setting than on the primary server, where its value was 200.',
      ],
      is: 'paused',
      reason: 'ParameterTooLow',
      says: ['max_connections = 200'],
    },
    {
      name: 'turns clients away, which is no failure of its own',
      target: { latest: true },
      log: [
        'client FATAL: the database system is starting up',
        'early FATAL: data directory "x" has invalid permissions',
      ],
      is: 'failed',
      reason: 'RecoveryFailed',
      says: ['invalid permissions'],
    },
    {
      name: 'is killed',
      target: { latest: true },
      log: RESTORED,
      is: 'failed',
      reason: 'RecoveryFailed',
      says: ['without a word'],
    },
  ];
  for (const row of rows) {
    it(row.name, () => {
      const { end, problem, message } = conclude(row);
      expect({ end, reason: problem?.reason }).to.deep.equal({ end: row.is, reason: row.reason });
      for (const words of row.says) expect(message).to.include(words);
    });
  }

  for (const { name, target, label, isRefused } of [
    { name: 'before it', target: { time: '2026-11-21T17:00:00Z' }, label: 'UTC', isRefused: true },
    { name: 'with it', target: { time: '2026-11-21T17:00:01Z' }, label: 'UTC', isRefused: false },
    {
      name: 'before it, in a zone that is only a name',
      target: { time: '2026-11-21T16:00:00Z' },
      label: 'CET',
      isRefused: false,
    },
    { name: 'at no time', target: { immediate: true }, label: 'UTC', isRefused: false },
  ]) {
    it(`${isRefused ? 'refuses' : 'lets pass'} a target ${name}, by the label of the backup`, () => {
      const parsed = parseTarget(target);
      if (parsed.kind === 'findings') throw new Error('not a target');
      const text = `LABEL: b\nSTART TIME: 2026-11-21 17:00:01 ${label}\n`;
      const refused = refuseBeforeBackup(parsed.target, text);
      expect(refused?.problem?.reason).to.equal(isRefused ? 'TargetTooEarly' : undefined);
    });
  }

  it('knows where it was from the log alone', () => {
    const { restoredTo } = conclude({
      name: '',
      target: { latest: true },
      log: ['redo in progress, elapsed time: 1.00 s, current LSN: 0/4500000'],
      is: 'failed',
      says: [],
    });
    expect(restoredTo).to.deep.equal({ lsn: '0/4500000', at: null, timeline: 1 });
  });
});
