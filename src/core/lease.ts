/**
 * The arithmetic of a primary's lease. The instance counts from the moment it sent the heartbeat,
 * the leader from the later moment it answered: the instance is always the earlier one, as long as
 * its clock does not run slower than the leader's by more than the allowance. Everything below is
 * counted back from the end, so that the last process is gone before the leader may go on.
 *
 *   sent ──── heartbeats may go missing ────▶ stop ──▶ SIGQUIT ──▶ SIGKILL ──▶ gone ─ drift ─▶ end
 *
 * The margins are chosen by `npm run bench:fence`. PostgreSQL 15 with 50 writing sessions, on two cores
 * for which some 16 other programs competed; milliseconds, each 10 times:
 *
 *                                        median   min   max
 *   SIGINT until all are gone               101    76   183
 *   SIGQUIT until all are gone               54    35    84
 *   SIGKILL until it is sent to all          52    17    86
 *   SIGKILL until all are gone               62    43   177
 *   the guard, from its deadline             72    52   107
 *
 * Most of that is waiting for a processor. A process that was sent SIGKILL acknowledges nothing any
 * more; what is left of it then is memory that the kernel takes apart.
 */
import { errorAt, type Finding } from './findings';
import { HEARTBEAT_MS } from './protocol';
import { formatDuration } from './quantities';

/** So many heartbeats may go unanswered before a primary that runs well is stopped. */
export const HEARTBEATS_MISSED_MAX = 2;
/** Refuse new connections and `pg_ctl stop -m fast`: what is in flight is rolled back. */
export const STOP_BUDGET_MS = 1000;
/** From SIGQUIT (backends leave without cleaning up) to SIGKILL. */
export const QUIT_MARGIN_MS = 250;
/** From SIGKILL to the last process gone, on a machine under load. */
export const KILL_MARGIN_MS = 250;
/** At least this for two clocks, and for the timers of a busy process. */
export const DRIFT_MIN_MS = 100;
/** A disciplined clock is slewed by 500 ppm at most, two apart by 1000; twice that is allowed. */
export const DRIFT_PPM = 2000;
/** A longer lease only makes everybody wait for a primary that is gone. */
export const TTL_MAX_MS = 5 * 60_000;

/** Moments after the heartbeat was sent, on the instance's monotonic clock. */
export interface LeaseTimes {
  /** Not renewed until here: refuse connections, stop fast. */
  readonly stopAtMs: number;
  readonly quitAtMs: number;
  readonly killAtMs: number;
  /** Nothing of PostgreSQL is left. */
  readonly goneAtMs: number;
  /** The leader regards the lease as over, never before this. */
  readonly endMs: number;
}

export const driftMs = (ttlMs: number): number =>
  Math.max(DRIFT_MIN_MS, Math.ceil((ttlMs * DRIFT_PPM) / 1_000_000));

export function leaseTimes(ttlMs: number): LeaseTimes {
  const goneAtMs = ttlMs - driftMs(ttlMs);
  const killAtMs = goneAtMs - KILL_MARGIN_MS;
  const quitAtMs = killAtMs - QUIT_MARGIN_MS;
  return { stopAtMs: quitAtMs - STOP_BUDGET_MS, quitAtMs, killAtMs, goneAtMs, endMs: ttlMs };
}

/** What a lease of this length must have room for. */
export function ttlNeededMs(ttlMs: number, heartbeatMs = HEARTBEAT_MS): number {
  const kill = QUIT_MARGIN_MS + KILL_MARGIN_MS;
  return HEARTBEATS_MISSED_MAX * heartbeatMs + STOP_BUDGET_MS + kill + driftMs(ttlMs);
}

/** Whether a lease can hold; the finding shows the sum. */
export function checkLease(path: string, ttlMs: number): Finding[] {
  const neededMs = ttlNeededMs(ttlMs);
  if (ttlMs < neededMs) return [tooShort(path, ttlMs, neededMs)];
  if (ttlMs <= TTL_MAX_MS) return [];
  const [length, most] = [formatDuration(ttlMs), formatDuration(TTL_MAX_MS)];
  const message = `a lease of ${length} keeps everybody waiting that long for a primary that is gone`;
  return [errorAt(path, message, `use ${most} or less; the default is 5s`)];
}

function tooShort(path: string, ttlMs: number, neededMs: number): Finding {
  const seconds = (ms: number) => `${ms / 1000}s`;
  const sum = [
    `${HEARTBEATS_MISSED_MAX} missed heartbeats ${seconds(HEARTBEATS_MISSED_MAX * HEARTBEAT_MS)}`,
    `stop ${seconds(STOP_BUDGET_MS)}`,
    `kill ${seconds(QUIT_MARGIN_MS + KILL_MARGIN_MS)}`,
    `drift ${seconds(driftMs(ttlMs))}`,
  ].join(' + ');
  return errorAt(
    path,
    `a lease of ${formatDuration(ttlMs)} cannot hold: ${sum} = ${seconds(neededMs)}`,
    `use ${Math.ceil(neededMs / 1000)}s or more; the default is 5s`,
  );
}
