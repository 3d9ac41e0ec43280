/**
 * Who may become primary when the present one is gone, and why the others may not. One place for
 * the failover, for `pgswarm why` and for status.
 */
import { compareLsn, furthestLsn, lagBytes, type Lsn } from './lsn';
import { isLate, wayToTakeOver, whyLate } from './late';
import { formatSize } from './quantities';
import { volumeObstacle } from './rules/servers';
import { silenceOf } from './rules/silence';
import { type ServerView, type View } from './situation';
import { failoverQuorum } from './sync';

export interface Candidate {
  readonly server: ServerView;
  readonly receivedLsn: Lsn;
  readonly priority: number;
}

export interface Rejection {
  readonly server: string;
  readonly because: string;
  /** It may clear by itself within moments. */
  readonly isPassing: boolean;
}

export interface Judgement {
  /** The best first. */
  readonly fit: readonly Candidate[];
  readonly rejected: readonly Rejection[];
  /** How far the old primary is known to have got; null when nobody has heard of it. */
  readonly knownLsn: Lsn | null;
}

/** Of a server that `failover.priorities` does not name. */
export const PRIORITY_DEFAULT = 100;

/** Of one that is late on purpose it is 0. */
export function priorityOf(server: string, { spec }: View): number {
  const isLateOne = spec.servers.some((each) => each.name === server && isLate(each));
  return isLateOne ? 0 : (spec.failover.priorities[server] ?? PRIORITY_DEFAULT);
}

/** Judges every server but the recorded primary, for the case that the primary is gone. */
export function judgeCandidates(view: View): Judgement {
  const knownLsn = knownEnd(view);
  const standbys: Candidate[] = [];
  const rejected: Rejection[] = [];
  for (const server of view.servers) {
    if (server.name === view.state.primary) continue;
    const flaw = flawOf(server, view);
    const receivedLsn = receivedBy(server);
    if (flaw === null && receivedLsn !== null) {
      standbys.push({ server, receivedLsn, priority: priorityOf(server.name, view) });
    } else {
      rejected.push({ server: server.name, ...(flaw ?? passing('it has received nothing yet')) });
    }
  }
  const fit: Candidate[] = [];
  for (const candidate of standbys.toSorted(byRank)) {
    const because = lossOf(candidate, { view, standbys, knownLsn });
    if (because === null) fit.push(candidate);
    else rejected.push({ server: candidate.server.name, because, isPassing: false });
  }
  return { fit, rejected, knownLsn };
}

/** The same data first, then what the user prefers, then the name. */
function byRank(a: Candidate, b: Candidate): number {
  return (
    compareLsn(b.receivedLsn, a.receivedLsn) ||
    b.priority - a.priority ||
    a.server.name.localeCompare(b.server.name)
  );
}

/**
 * The end of the primary's WAL, as far as anybody has heard: from the primary itself in this term,
 * and from the standbys that were connected to it. At least this much was written.
 */
export function knownEnd(view: View): Lsn | null {
  const { state, primary } = view;
  const last = primary?.lastReport;
  // A restored copy says nothing of the data that is set aside.
  const isOwn = last?.obeys?.term === state.term && last.restored === null;
  const said = isOwn ? endSaidBy(last.postgres) : null;
  const heard = view.servers.map(({ asStandby }) => asStandby?.upstreamLsn ?? null);
  return furthestLsn([state.change?.knownLsn ?? null, said, ...heard]);
}

function endSaidBy(postgres: NonNullable<ServerView['report']>['postgres']): Lsn | null {
  if (postgres.state === 'primary') return postgres.lsn;
  return postgres.state === 'stopped' ? (postgres.control?.endLsn ?? null) : null;
}

/** Where the WAL of an old primary ends that was stopped in order, and has said so since. */
function endOfStopped({ state, primary }: View): Lsn | null {
  const report = primary?.report;
  if (report?.postgres.state !== 'stopped' || report.restored !== null) return null;
  if (report.obeys?.rollCall !== state.change?.id) {
    return null;
  }
  const { control } = report.postgres;
  return control?.clusterState === 'shut down' ? control.endLsn : null;
}

/** Of a running standby. */
export const receivedBy = ({ asStandby }: ServerView): Lsn | null =>
  asStandby === null ? null : furthestLsn([asStandby.receivedLsn, asStandby.replayedLsn]);

type Flaw = Omit<Rejection, 'server'>;
const passing = (because: string): Flaw => ({ because, isPassing: true });
const lasting = (because: string): Flaw => ({ because, isPassing: false });

/** What forbids a promotion whatever the server's data is worth; null when nothing does. */
function flawOf(server: ServerView, view: View): Flaw | null {
  return flawOfPlace(server, view) ?? flawOfMoment(server, view) ?? flawOfData(server, view);
}

