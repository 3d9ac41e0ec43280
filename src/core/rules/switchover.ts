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
import { compareLsn, lagBytes, type Lsn } from '../lsn';
import { type PostgresReport } from '../protocol';
import { type RoleChange } from '../state';
import { isIntroduced, type ServerView, type View } from '../situation';
import { finishSwitchover, giveUpSwitchover, nameNewPrimary, stopOldPrimary } from '../transitions';
import { switchoverObstacle } from './request';
import { recorded, rule, type Rule } from './rule';

/** Behind by no more than this, the target catches up within a few milliseconds of the stop. */
export const GATE_LAG_BYTES_MAX = 1024 * 1024;
/** A CHECKPOINT of a busy server takes its time; writes go on meanwhile. */
export const CHECKPOINT_TIMEOUT_MS = 5 * 60_000;

type StoppedReport = Extract<PostgresReport, { state: 'stopped' }>;

interface InFlight {
  readonly change: RoleChange;
  readonly from: ServerView | null;
  readonly to: ServerView | null;
  /** How long this leader has seen the present phase. */
  readonly phaseAgeMs: number;
}

function inFlight(view: View, phase: RoleChange['phase']): InFlight | null {
  const { change } = view.state;
  if (change?.phase !== phase) return null;
  const since = view.situation.observation.phaseSinceMs ?? view.nowMs;
  const byName = (name: string | null): ServerView | null =>
    view.servers.find((server) => server.name === name) ?? null;
  return {
    change,
    from: byName(change.from),
    to: byName(change.to),
    phaseAgeMs: view.nowMs - since,
  };
}

/** What the old primary says once it is stopped because it was told so, and stays stopped. */
function stopReport(from: ServerView | null): StoppedReport | null {
  const report = from?.report;
  return report?.postgres.state === 'stopped' && report.obeys?.task === 'stop'
    ? report.postgres
    : null;
}

/** Where the old primary's WAL ends, once it has stopped in order. */
function endOfWal(from: ServerView | null): Lsn | null {
  const control = stopReport(from)?.control;
  return control?.clusterState === 'shut down' ? control.endLsn : null;
}

function hasReplayed(server: ServerView | null, lsn: Lsn): boolean {
  const standby = server?.asStandby;
  return standby !== null && standby !== undefined && compareLsn(standby.replayedLsn, lsn) >= 0;
}

/** Why a stopped old primary must come back instead of the target being promoted. */
function stopFailure(found: InFlight, view: View): string | null {
  const { from, to, phaseAgeMs } = found;
  const stopped = stopReport(from);
  const seconds = view.spec.switchover.timeoutMs / 1000;
  if (stopped !== null && endOfWal(from) === null) {
    return `${found.change.from} did not stop in order (${stopped.control?.clusterState ?? 'no data directory'})`;
  }
  if (phaseAgeMs <= view.spec.switchover.timeoutMs) return null;
  if (endOfWal(from) === null) return `${found.change.from} did not stop within ${seconds} s`;
  return to?.asStandby == null
    ? `${found.change.to} is not running as a standby any more`
    : `${found.change.to} did not catch up within ${seconds} s`;
}

export const switchoverRules: readonly Rule[] = [
  rule<InFlight>({
    id: 'switchover-finish',
    section: 'switchover',
    about: 'The new primary accepts writes: the change is over, and its write gap is recorded.',
    when: (view) => {
      const found = inFlight(view, 'promoting');
      const obeys = found?.to?.report?.obeys;
      return found?.to?.asPrimary != null && obeys?.term === view.state.term ? found : null;
    },
    because: ({ change }) => `${change.to} accepts writes`,
    steps: ({ change }, view) => {
      const { writeGapMs } = view.situation.observation;
      const gap = writeGapMs === null ? '' : `, write gap ${Math.round(writeGapMs)} ms`;
      const next = finishSwitchover(view.state, change, { writeGapMs, at: view.situation.now });
      const message = `${change.to} is primary now, ${change.from} was before${gap}`;
      return recorded(view, next, {
        rule: 'switchover-finish',
        summary: `record that ${change.to} is the primary`,
        message,
      });
    },
  }),
  rule<InFlight>({
    id: 'switchover-await-promotion',
    section: 'switchover',
    about:
      'The new primary has been named and is being promoted; nothing else may happen to the cluster.',
    when: (view) => inFlight(view, 'promoting'),
    because: ({ change, to }) =>
      `${change.to} is being promoted${to?.report?.problem == null ? '' : `; ${to.report.problem.message}`}`,
    condition: { type: 'Ready', reason: 'Promoting' },
    blocks: true,
  }),
  rule<InFlight & { lsn: Lsn }>({
    id: 'switchover-promote',
    section: 'switchover',
    about:
      'The old primary has stopped in order and the target has replayed exactly to the end of its WAL: a new term begins.',
    when: (view) => {
      const found = inFlight(view, 'stopping');
      const lsn = found === null ? null : endOfWal(found.from);
      return found !== null && lsn !== null && hasReplayed(found.to, lsn)
        ? { ...found, lsn }
        : null;
    },
    because: ({ change, lsn }) =>
      `${change.from} has stopped at ${lsn} and ${change.to} has replayed it`,
    steps: ({ change, lsn }, view) =>
      recorded(view, nameNewPrimary(view.state, change, lsn), {
        rule: 'switchover-promote',
        summary: `promote ${change.to}`,
        message: `${change.from} stopped at ${lsn}; ${change.to} has all of it and is promoted`,
      }),
  }),
  rule<InFlight & { why: string }>({
    id: 'switchover-undo',
    section: 'switchover',
    about:
      'The target has not caught up in time, or the old primary did not stop in order: the old primary starts again.',
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
    because: ({ change, from }) =>
      endOfWal(from) === null
        ? `${change.from} is stopping`
        : `${change.to} is replaying the end of ${change.from}'s WAL`,
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
