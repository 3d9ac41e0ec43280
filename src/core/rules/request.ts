/**
 * The declared primary: the user's intent. A spec that names another server than the recorded
 * primary asks for a switchover, which begins when the target is fit, and is refused with the
 * reason for as long as it is not.
 */
import { lagBytes } from '../lsn';
import { type ServerView, type View } from '../situation';
import { beginSwitchover } from '../transitions';
import { recorded, rule, type Rule } from './rule';

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
  const lag = lagBytes(primary.asPrimary.lsn, target.asStandby.replayedLsn);
  if (lag > limit) {
    const because = `${target.name} is ${lag} bytes behind, more than switchover.maxLag allows (${limit} bytes)`;
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
}

/** The declared primary is another server than the recorded one, and no change is under way. */
function requested(view: View): Request | null {
  const { state, spec } = view;
  if (state.primary === null || state.change !== null || state.primary === spec.primary) {
    return null;
  }
  const target = view.servers.find(({ name }) => name === spec.primary);
  return target === undefined ? null : { target, obstacle: obstacleOf(view, target) };
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

export const requestRules: readonly Rule[] = [
  rule<Request>({
    id: 'switchover-begin',
    section: 'request',
    about: 'The spec names another primary, and the target is fit: the switchover begins.',
    when: (view) => {
      const request = requested(view);
      return request?.obstacle === null ? request : null;
    },
    because: ({ target }, view) =>
      `the spec (generation ${view.generation}) declares ${target.name} as primary, ${view.state.primary ?? 'none'} is`,
    steps: ({ target }, view) =>
      recorded(
        view,
        beginSwitchover(view.state, {
          to: target.name,
          generation: view.generation,
          at: view.situation.now,
        }),
        {
          rule: 'switchover-begin',
          summary: `CHECKPOINT on ${view.state.primary ?? ''}, while it still accepts writes`,
          message: `switchover from ${view.state.primary ?? ''} to ${target.name} begins (generation ${view.generation})`,
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
    because: ({ target, obstacle }, view) =>
      `${view.state.primary ?? ''} stays primary, ${target.name} is declared: ${obstacle.because}`,
    condition: ({ obstacle }) => ({ type: 'PrimaryAsDeclared', reason: obstacle.reason }),
  }),
];
