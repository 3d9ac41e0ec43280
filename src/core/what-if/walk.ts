/**
 * Lets time pass over a cluster that has lost something: the operator's own `decide`, and instances
 * that do what they are told. What is left of the real reports stays as it was seen; only roles move.
 */
import { assignmentFor } from '../assignment';
import { decide, type Decision } from '../decide';
import { afterStep } from '../model';
import { type Observation } from '../observation';
import {
  REPORT_AGE_MAX_MS,
  type PostgresReport,
  type PrimaryReport,
  type Report,
} from '../protocol';
import { viewOf, type ServerView, type Situation, type View } from '../situation';
import { renderSyncNames } from '../sync';
import { describe } from '../steps';
import { type Lost } from './lost';

/** A decision of the operator that would follow. */
export interface Episode {
  readonly rule: string;
  readonly because: string;
  readonly does: readonly string[];
}

export interface Walk {
  readonly story: readonly Episode[];
  readonly end: Situation;
  /** The decision in which it comes to rest. */
  readonly decision: Decision;
}

const TICK_MS = 500;
/** Beyond the lease and the delay: whoever is not replaced by then is not replaced. */
const PATIENCE_MS = 12_000;

export function walk(situation: Situation, lost: Lost): Walk {
  const { ttlMs, delayMs } = situation.record.spec.failover;
  const story: Episode[] = [];
  let now = withLoss(situation, lost);
  const endMs = now.nowMs + ttlMs + delayMs + PATIENCE_MS;
  for (;;) {
    const decision = decide(now);
    if (decision.steps.length > 0) {
      const does = decision.steps.map(describe);
      story.push({ rule: decision.rule, because: decision.because, does });
    }
    if (now.nowMs >= endMs || isOver(situation, now)) return { story, end: now, decision };
    now = later(afterInstances(afterDecision(now, decision), lost), lost);
  }
}

/** Somebody else is the primary, and nothing is under way any more. */
const isOver = ({ state: before }: Situation, { state }: Situation): boolean =>
  state !== null && state.term !== before?.term && state.change === null;

// ── the loss ─────────────────────────────────────────────────────────────────────────────────

/** Nothing is heard of the lost; the primary had been granted a lease a moment before. */
function withLoss(situation: Situation, lost: Lost): Situation {
  const { observation, nowMs, state, record } = situation;
  const primary = state?.primary ?? '';
  const taskId = observation.reports[primary]?.report.taskId ?? null;
  const ttlMs = state?.contract?.ttlMs ?? record.spec.failover.ttlMs;
  const reports = Object.entries(observation.reports).map(([server, { report, seenAtMs }]) => {
    if (!lost.servers.includes(server)) return [server, { report: cutOff(report, lost), seenAtMs }];
    const silentSinceMs = Math.min(seenAtMs, nowMs - REPORT_AGE_MAX_MS - 1);
    return [server, { report, seenAtMs: silentSinceMs }];
  });
  return {
    ...situation,
    observation: {
      ...observation,
      grants: [{ endsAtMs: nowMs + ttlMs, taskId }],
      reports: Object.fromEntries(reports) as Observation['reports'],
      swarm: swarmWithout(situation, lost),
    },
  };
}

function cutOff(report: Report, lost: Lost): Report {
  const { postgres } = report;
  if (postgres.state !== 'primary') return report;
  const standbys = postgres.standbys.filter(({ server }) => !lost.servers.includes(server));
  return { ...report, postgres: { ...postgres, standbys } };
}

/** Swarm says that a container has ended; of a node that is gone it only says so much. */
function swarmWithout({ observation }: Situation, lost: Lost): Observation['swarm'] {
  const { swarm, reports } = observation;
  if (swarm === null) return null;
  const ended = lost.servers.flatMap((server) => reports[server]?.report.taskId ?? []);
  const isGone = (id: string | null): boolean => id !== null && lost.nodes.includes(id);
  return {
    ...swarm,
    nodes: swarm.nodes.map((node) => (isGone(node.id) ? { ...node, state: 'down' } : node)),
    tasks: swarm.tasks.map((task) =>
      ended.includes(task.id) && !isGone(task.nodeId) ? { ...task, state: 'failed' } : task,
    ),
  };
}

// ── time ─────────────────────────────────────────────────────────────────────────────────────

function afterDecision(before: Situation, { steps }: Decision): Situation {
  const after = steps.reduce(afterStep, before);
  const [then, now] = [before.state, after.state];
  const phaseOf = (state: Situation['state']): string =>
    `${state?.change?.id ?? ''} ${state?.change?.phase ?? ''}`;
  if (phaseOf(then) === phaseOf(now)) return after;
  return { ...after, observation: { ...after.observation, phaseSinceMs: after.nowMs } };
}

/** Whoever is left has reported again; what it had promised has run on. */
function later(situation: Situation, lost: Lost): Situation {
  const { observation } = situation;
  const nowMs = situation.nowMs + TICK_MS;
  const reports = Object.entries(observation.reports).map(([server, seen]) => {
    if (lost.servers.includes(server)) return [server, seen];
    const { promiseLeftMs } = seen.report;
    const leftMs = promiseLeftMs === null ? null : Math.max(0, promiseLeftMs - TICK_MS);
    return [server, { report: { ...seen.report, promiseLeftMs: leftMs }, seenAtMs: nowMs }];
  });
  const { swarm } = observation;
  return {
    ...situation,
    nowMs,
    now: new Date(Date.parse(situation.now) + TICK_MS).toISOString(),
    observation: {
      ...observation,
      reports: Object.fromEntries(reports) as Observation['reports'],
      swarm: swarm === null ? null : { ...swarm, seenAtMs: nowMs },
    },
  };
}

// ── instances ────────────────────────────────────────────────────────────────────────────────

function afterInstances(situation: Situation, lost: Lost): Situation {
  const { state, observation } = situation;
  if (state === null) return situation;
  const view = viewOf(situation, state);
  const reports = { ...observation.reports };
  for (const server of view.servers) {
    const seen = reports[server.name];
    if (server.report === null || seen === undefined) continue;
    if (lost.servers.includes(server.name)) continue;
    reports[server.name] = { ...seen, report: obey(view, server, seen.report) };
  }
  return { ...situation, observation: { ...observation, reports } };
}

/** Says that it has obeyed, and takes the role that it was told. */
function obey(view: View, server: ServerView, report: Report): Report {
  const { task, term, leaderEpoch, rollCall } = assignmentFor(view, server);
  const contract = task.kind === 'primary' ? task.contract : null;
  const obeys = { term, leaderEpoch, task: task.kind, contract, rollCall };
  if (task.kind !== 'primary') return { ...report, obeys };
  return { ...report, obeys, postgres: asPrimary(view, report.postgres) };
}

function asPrimary({ state }: View, postgres: PostgresReport): PostgresReport {
  if (postgres.state === 'primary') return { ...postgres, ...syncOf(state) };
  if (postgres.state !== 'standby') return postgres;
  return {
    state: 'primary',
    systemIdentifier: postgres.systemIdentifier,
    timeline: postgres.timeline + 1,
    lsn: postgres.receivedLsn ?? postgres.replayedLsn,
    standbys: [],
    ...syncOf(state),
    pendingRestart: [],
  };
}

const syncOf = (
  state: NonNullable<Situation['state']>,
): Pick<PrimaryReport, 'syncNames' | 'isSyncInForce'> => ({
  syncNames: renderSyncNames(state.sync.wanted),
  isSyncInForce: true,
});
