/**
 * A planned change of primary, aimed at the shortest write gap. Its phase is in the record, so an
 * operator that takes over half-way finds here what comes next:
 *
 *   checkpointing → stopping → promoting → done
 *         └──────────┴─→ given up: the old primary is primary as before, nothing is lost
 *
 * Until `promoting` is written the old primary is the only one that may run as primary; from then
 * on the new one is. There is no moment in which the record allows two.
 */
import { isLate } from '../late';
import { compareLsn, lagBytes, type Lsn } from '../lsn';
import { isIntroduced, type ServerView, type View } from '../situation';
import { giveUpSwitchover, stopOldPrimary } from '../transitions';
import { inFlight, newPrimary, stopAnswer, type InFlight } from './promotion';
import { switchoverObstacle } from './request';
import { recorded, rule, type Rule } from './rule';

/** Behind by no more than this, the target catches up within a few milliseconds of the stop. */
export const GATE_LAG_BYTES_MAX = 1024 * 1024;
/** A CHECKPOINT of a busy server takes its time; writes go on meanwhile. */
export const CHECKPOINT_TIMEOUT_MS = 5 * 60_000;

/** Where the old primary's WAL ends, once it has stopped in order. */
function endOfWal({ from, change }: InFlight): Lsn | null {
  const control = stopAnswer(from, change)?.control;
  return control?.clusterState === 'shut down' ? control.endLsn : null;
}

function hasReplayed(server: ServerView | null, lsn: Lsn): boolean {
  const standby = server?.asStandby;
  return standby !== null && standby !== undefined && compareLsn(standby.replayedLsn, lsn) >= 0;
}

/** The spec has changed in the midst: who is late on purpose does not take over. */
const isLateByNow = ({ to }: InFlight): boolean => to !== null && isLate(to.spec);

/** Why a stopped old primary must come back instead of the target being promoted. */
function stopFailure(found: InFlight, view: View): string | null {
  const { from, to, phaseAgeMs } = found;
  const stopped = stopAnswer(from, found.change);
  const seconds = view.spec.switchover.timeoutMs / 1000;
  if (stopped !== null && endOfWal(found) === null) {
    return `${found.change.from} did not stop in order (${stopped.control?.clusterState ?? 'no data directory'})`;
  }
  if (isLateByNow(found)) return `${found.change.to} is late on purpose by now`;
  if (phaseAgeMs <= view.spec.switchover.timeoutMs) return null;
  if (endOfWal(found) === null) return `${found.change.from} did not stop within ${seconds} s`;
  return to?.asStandby == null
    ? `${found.change.to} is not running as a standby any more`
    : `${found.change.to} did not catch up within ${seconds} s`;
}

