/**
 * The declared primary: the user's intent. A spec that names another server than the recorded
 * primary asks for a switchover, which begins when the target is fit, and is refused with the
 * reason for as long as it is not.
 */
import { priorityOf } from '../candidates';
import { wayToTakeOver, whyLate } from '../late';
import { describeCommit } from '../git/source';
import { lagBytes } from '../lsn';
import { type PrimaryReport, type StandbyReport } from '../protocol';
import { type ServerView, type View } from '../situation';
import { type Override } from '../state';
import { beginSwitchover, overrideEnded } from '../transitions';
import { isToBeRelieved, reasonOfTurn } from '../turn';
import { recorded, rule, type Rule } from './rule';
import { hasRoom, isFull } from './servers';

/** Wait after a switchover was given up: this long, doubled each time, at most an hour. */
export const RETRY_AFTER_MS = 60_000;
const RETRY_AFTER_MAX_MS = 3_600_000;

/** Why `target` cannot become primary by a switchover now; null when it can. */
export function switchoverObstacle(view: View, target: ServerView): Obstacle | null {
  const { primary, state } = view;
  const limit = view.spec.switchover.lagBytesMax;
  if (primary === null) return { reason: 'NoPrimary', because: 'the cluster has no primary yet' };
  if (primary.asPrimary === null) {
    const because = `the primary ${primary.name} does not answer or does not accept writes; changing the primary now could lose what only it has`;
    return { reason: 'PrimaryUnknown', because };
  }
  const late = whyLate(target.spec);
  if (late !== null) {
    const because = `${target.name} does not take over: ${late}; ${wayToTakeOver(target.spec)}`;
    return { reason: 'TargetLate', because };
  }
  if (state.fenced.includes(target.name)) {
    const because = `${target.name} is kept stopped by \`pgswarm fence\``;
    return { reason: 'TargetFenced', because };
  }
  if (target.report === null) {
    return { reason: 'TargetUnknown', because: `${target.name} does not answer` };
  }
  if (target.asStandby === null) {
    const because = `${target.name} is not running as a standby (it is ${target.report.postgres.state})`;
    return { reason: 'TargetNotStandby', because };
  }
  if (target.asStandby.systemIdentifier !== state.systemIdentifier) {
    const because = `${target.name} holds another database cluster (system identifier ${target.asStandby.systemIdentifier})`;
    return { reason: 'TargetForeign', because };
  }
  const stream = primary.asPrimary.standbys.find(({ server }) => server === target.name);
  if (stream?.state !== 'streaming') {
    const because = `${target.name} is not streaming from ${primary.name}${stream === undefined ? '' : ` (it is in ${stream.state})`}`;
    return { reason: 'TargetNotStreaming', because };
  }
  return (
    momentaryObstacle(view, target) ??
    lagObstacle(primary.asPrimary, target.asStandby, { limit, name: target.name })
  );
}

/** What the target itself would not do now. */
function momentaryObstacle({ state }: View, { name, report }: ServerView): Obstacle | null {
  if (report?.isLeaving === true) {
    return { reason: 'TargetLeaving', because: `the container of ${name} is being stopped` };
  }
  const promiseLeftMs = state.contract === null ? null : (report?.promiseLeftMs ?? null);
  if (promiseLeftMs === null) return null;
  const because = `${name} has just started, or has promised the primary to wait: ${(promiseLeftMs / 1000).toFixed(1)} s more`;
  return { reason: 'TargetPromised', because };
}

function lagObstacle(
  { lsn }: PrimaryReport,
  { replayedLsn }: StandbyReport,
  { limit, name }: { readonly limit: number; readonly name: string },
): Obstacle | null {
  const lag = lagBytes(lsn, replayedLsn);
  if (lag > limit) {
    const because = `${name} is ${lag} bytes behind, more than switchover.maxLag allows (${limit} bytes)`;
    return { reason: 'TargetLagging', because };
  }
  return null;
}

export interface Obstacle {
  readonly reason: string;
  readonly because: string;
}

/** How long the same generation is left alone after it was given up. */
export function retryAfterMs(attempts: number): number {
  return Math.min(RETRY_AFTER_MS * 2 ** (attempts - 1), RETRY_AFTER_MAX_MS);
}

