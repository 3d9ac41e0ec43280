/** Compares the data directory with its upstream: has it anything that the upstream has not? */
import { join } from 'node:path';
import { readControlFields } from '../../adapters/postgres/control-data';
import { readWalBeyond, type WalSource } from '../../adapters/postgres/diverged-wal';
import { readText } from '../../adapters/postgres/durable-files';
import { explainFailure } from '../../adapters/postgres/failures';
import {
  beyondFork,
  forkOf,
  historyFile,
  parseTimelineHistory,
  type Fork,
  type Lineage,
} from '../../core/timelines';
import {
  hasSegment,
  lookAtUpstream,
  type UpstreamSeen,
} from '../../adapters/postgres/upstream-check';
import { OperatingError } from '../../core/errors';
import { compareLsn } from '../../core/lsn';
import { type ControlData, type Upstream } from '../../core/protocol';
import { type Action } from '../next-action';
import { type Performer } from '../perform';
import { dataDirectory } from '../volume';
import { afterComparison, rejoinOf, type Standing } from './ladder';

/** The WAL of this server, which is stopped. */
export interface OwnWal extends Lineage, Pick<WalSource, 'walDirectory'> {
  readonly control: ControlData;
}

/** A stop before a comparison is like any other one. */
const STOP_LIMITS = { fastMs: 30_000, immediateMs: 5000 };
const MISSING_SEGMENT = /requested WAL segment ([0-9A-F]{24})/;

/** Notes where this server stands, for `nextRung`. */
export async function compare(
  performer: Performer,
  { upstream, suspicion }: Extract<Action, { kind: 'compare' }>,
  signal: AbortSignal,
): Promise<void> {
  const { state } = performer;
  const standing = await standingTo(performer, upstream, suspicion, signal);
  const before = rejoinOf(state.values.rejoin, upstream);
  state.set({ rejoin: afterComparison({ ...before, suspicion }, standing) });
}

/**
 * Where this server stands. One that runs is stopped for it: the end of what a running one receives
 * moves. Throws while the upstream cannot be asked, or is no primary yet.
 */
export async function standingTo(
  performer: Performer,
  upstream: Upstream,
  suspicion: string | null,
  signal: AbortSignal,
): Promise<Standing> {
  const { postgres, secrets } = performer;
  const look = async (): Promise<UpstreamSeen> =>
    await unlessAborted(signal, lookAt(upstream, secrets.replication));
  const before = await look();
  const isStopped = postgres.report.state === 'stopped';
  if (!isStopped) await postgres.stop(STOP_LIMITS);
  const own = await readOwnWal(performer);
  const seen = isStopped ? before : await look();
  const fork = forkOf(own, seen);
  if (fork === 'unrelated') throw unrelated(upstream);
  if (fork === 'endless') refuseAhead(own, seen, upstream);
  else if (await goesBeyond(performer, own, fork, signal)) {
    return { kind: 'diverged', fork };
  }
  const segment = MISSING_SEGMENT.exec(suspicion ?? '')?.[1];
  if (segment === undefined || (await hasSegment(upstream, secrets.replication, segment))) {
    return { kind: 'aligned' };
  }
  return { kind: 'outrun', segment };
}

/** Nothing waits for an answer from a place where nobody is any more. */
async function unlessAborted<T>(signal: AbortSignal, answer: Promise<T>): Promise<T> {
  const aborted = new Promise<never>((_, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true });
  });
  return await Promise.race([answer, aborted]);
}

/** The timelines of a stopped server, and where its WAL ends at least. */
export async function readOwnWal({ environment, postgres }: Performer): Promise<OwnWal> {
  const walDirectory = join(dataDirectory(environment.dataVolume), 'pg_wal');
  const { report } = postgres;
  if (report.state !== 'stopped' || report.control === null) {
    const message = 'the control data of the data directory is not known';
    throw new OperatingError('stale', 'ControlDataUnreadable', message);
  }
  const { timeline } = report.control;
  const text = (await readText(join(walDirectory, historyFile(timeline)))) ?? '';
  return { timeline, history: parseTimelineHistory(text), walDirectory, control: report.control };
}

/** What pg_waldump needs to read this server's WAL. */
export async function walSource(
  { environment }: Performer,
  { walDirectory }: OwnWal,
  signal: AbortSignal,
): Promise<WalSource> {
  const { binDirectory, dataVolume } = environment;
  const { segmentBytes } = await readControlFields(dataDirectory(dataVolume), binDirectory);
  return { walDirectory, segmentBytes: Number(segmentBytes), binDirectory, signal };
}

/** A server that was not stopped as primary, in order, may have more than its control data says. */
async function goesBeyond(
  performer: Performer,
  own: OwnWal,
  fork: Fork,
  signal: AbortSignal,
): Promise<boolean> {
  const { timeline, control } = own;
  if (timeline !== fork.timeline || compareLsn(control.endLsn, fork.endLsn) > 0) return true;
  if (control.clusterState === 'shut down') return false;
  const source = await walSource(performer, own, signal);
  const { ends } = await readWalBeyond(beyondFork(own, fork), { ...source, recordsMax: 1 });
  return ends.length > 0;
}

/**
 * On one timeline nobody can have more than its primary, unless the primary's disk has lost some.
 * Neither copy is thrown away for that by a program.
 */
function refuseAhead({ control }: OwnWal, { lsn }: UpstreamSeen, { server }: Upstream): void {
  if (compareLsn(control.endLsn, lsn) <= 0) return;
  const message =
    `this server's WAL goes on to ${control.endLsn}, that of its primary ${server} only to ${lsn}, on ` +
    `the same timeline: ${server} has lost WAL. Decide which of the two is right; to give up this ` +
    'one, empty its volume and let it be cloned again: pgswarm reclone';
  throw new OperatingError('refused', 'AheadOfUpstream', message);
}

/** A history file that is missing looks the same: no reason to give up what may be the last copy. */
function unrelated({ server }: Upstream): OperatingError {
  const message =
    `no timeline of this server is one of ${server}'s: where they parted is not known. Compare the ` +
    '*.history files in pg_wal of both; to give up this copy, empty its volume and let it be ' +
    'cloned again: pgswarm reclone';
  return new OperatingError('refused', 'NoCommonTimeline', message);
}

async function lookAt(upstream: Upstream, password: string): Promise<UpstreamSeen> {
  try {
    return await lookAtUpstream(upstream, password);
  } catch (error) {
    const { server, host, port } = upstream;
    const attempted = `looking at ${server} (${host}:${port}) before following it`;
    throw explainFailure(error, { attempted, otherwise: 'UpstreamUnreachable' });
  }
}
