/**
 * An unplanned change of primary. Two questions are kept apart: whether the primary is lost, which
 * begins it, and whether the old primary can still write, which must be excluded before anybody is
 * named. docs/decisions/007 has the protocol.
 *
 *   electing → promoting → done
 *       └─→ given up: the old primary is back and goes on
 */
import { judgeCandidates, type Candidate, type Judgement } from '../candidates';
import { compareLsn, type Lsn } from '../lsn';
import { type RoleChange } from '../state';
import { type View } from '../situation';
import { beginFailover, countAgain, giveUpFailover } from '../transitions';
import { inFlight, newPrimary, stopAnswer, type InFlight } from './promotion';
import { recorded, rule, type Rule } from './rule';
import { isExited, isLeaseOver, whyLost } from './loss';

/** Why the old primary cannot acknowledge anything any more; null while it might. */
function whyHarmless(view: View, found: InFlight | null): string | null {
  const { request, contract, primary } = view.state;
  const old = primary ?? '';
  if (found !== null && stopAnswer(found.from, found.change) !== null) return `${old} has stopped`;
  if (isExited(view)) return `the container of ${old} has ended`;
  if (contract !== null && isLeaseOver(view)) return `every lease of ${old} is over`;
  return request?.primaryIsDead === true ? `${request.by} vouches that ${old} is dead` : null;
}

interface Election extends InFlight {
  readonly judgement: Judgement;
}

function election(view: View): Election | null {
  const found = inFlight(view, 'electing');
  return found === null ? null : { ...found, judgement: judgeCandidates(view) };
}

/** The best candidate, once everybody who might be better has spoken. */
function elected(found: Election, view: View): Candidate | null {
  const { judgement, change, phaseAgeMs } = found;
  // Also now: a leader that had not known of this election may have granted another lease.
  if (change.harmless === null || whyHarmless(view, found) === null) return null;
  const isAwaited = judgement.rejected.some(({ isPassing }) => isPassing);
  // A better one may be about to answer; one that is dead must not hold up the others for long.
  return isAwaited && phaseAgeMs < STRAGGLERS_MS ? null : (judgement.fit[0] ?? null);
}

/** How long a server that may still answer the roll call is waited for when another one is fit. */
export const STRAGGLERS_MS = 1000;

/** Where the WAL of an old primary ends that is back, stopped, and could go on. */
function returned({ from, change }: Election): Lsn | null {
  const control = stopAnswer(from, change)?.control;
  return from?.report?.problem === null && control != null ? control.endLsn : null;
}

/** Nobody is fit, or the old primary has what nobody else has. */
function shouldGoOn(found: Election, { spec }: View): boolean {
  const end = returned(found);
  if (end === null) return false;
  const best = found.judgement.fit[0];
  if (best !== undefined) {
    return !found.change.reason.startsWith(CANNOT_RUN) && compareLsn(best.receivedLsn, end) < 0;
  }
  // What should pass may not: a server that waits for this one to run again, for example.
  const isAwaited = found.judgement.rejected.some(({ isPassing }) => isPassing);
  return !isAwaited || found.phaseAgeMs > spec.failover.ttlMs + STRAGGLERS_MS;
}

const CANNOT_RUN = 'it cannot run';

const listed = ({ rejected }: Judgement): string =>
  rejected.map(({ server, because }) => `${server}: ${because}`).join('; ');