export const switchoverRules: readonly Rule[] = [
  rule<InFlight & { lsn: Lsn }>({
    id: 'switchover-promote',
    section: 'switchover',
    about:
      'The old primary has stopped in order and the target has replayed exactly to the end of its WAL: a new term begins.',
    when: (view) => {
      const found = inFlight(view, 'stopping');
      const lsn = found === null ? null : endOfWal(found);
      if (found === null || lsn === null || isLateByNow(found)) return null;
      return hasReplayed(found.to, lsn) ? { ...found, lsn } : null;
    },
    because: ({ change, lsn }) =>
      `${change.from} has stopped at ${lsn} and ${change.to} has replayed it`,
    steps: ({ change, lsn }, view) =>
      recorded(view, newPrimary(view, { ...change, shutdownLsn: lsn }, change.to ?? ''), {
        rule: 'switchover-promote',
        summary: `promote ${change.to}`,
        message: `${change.from} stopped at ${lsn}; ${change.to} has all of it and is promoted`,
      }),
  }),
  rule<InFlight & { why: string }>({
    id: 'switchover-undo',
    section: 'switchover',
    about:
      'The target has not caught up in time, or is late on purpose by now, or the old primary did not stop in order: the old primary starts again.',
    when: (view) => {
      const found = inFlight(view, 'stopping');
      const why = found === null ? null : stopFailure(found, view);
      return found !== null && why !== null ? { ...found, why } : null;
    },
    because: ({ change, why }) => `${why}: ${change.from} goes on as primary`,
    steps: ({ change, why }, view) =>
      recorded(
        view,
        giveUpSwitchover(view.state, change, { because: why, at: view.situation.now }),
        {
          rule: 'switchover-undo',
          summary: `start ${change.from} again as primary`,
          message: `switchover to ${change.to} given up: ${why}; ${change.from} goes on as primary`,
        },
      ),
  }),
  rule<InFlight>({
    id: 'switchover-await-stop',
    section: 'switchover',
    about: 'The old primary is stopping, or the target is replaying the last of its WAL.',
    when: (view) => inFlight(view, 'stopping'),
    because: (found) =>
      endOfWal(found) === null
        ? `${found.change.from} is stopping`
        : `${found.to?.name ?? 'the target'} is replaying the end of ${found.change.from}'s WAL`,
    condition: { type: 'Ready', reason: 'Stopping' },
    blocks: true,
  }),
  rule<InFlight & { why: string }>({
    id: 'switchover-give-up',
    section: 'switchover',
    about:
      'Before anything was stopped, the target turned out unfit or the CHECKPOINT took too long.',
    when: (view) => {
      const found = inFlight(view, 'checkpointing');
      if (found === null) return null;
      const why = obstacleBeforeStop(found, view);
      return why === null ? null : { ...found, why };
    },
    because: ({ why }) => `${why}: nothing was stopped`,
    steps: ({ change, why }, view) =>
      recorded(
        view,
        giveUpSwitchover(view.state, change, { because: why, at: view.situation.now }),
        {
          rule: 'switchover-give-up',
          summary: `leave ${change.from} as it is`,
          message: `switchover to ${change.to} given up: ${why}; nothing was stopped`,
        },
      ),
  }),
  rule<InFlight>({
    id: 'switchover-stop',
    section: 'switchover',
    about: 'The CHECKPOINT is done and the target is close behind: the old primary is stopped.',
    when: (view) => {
      const found = inFlight(view, 'checkpointing');
      if (found?.from?.report?.checkpointedFor !== found?.change.id) return null;
      return found !== null && isClose(found) ? found : null;
    },
    because: ({ change }) =>
      `${change.from} has done its CHECKPOINT and ${change.to} is close behind`,
    steps: ({ change }, view) =>
      recorded(view, stopOldPrimary(view.state, change), {
        rule: 'switchover-stop',
        summary: `stop PostgreSQL on ${change.from}; writes pause here`,
        message: `stopping ${change.from}, so that ${change.to} can take over`,
      }),
  }),
  rule<InFlight>({
    id: 'switchover-await-checkpoint',
    section: 'switchover',
    about:
      'The old primary does a CHECKPOINT while it still accepts writes, so that its stop is short.',
    when: (view) => inFlight(view, 'checkpointing'),
    because: ({ change, from }) =>
      from?.report?.checkpointedFor === change.id
        ? `${change.to} has to come closer to ${change.from}`
        : `${change.from} is doing a CHECKPOINT`,
    condition: { type: 'PrimaryAsDeclared', reason: 'SwitchoverUnderWay' },
    blocks: true,
  }),
];

/** Nothing is lost by waiting while writes go on, and many an obstacle is only passing. */
function obstacleBeforeStop({ to, phaseAgeMs }: InFlight, view: View): string | null {
  if (phaseAgeMs > CHECKPOINT_TIMEOUT_MS) return 'the CHECKPOINT took more than five minutes';
  if (phaseAgeMs <= view.spec.switchover.timeoutMs || !isIntroduced(view)) return null;
  if (to === null) return 'the target is not in the spec any more';
  return switchoverObstacle(view, to)?.because ?? null;
}

function isClose({ from, to }: InFlight): boolean {
  if (from?.asPrimary == null || to?.asStandby == null) return false;
  return lagBytes(from.asPrimary.lsn, to.asStandby.replayedLsn) <= GATE_LAG_BYTES_MAX;
}