function flawOfPlace(server: ServerView, view: View): Flaw | null {
  const { name } = server;
  const { contract, fenced, primary } = view.state;
  if (server.report === null) return lasting(silenceOf(server, view));
  if (fenced.includes(name)) return lasting('it is kept stopped by `pgswarm fence`');
  if (server.report.isLeaving) return lasting('its container is being stopped');
  const late = flawOfLate(server, view);
  if (late !== null) return lasting(late);
  if (!isLate(server.spec)) {
    if (priorityOf(name, view) === 0) return lasting('its priority is 0 (failover.priorities)');
    if (contract !== null && !contract.peers.includes(name)) {
      return lasting(`${primary ?? 'the primary'} has not confirmed it as a peer yet`);
    }
  }
  const because = volumeObstacle(server, view);
  return because === null ? null : lasting(because);
}

/**
 * One that is late on purpose is promoted when a person asks for it, whatever is lost. It is no
 * peer: an old primary that nobody reaches may go on without its promise, so that the end of the
 * lease proves nothing, and the person must vouch for that, too.
 */
function flawOfLate({ name, spec, asStandby }: ServerView, { state }: View): string | null {
  const late = whyLate(spec);
  const { request, contract } = state;
  if (late === null) return null;
  if (request?.to !== name || !request.acceptsLoss) return late;
  if (asStandby?.isWarm === true) {
    return `it accepts no connections (hotStandby: false), and so cannot be promoted: ${wayToTakeOver(spec)}`;
  }
  return contract === null || request.primaryIsDead
    ? null
    : `${late}: it takes over only with --primary-is-dead`;
}

function flawOfMoment(server: ServerView, { state, nowMs }: View): Flaw | null {
  const { report, lastSeenMs } = server;
  if (report === null) return null;
  const rollCall = state.change?.phase === 'electing' ? state.change.id : null;
  // Whoever has answered is free, and stays so: it answers only when no promise runs any more.
  if (rollCall !== null && report.obeys?.rollCall === rollCall) return null;
  const promiseLeftMs = (report.promiseLeftMs ?? 0) - (nowMs - (lastSeenMs ?? nowMs));
  if (promiseLeftMs > 0 && state.contract !== null) {
    const seconds = (promiseLeftMs / 1000).toFixed(1);
    return passing(`it has promised the primary to wait, or has just started: ${seconds} s more`);
  }
  return rollCall === null ? null : passing('it has not answered the roll call yet');
}

function flawOfData({ asStandby, report }: ServerView, { state }: View): Flaw | null {
  if (asStandby === null) {
    const doing = report?.busy ?? report?.postgres.state ?? 'unknown';
    const because = `it is not running as a standby (it is ${doing})`;
    // A former primary starts as a standby only when it has compared itself with the present one.
    const isFormer = report?.postgres.state === 'stopped' && !report.postgres.standbySignal;
    return isFormer ? lasting(because) : passing(because);
  }
  if (asStandby.systemIdentifier !== state.systemIdentifier) {
    return lasting(
      `it holds another database cluster (system identifier ${asStandby.systemIdentifier})`,
    );
  }
  if (state.request?.acceptsLoss === true) return null;
  if (state.timeline === null || asStandby.timeline < state.timeline) {
    return lasting(
      `it is on timeline ${asStandby.timeline}, the primary was on ${state.timeline ?? 'an unknown one'}`,
    );
  }
  return null;
}

interface Field {
  readonly view: View;
  readonly standbys: readonly Candidate[];
  readonly knownLsn: Lsn | null;
}

/** Why this one's data does not do; null when it does. */
function lossOf(
  { server, receivedLsn }: Candidate,
  { view, standbys, knownLsn }: Field,
): string | null {
  const { sync, request } = view.state;
  if (request?.acceptsLoss === true) {
    return request.to === server.name ? null : `${request.to} has been asked for`;
  }
  if (sync.wanted === null && sync.guaranteed === null) {
    return lagOf(receivedLsn, knownLsn, view.spec.failover.lagBytesMax);
  }
  const end = endOfStopped(view);
  if (end !== null && compareLsn(receivedLsn, end) >= 0) return null;
  const quorum = failoverQuorum(
    sync.guaranteed,
    standbys.map((other) => other.server.name),
  );
  if (!quorum.isEnough) return quorum.missing;
  const furthest = furthestLsn(standbys.map((other) => other.receivedLsn));
  if (furthest === null || compareLsn(receivedLsn, furthest) >= 0) return null;
  return `it is ${formatSize(lagBytes(furthest, receivedLsn))} behind the furthest standby, which may hold commits that it lacks`;
}

function lagOf(receivedLsn: Lsn, knownLsn: Lsn | null, bytesMax: number): string | null {
  if (knownLsn === null) return 'it is not known how far the primary had got';
  const behind = lagBytes(knownLsn, receivedLsn);
  if (behind <= bytesMax) return null;
  return `it is ${formatSize(behind)} behind what the primary had written, more than failover.maxLag allows (${formatSize(bytesMax)})`;
}
