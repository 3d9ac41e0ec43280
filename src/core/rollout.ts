/**
 * When a server may be restarted. A restart that a person has asked for goes on as the person wants
 * it; one that the operator has begun takes no redundancy away that is relied on.
 */
import { priorityOf } from './candidates';
import { isLate } from './late';
import { LIMIT_NAMES } from './limits';
import { isBeingReplaced, isDrifted } from './rules/objects';
import { heldBackOn, isFollowing, pendingOf } from './rules/servers';
import { type ServerView, type View } from './situation';
import { isToBeRelieved, turnOf } from './turn';

/** The request for which this server is to restart PostgreSQL now. */
export function restartOrder(view: View, server: ServerView): string | null {
  const { restart, change, restore } = view.state;
  if (restart === null || change !== null || restore !== null) return null;
  if (turnOf(view.state) !== server.name) return null;
  // A new container comes anyway.
  if (isDrifted(server, view)) return null;
  if (restart.rollout === undefined) return restart.id;
  // Whoever pauses a cluster wants nothing to happen to it.
  if (view.state.paused !== null) return null;
  if (isToBeRelieved(view.state) && server === view.primary) return null;
  return isRunning(server) && whyNotNow(view, server.name) !== null ? null : restart.id;
}

/** Those that can take over at all, whatever is in their way at this moment. */
export const successorsOf = (view: View): readonly ServerView[] =>
  candidatesOf(view).filter(({ name }) => !view.state.fenced.includes(name));

/** Who could take over, if a person did not keep it stopped; null when another one can, or nobody ever. */
export const fencedSuccessorOf = (view: View): ServerView | null =>
  successorsOf(view).length > 0 ? null : (candidatesOf(view)[0] ?? null);

const candidatesOf = (view: View): readonly ServerView[] =>
  view.servers.filter(({ name }) => name !== view.state.primary && priorityOf(name, view) > 0);

/** Why this server must not be away for a moment now; null when it may. */
export function whyNotNow(view: View, server: string): string | null {
  const { state, primary, spec } = view;
  const others = view.servers.filter(
    ({ name }) => name !== server && name !== state.primary && !state.fenced.includes(name),
  );
  if (server !== state.primary && primary?.asPrimary == null) {
    return 'the primary does not accept writes';
  }
  if (isBehindLimits(view, server)) {
    return `${server} has not replayed yet that the primary has lower limits`;
  }
  if (isTooLow(view, server)) return null;
  const away = others.find((each) => !isFollowing(each, view));
  if (away !== undefined) return `${away.name} does not follow the primary`;
  const going = others.find((each) => isBeingReplaced(each, view));
  if (going !== undefined) return `the container of ${going.name} is being replaced`;
  const { synchronous } = spec.replication;
  if (server === state.primary || synchronous?.durability !== 'required') return null;
  const left = others.filter((each) => !isLate(each.spec)).length;
  return left >= synchronous.number
    ? null
    : `commits wait for ${synchronous.number} standbys (synchronous.durability: required), and without ${server} there are ${left}; pgswarm restart ${spec.cluster} ${server} does it all the same`;
}

/**
 * It lacks a higher limit that the primary has already, after a failover in the midst of a round:
 * it has stopped replaying, and cannot be promoted before it is restarted (manual: "Hot Standby").
 */
function isTooLow({ state, servers, primary }: View, name: string): boolean {
  const standby = servers.find((each) => each.name === name);
  if (standby === undefined || primary === null || name === state.primary) return false;
  const awaited = pendingOf(primary);
  return pendingOf(standby).some((each) => LIMIT_NAMES.includes(each) && !awaited.includes(each));
}

/** A start would still take the limits that the primary had before. */
function isBehindLimits({ state, servers, primary }: View, name: string): boolean {
  const standby = servers.find((each) => each.name === name);
  if (standby === undefined || primary === null || name === state.primary) return false;
  const awaited = pendingOf(primary);
  return !isLate(standby.spec) && heldBackOn(standby).some((each) => !awaited.includes(each));
}

const isRunning = ({ asPrimary, asStandby }: ServerView): boolean =>
  (asPrimary ?? asStandby) !== null;
