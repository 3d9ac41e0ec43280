/** When a primary is lost. What is only slow, restarting or unheard is not. */
import { judgeCandidates } from '../candidates';
import { type Report } from '../protocol';
import { isRestoring } from '../restore/task';
import { type SwarmSeen } from '../observation';
import { type ServerView, type View } from '../situation';
import { type ClusterState } from '../state';
import { turnOf } from '../turn';

/** Task states that a node reports when the container has ended (Docker API, `TaskState`). */
const ENDED = ['complete', 'shutdown', 'failed', 'rejected'];
/** A primary that was only waiting for a new leader has found it by then. */
export const RECEPTION_MS = 2_000;
/** A primary that runs but cannot be used for so long is given up, if another can take over. */
const UNUSABLE_MAX_MS = 10_000;
/** Crash recovery replays at least so much in a millisecond; measured: 60 MB/s and more. */
const RECOVERY_BYTES_PER_MS = 50 * 1024;
/** A restart in place that takes less than this is not worth a rewind of the old primary. */
const RESTART_WORTH_MS = 3_000;

/** No lease is running any more, on a clock that is never too early. */
export const isLeaseOver = ({ situation, nowMs }: View): boolean =>
  situation.observation.grants.every(({ endsAtMs }) => nowMs >= endsAtMs);

/**
 * Every lease is over or was held by a container of which Swarm says that it has ended; and with it
 * every process in it: the kernel ends a PID namespace with its first process (pid_namespaces(7)).
 */
export function isExited({ swarm, situation, nowMs }: View): boolean {
  const running = situation.observation.grants.filter(({ endsAtMs }) => nowMs < endsAtMs);
  return running.length > 0 && running.every(({ taskId }) => hasEnded(swarm, taskId));
}

const hasEnded = (swarm: SwarmSeen | null, taskId: string | null): boolean =>
  swarm?.tasks.some(({ id, state }) => id === taskId && ENDED.includes(state)) ?? false;

/** Why the recorded primary is to be replaced; null while it is not. */
export function whyLost(view: View): string | null {
  const { state, spec, primary } = view;
  if (primary === null || state.change?.phase === 'electing') return null;
  if (state.fenced.includes(primary.name)) return null;
  if (isRestoring(state)) return isGivenUp(state) ? 'a person has given it up' : null;
  if (isAskedFor(view)) return 'a person has asked for another primary';
  if (spec.failover.mode === 'manual') return null;
  return whyGone(view, primary) ?? whyUnusable(view, primary);
}

/** While a restore lasts a person decides, above all that its server is dead, and with it the copy. */
const isGivenUp = ({ request, change }: ClusterState): boolean =>
  request?.primaryIsDead === true && request.acceptsLoss && change?.kind !== 'failover';

/** `pgswarm promote` while the primary is gone. */
function isAskedFor(view: View): boolean {
  const { request, contract, change } = view.state;
  // A switchover that was asked for stops the primary, and is no reason to think it gone.
  if (request === null || request.to === view.state.primary || change !== null) return false;
  if (view.primary?.asPrimary != null) return false;
  return request.primaryIsDead || isExited(view) || (contract !== null && isLeaseOver(view));
}

function whyGone(view: View, { lastSeenMs, report }: ServerView): string | null {
  const { spec, state, nowMs, swarm } = view;
  const { delayMs } = spec.failover;
  // A new container of it that reports is no loss, whatever became of the one before.
  const isBack = report !== null && !hasEnded(swarm, report.taskId);
  if (!isBack && isExited(view)) {
    return nowMs - (lastSeenMs ?? 0) >= delayMs ? 'its container has ended' : null;
  }
  if (report !== null || state.contract === null || !isLeaseOver(view)) return null;
  if (nowMs - view.situation.observation.leadingSinceMs < RECEPTION_MS) return null;
  const endMs = Math.max(...view.situation.observation.grants.map(({ endsAtMs }) => endsAtMs));
  // While the peers have promised to wait it goes on without a leader, and is not lost.
  return nowMs >= endMs + delayMs && isSomebodyFree(view) ? 'its lease is over' : null;
}

function isSomebodyFree({ servers, state, nowMs }: View): boolean {
  return servers.some(
    ({ name, report, lastSeenMs }) =>
      state.contract?.peers.includes(name) === true &&
      report !== null &&
      (report.promiseLeftMs ?? 0) <= nowMs - (lastSeenMs ?? 0),
  );
}

/**
 * It reports, and does not accept writes: what loses nothing and takes less. A restart in place
 * loses nothing; a failover loses nothing where every commit is guaranteed to be elsewhere.
 */
function whyUnusable(view: View, { report, asPrimary }: ServerView): string | null {
  const { state } = view;
  if (report === null || asPrimary !== null || isMeantToBeAway(state, report)) return null;
  if (!hasItsTask(state, report) || judgeCandidates(view).fit.length === 0) return null;
  const { postgres, problem } = report;
  if (postgres.state === 'starting') return whyNotAwaited(view, postgres.recoveryBytes ?? 0);
  if (downMs(view) < UNUSABLE_MAX_MS) return null;
  return `it cannot run: ${problem?.message ?? `PostgreSQL is ${postgres.state}`}`;
}

const hasItsTask = ({ term }: ClusterState, { obeys }: Report): boolean =>
  obeys?.term === term && obeys.task === 'primary';

const isMeantToBeAway = (state: ClusterState, report: Report): boolean =>
  state.change !== null || isBeingRestarted(state, report);

/** It was told to restart, and nothing is known that keeps it from coming back. */
function isBeingRestarted(
  state: ClusterState,
  { postgres, problem, restartedFor }: Report,
): boolean {
  if (state.restart === null || turnOf(state) !== state.primary) return false;
  if (postgres.state === 'stopping') return true;
  if (problem !== null) return false;
  return postgres.state === 'stopped' || restartedFor === state.restart.id;
}

/** How long it has had its task and not done it, beyond what the user wants to be waited. */
function downMs({ situation, nowMs, spec }: View): number {
  const { acceptedAtMs, obeyingSinceMs } = situation.observation;
  const sinceMs = Math.max(acceptedAtMs ?? 0, obeyingSinceMs ?? nowMs);
  return nowMs - sinceMs - spec.failover.delayMs;
}

/** Why its crash recovery is not waited for. */
function whyNotAwaited(view: View, recoveryBytes: number): string | null {
  const expectedMs = recoveryBytes / RECOVERY_BYTES_PER_MS;
  const isWorthIt = view.state.sync.guaranteed !== null && expectedMs > RESTART_WORTH_MS;
  if (!isWorthIt || downMs(view) <= 0) return null;
  return `its crash recovery would take about ${Math.round(expectedMs / 1000)} s, and a standby has everything`;
}