interface Request {
  readonly target: ServerView;
  readonly obstacle: Obstacle | null;
  /** Why another primary is wanted, in a clause. */
  readonly reason: string;
}

/** Who is to be primary instead of the present one, when no change is under way. */
function requested(view: View): Request | null {
  const { state, servers } = view;
  if (state.primary === null || state.change !== null || state.restore !== null) return null;
  const wish = byHand(view) ?? declared(view);
  const target = servers.find(({ name }) => name === wish?.to && name !== state.primary);
  if (wish === null || target === undefined) return relieved(view);
  const rollout = state.request === null ? state.restart?.rollout : undefined;
  if (rollout !== undefined) {
    // Whoever has not had its turn yet is not the one to come back.
    const because = `servers are being restarted (${rollout.because}), and it takes over afterwards`;
    const obstacle = { reason: 'RestartUnderWay', because };
    return relieved(view) ?? { target, reason: wish.reason, obstacle };
  }
  return { target, reason: wish.reason, obstacle: obstacleOf(view, target) };
}

interface Wish {
  readonly to: string;
  readonly reason: string;
}

function byHand({ state }: View): Wish | null {
  const { request } = state;
  return request === null ? null : { to: request.to, reason: `asked for by ${request.by}` };
}

/** The spec's primary, unless a failover or a person has decided otherwise since. */
function declared(view: View): Wish | null {
  const { spec, state, generation } = view;
  if (activeOverride(view) !== null) {
    return isFailbackDue(view) ? { to: spec.primary, reason: 'it is back (failback: auto)' } : null;
  }
  return spec.primary === state.primary
    ? null
    : { to: spec.primary, reason: `declared in generation ${generation}${origin(view)}` };
}

/** By which commit, for a spec from a Git repository. */
function origin({ situation }: View): string {
  const { source } = situation.record;
  return source.kind === 'git' ? ` (${describeCommit(source.commit)})` : '';
}

/** The override that holds now; once the spec has declared another primary it never does again. */
export function activeOverride({ spec, state }: View): Override | null {
  const { override, primary } = state;
  return override?.declared === spec.primary && primary !== spec.primary ? override : null;
}

function isFailbackDue({ spec, situation, nowMs }: View): boolean {
  const sinceMs = situation.observation.streamingSinceMs[spec.primary];
  const { failback, failbackAfterMs } = spec.failover;
  return failback === 'auto' && sinceMs !== undefined && nowMs - sinceMs >= failbackAfterMs;
}

interface Relief {
  readonly reason: string;
  /** The primary goes anyway: an attempt that was given up is made again at once. */
  readonly isUrgent: boolean;
  /** Whoever takes over needs the room that the primary lacks. */
  readonly isForRoom: boolean;
}

/** Why the primary should not stay primary, whoever takes over; null when it should. */
function reliefOf({ primary, swarm, state }: View): Relief | null {
  if (primary === null) return null;
  const { name, nodeId, report } = primary;
  const isForRoom = isFull(primary);
  const urgent = (reason: string): Relief => ({ reason, isUrgent: true, isForRoom });
  const node = swarm?.nodes.find(({ id }) => id === nodeId);
  if (node?.availability === 'drain') return urgent(`the node ${node.hostname} is drained`);
  if (isForRoom) return urgent(`the data volume of ${name} is full`);
  if (report?.isLeaving === true) return urgent(`the container of ${name} is to end`);
  if (!isToBeRelieved(state)) return null;
  return { reason: reasonOfTurn(state), isUrgent: false, isForRoom };
}

/** Whoever can take over at once from a primary that should not stay primary. */
function relieved(view: View): Request | null {
  const { primary } = view;
  const relief = reliefOf(view);
  if (relief === null) return null;
  const obstacleTo = relief.isUrgent ? switchoverObstacle : obstacleOf;
  const target = view.servers
    .filter((server) => server !== primary && priorityOf(server.name, view) > 0)
    .filter((server) => !relief.isForRoom || hasRoom(server))
    .filter((server) => obstacleTo(view, server) === null)
    .toSorted((a, b) => priorityOf(b.name, view) - priorityOf(a.name, view))[0];
  return target === undefined ? null : { target, reason: relief.reason, obstacle: null };
}