export const failoverRules: readonly Rule[] = [
  rule<{ reason: string; judgement: Judgement }>({
    id: 'failover-begin',
    section: 'failover',
    about:
      'The primary is lost: it gets no lease any more, and every server is asked how far it is.',
    when: (view) => {
      const reason = whyLost(view);
      if (reason === null) return null;
      const judgement = judgeCandidates(view);
      const { fit, rejected } = judgement;
      return fit.length > 0 || rejected.some(({ isPassing }) => isPassing)
        ? { reason, judgement }
        : null;
    },
    because: ({ reason }, { state }) => `the primary ${state.primary ?? ''} is lost: ${reason}`,
    steps: ({ reason, judgement }, view) => {
      const request = {
        reason,
        harmless: whyHarmless(view, null),
        knownLsn: judgement.knownLsn,
        generation: view.generation,
        at: view.situation.now,
      };
      return recorded(view, beginFailover(view.state, request), {
        rule: 'failover-begin',
        summary: 'ask every server how far it is',
        message: `the primary ${view.state.primary ?? ''} is lost: ${reason}; asking who can take over`,
      });
    },
  }),
  rule<Election & { harmless: string }>({
    id: 'failover-count-again',
    section: 'failover',
    about:
      'The old primary could still write when the servers were asked how far they are, and cannot now: they are asked again.',
    when: (view) => {
      const found = election(view);
      if (found === null || found.change.harmless !== null || shouldGoOn(found, view)) return null;
      const harmless = whyHarmless(view, found);
      return harmless === null ? null : { ...found, harmless };
    },
    because: ({ harmless }) => `${harmless}: what the servers have by now is final`,
    steps: ({ change, harmless }, view) =>
      recorded(view, countAgain(view.state, change, harmless), {
        rule: 'failover-count-again',
        summary: 'ask every server again how far it is',
        message: `${harmless}; asking every server again how far it is`,
      }),
  }),
  rule<Election & { candidate: Candidate }>({
    id: 'failover-promote',
    section: 'failover',
    about:
      'The old primary cannot write any more, and a server is fit to take over: a new term begins.',
    when: (view) => {
      const found = election(view);
      const candidate = found === null || shouldGoOn(found, view) ? null : elected(found, view);
      return found === null || candidate === null ? null : { ...found, candidate };
    },
    because: ({ candidate, change }) =>
      `${change.harmless ?? ''}, and ${candidate.server.name} has received up to ${candidate.receivedLsn}`,
    steps: ({ change, candidate, judgement }, view) => {
      const { name } = candidate.server;
      const next = newPrimary(view, withEnd(change, candidate, judgement, view), name);
      return recorded(view, next, {
        rule: 'failover-promote',
        summary: `promote ${name}`,
        message: `${change.harmless ?? ''}; ${name} has received up to ${candidate.receivedLsn} and is promoted`,
      });
    },
  }),
  rule<Election>({
    id: 'failover-undo',
    section: 'failover',
    about: 'The old primary is back, and nobody has as much data: it goes on.',
    when: (view) => {
      const found = election(view);
      return found !== null && shouldGoOn(found, view) ? found : null;
    },
    because: ({ change }) => `${change.from} is back, and goes on as primary`,
    steps: ({ change, judgement }, view) =>
      recorded(view, giveUpFailover(view.state), {
        rule: 'failover-undo',
        summary: `start ${change.from} again as primary`,
        message: `${change.from} is back and goes on as primary (${listed(judgement) || 'it has the latest data'})`,
      }),
  }),
  rule<Election>({
    id: 'failover-await',
    section: 'failover',
    about: 'The old primary may still write, or the servers have not all answered yet.',
    when: (view) => {
      const found = election(view);
      if (found === null) return null;
      const { judgement, change } = found;
      const isShort = judgement.fit.length > 0 || judgement.rejected.some((each) => each.isPassing);
      return change.harmless === null || isShort ? found : null;
    },
    because: ({ change, judgement }) =>
      change.harmless === null
        ? `${change.from} may still accept writes: its lease is not over, and nothing proves that it has ended`
        : `the servers are answering the roll call: ${listed(judgement)}`,
    condition: { type: 'Ready', reason: 'Electing' },
    blocks: true,
  }),
  rule<Election>({
    id: 'failover-no-candidate',
    section: 'failover',
    about:
      'The primary is gone and no server may take over without a loss: the cluster waits for one that may, or for a person.',
    when: election,
    because: ({ change, judgement }, { spec }) =>
      `${change.from} is gone (${change.reason}, ${change.startedAt}) and nobody may take over: ${listed(judgement)}; it goes on when ${change.from} or such a server is back; to accept the loss: pgswarm promote ${spec.cluster} SERVER --accept-data-loss`,
    condition: { type: 'Ready', reason: 'NoCandidate' },
  }),
  rule<{ reason: string; judgement: Judgement }>({
    id: 'failover-impossible',
    section: 'failover',
    about: 'The primary is lost and no other server could take over now: it is waited for.',
    when: (view) => {
      const reason = whyLost(view);
      return reason === null ? null : { reason, judgement: judgeCandidates(view) };
    },
    because: ({ reason, judgement }, { state }) =>
      `${state.primary ?? ''} is lost (${reason}) and nobody can take over: ${listed(judgement) || 'there is no other server'}`,
    condition: { type: 'Ready', reason: 'NoCandidate' },
  }),
];

/** With a guarantee nothing that was acknowledged is beyond the candidate, whatever was written. */
function withEnd(
  change: RoleChange,
  { receivedLsn }: Candidate,
  { knownLsn }: Judgement,
  { state }: View,
): RoleChange {
  const isGuaranteed = state.sync.guaranteed !== null && state.request?.acceptsLoss !== true;
  return { ...change, shutdownLsn: receivedLsn, knownLsn: isGuaranteed ? receivedLsn : knownLsn };
}
