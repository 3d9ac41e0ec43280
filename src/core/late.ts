/**
 * Standbys that are late on purpose: fed from the archives alone, or replaying every commit a while
 * after it was made. They are there for another day than that of a failover: never promoted by
 * themselves, never waited for by a commit, never asked by a primary for a promise.
 */
import { formatDuration } from './quantities';
import { type ServerView, type View } from './situation';
import { type ServerSpec } from './spec';
import { type ClusterState } from './state';
import { namesInSyncSets } from './sync';

export const isLate = ({ late }: ServerSpec): boolean => late !== undefined;

/** Why it is late, in a clause; null when it is not. */
export function whyLate({ late }: ServerSpec): string | null {
  if (late === undefined) return null;
  const { replication, applyDelayMs } = late;
  return [
    ...(replication === 'archive'
      ? ['it is fed from the archive alone (replication: archive)']
      : []),
    ...(applyDelayMs > 0
      ? [`it is delayed by ${formatDuration(applyDelayMs)} on purpose (applyDelay)`]
      : []),
  ].join(', and ');
}

/** What makes a late server one that can take over, for a sentence. */
export function wayToTakeOver({ name, late }: ServerSpec): string {
  const fields = [
    ...(late?.replication === 'archive' ? ['`replication: archive`'] : []),
    ...(late?.hotStandby === false ? ['`hotStandby: false`'] : []),
    ...((late?.applyDelayMs ?? 0) > 0 ? ['`applyDelay`'] : []),
  ];
  return `take ${fields.join(' and ')} out of the entry of ${name} under spec.servers, and it can take over as soon as it has caught up`;
}

/**
 * Whether the server does not stream at all. One that a commit may still wait for goes on until it
 * has been taken out of the set.
 */
export const isShipped = ({ name, late }: ServerSpec, state: ClusterState): boolean =>
  late?.replication === 'archive' && !namesInSyncSets(state).includes(name);

/** What was archived is there a minute later at most, besides the delay that is wanted. */
const SHIPPING_MAX_MS = 60_000;

/**
 * It runs, and has replayed all that was archived so long ago that it should have. By one leader's
 * clock: since when it has not got to where the primary's archive ended then.
 */
export function isKeepingUp({ name, spec, asStandby }: ServerView, view: View): boolean {
  if (spec.late === undefined || asStandby === null) return false;
  const sinceMs = view.situation.observation.lateSinceMs[name] ?? view.nowMs;
  return view.nowMs - sinceMs <= spec.late.applyDelayMs + SHIPPING_MAX_MS;
}

/** `from the archive, delayed by 1h on purpose`, for a status. */
export function describeFeed({ late }: ServerSpec, isStreaming: boolean): string {
  const feed = isStreaming ? 'streaming' : 'from the archive';
  const delayMs = late?.applyDelayMs ?? 0;
  return delayMs === 0 ? feed : `${feed}, delayed by ${formatDuration(delayMs)} on purpose`;
}