function obstacleOf(view: View, target: ServerView): Obstacle | null {
  const { refusal } = view.state;
  if (refusal?.generation === view.generation && refusal.to === target.name) {
    const nextMs = Date.parse(refusal.at) + retryAfterMs(refusal.attempts);
    if (Date.parse(view.situation.now) < nextMs) {
      const at = new Date(nextMs).toISOString();
      const because = `the last attempt was given up: ${refusal.because}; it is tried again at ${at}, or when the spec is changed`;
      return { reason: 'SwitchoverGivenUp', because };
    }
  }
  return switchoverObstacle(view, target);
}

/** How the spec and the primary come to agree again. */
function divergenceEnds({ declared, to }: Override, { spec, situation }: View): string {
  const { failback, failbackAfterMs } = spec.failover;
  if (failback === 'auto') {
    return `; the role moves back when ${declared} has been streaming for ${failbackAfterMs / 1000} s`;
  }
  if (failback === 'adopt' && situation.record.source.kind === 'git') {
    return `; ${situation.record.source.path} is changed by a commit (failback: adopt)`;
  }
  const hint = failback === 'adopt' ? ' (failback: adopt needs a spec from Git)' : '';
  return `: write \`primary: ${to}\` into the spec to keep it, or run \`pgswarm promote ${spec.cluster} ${declared}\` to move back${hint}`;
}

export const requestRules: readonly Rule[] = [
  rule<Override>({
    id: 'override-over',
    section: 'failover',
    about:
      'The spec names the new primary, or asks for yet another: what it names from now on counts again.',
    when: (view) =>
      view.state.change === null && activeOverride(view) === null ? view.state.override : null,
    because: ({ declared }, { spec, state }) =>
      state.primary === spec.primary
        ? `${spec.primary} is primary, as declared`
        : `the spec declares ${spec.primary} now, and ${declared} before`,
    steps: (_, view) =>
      recorded(view, overrideEnded(view.state), {
        rule: 'override-over',
        summary: 'follow the declared primary again',
        message: `the declared primary (${view.spec.primary}) counts again`,
      }),
  }),
  rule<Request>({
    id: 'switchover-begin',
    section: 'request',
    about: 'The spec names another primary, and the target is fit: the switchover begins.',
    when: (view) => {
      const request = requested(view);
      return request?.obstacle === null ? request : null;
    },
    because: ({ target, reason }, view) =>
      `${target.name} is to be primary instead of ${view.state.primary ?? 'none'}: ${reason}`,
    steps: ({ target, reason }, view) =>
      recorded(
        view,
        beginSwitchover(view.state, {
          to: target.name,
          generation: view.generation,
          at: view.situation.now,
          reason,
        }),
        {
          rule: 'switchover-begin',
          summary: `CHECKPOINT on ${view.state.primary ?? ''}, while it still accepts writes`,
          message: `switchover from ${view.state.primary ?? ''} to ${target.name} begins: ${reason}`,
        },
      ),
  }),
  rule<Request & { obstacle: Obstacle }>({
    id: 'switchover-refused',
    section: 'request',
    about: 'The spec names another primary, but changing to it now would not be safe.',
    when: (view) => {
      const request = requested(view);
      return request?.obstacle == null ? null : { ...request, obstacle: request.obstacle };
    },
    because: ({ target, obstacle, reason }, view) =>
      `${view.state.primary ?? ''} stays primary although ${target.name} is wanted (${reason}): ${obstacle.because}`,
    condition: ({ obstacle }) => ({ type: 'PrimaryAsDeclared', reason: obstacle.reason }),
  }),
  rule<Override>({
    id: 'primary-diverged',
    section: 'failover',
    about:
      'Another server than the declared one is primary since a failover, and stays it until a person says otherwise, or failback does.',
    when: activeOverride,
    because: (override, view) => {
      const { declared, from, to, reason, at } = override;
      const what = `${to} is primary instead of ${declared} since ${at} (${from}: ${reason})`;
      return `${what}${divergenceEnds(override, view)}`;
    },
    condition: { type: 'PrimaryAsDeclared', reason: 'PrimaryDiverged' },
  }),
];
