/**
 * What lies in a directory of WAL beyond a position, as pg_waldump reads it. A server that crashed
 * does not know itself where its WAL ends: it ends before the first record that is not valid.
 */
import { spawn } from 'node:child_process';
import { readdir } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import { parseSegment, segmentAt, segmentStart } from '../../core/archive/wal-files';
import { compareLsn, type Lsn } from '../../core/lsn';
import { programEnvironment, programPath } from './programs';
import { type Stretch } from '../../core/timelines';
import { endOf } from './wal-record';

export interface WalBeyond {
  /** False when a part is not there any more: there was at least what is told here. */
  readonly isWhole: boolean;
  /** Ends of the stretches in which there is at least one record, in their order. */
  readonly ends: readonly TimelineEnd[];
  /** Committed transactions, those that were prepared before included. */
  readonly commits: number;
  /** Prepared ones: promised to their client, too. */
  readonly prepared: number;
  /** ISO 8601. */
  readonly firstCommitAt: string | null;
  readonly lastCommitAt: string | null;
}

export interface TimelineEnd {
  readonly timeline: number;
  readonly fromLsn: Lsn;
  readonly endLsn: Lsn;
}

export interface WalSource {
  readonly walDirectory: string;
  readonly segmentBytes: number;
  readonly binDirectory: string;
  readonly signal: AbortSignal;
  /** To know whether there is a record one is enough. */
  readonly recordsMax?: number;
}

const NOTHING: WalBeyond = {
  isWhole: true,
  ends: [],
  commits: 0,
  prepared: 0,
  firstCommitAt: null,
  lastCommitAt: null,
};

/** rmgr: Heap  len (rec/tot):  59/  259, tx:  735, lsn: 0/01500110, prev …, desc: INSERT … */
const RECORD = /^rmgr: (\w+)\s+len \(rec\/tot\):\s*\d+\/\s*(\d+), .*? lsn: ([0-9A-F]+\/[0-9A-F]+),/;
/** The time zone is UTC: `programEnvironment` says so. */
const COMMIT =
  /desc: COMMIT(?:_PREPARED)? (?:\d+: )?(\d{4}-\d\d-\d\d) (\d\d:\d\d:\d\d(?:\.\d+)?) UTC/;
const PREPARE = /desc: PREPARE /;

/** Reads every record of the stretches, one by one: there may be gigabytes of them. */
export async function readWalBeyond(
  stretches: readonly Stretch[],
  source: WalSource,
): Promise<WalBeyond> {
  let beyond = NOTHING;
  for (const stretch of stretches) {
    const fromLsn = await firstReadable(stretch, source);
    if (fromLsn !== stretch.fromLsn) beyond = { ...beyond, isWhole: false };
    if (fromLsn === null) continue;
    const readable = { ...stretch, fromLsn };
    await forEachLine(readable, source, (line) => {
      beyond = withRecord(beyond, line, readable, source.segmentBytes);
    });
  }
  return beyond;
}

/** One line of pg_waldump's output, added to what was read before. */
export function withRecord(
  before: WalBeyond,
  line: string,
  { timeline, fromLsn }: Stretch,
  segmentBytes: number,
): WalBeyond {
  const [, manager, length, start] = RECORD.exec(line) ?? [];
  if (start === undefined || compareLsn(start, fromLsn) < 0) return before;
  const endLsn = endOf(start, Number(length), segmentBytes);
  const others = before.ends.filter((end) => end.timeline !== timeline);
  const after = { ...before, ends: [...others, { timeline, fromLsn, endLsn }] };
  if (manager !== 'Transaction') return after;
  if (PREPARE.test(line)) return { ...after, prepared: before.prepared + 1 };
  const [, date, time] = COMMIT.exec(line) ?? [];
  if (date === undefined || time === undefined) return after;
  const at = `${date}T${time}Z`;
  return {
    ...after,
    commits: before.commits + 1,
    firstCommitAt: before.firstCommitAt ?? at,
    lastCommitAt: at,
  };
}

/** Where reading can begin: older segments may have been removed by a checkpoint. */
async function firstReadable(
  { timeline, fromLsn }: Stretch,
  { walDirectory, segmentBytes }: WalSource,
): Promise<Lsn | null> {
  const wanted = segmentAt(fromLsn, segmentBytes);
  const [first] = (await readdir(walDirectory))
    .flatMap((name) => parseSegment(name, segmentBytes) ?? [])
    .filter((segment) => segment.timeline === timeline && segment.number >= wanted)
    .toSorted((a, b) => a.number - b.number);
  if (first?.number === wanted) return fromLsn;
  if (first !== undefined) return segmentStart(first.number, segmentBytes);
  // The next record would have begun a new segment: there is none.
  return segmentStart(wanted, segmentBytes) === fromLsn ? fromLsn : null;
}

/** Manual: "pg_waldump". It ends with an error at the end of the WAL: that is how an end looks. */
async function forEachLine(
  { timeline, fromLsn, endLsn }: Stretch,
  { walDirectory, binDirectory, signal, recordsMax }: WalSource,
  onLine: (line: string) => void,
): Promise<void> {
  signal.throwIfAborted();
  const range = [`--start=${fromLsn}`, ...(endLsn === null ? [] : [`--end=${endLsn}`])];
  const limit = recordsMax === undefined ? [] : [`--limit=${recordsMax}`];
  const child = spawn(
    programPath(binDirectory, 'pg_waldump'),
    [`--timeline=${timeline}`, ...range, ...limit, `--path=${walDirectory}`],
    { stdio: ['ignore', 'pipe', 'ignore'], env: programEnvironment(), signal },
  );
  const failed = new Promise<never>((_, reject) => child.on('error', reject));
  const read = (async (): Promise<void> => {
    for await (const line of createInterface({ input: child.stdout })) onLine(line);
  })();
  await Promise.race([read, failed]);
  signal.throwIfAborted();
}
