/**
 * A primary that stays, while nobody can renew its lease and not all of its peers can promise to wait: it
 * stops itself, and goes on as soon as another operator leads. Computed from the protocol's times.
 */
import { RAFT_ELECTION, TAKE_OVER, type Outage, type Range } from '../expectations';
import { LEADERSHIP_TIMING } from '../leadership';
import { leaseTimes } from '../lease';
import { HEARTBEAT_MS } from '../protocol';
import { type Spec } from '../spec';

const { leaseMs, driftMs, renewEveryMs, lookEveryMs } = LEADERSHIP_TIMING;

/** Without the operators' leader, or without Swarm's, whose followers cannot even take over. */
export function pauseWithout(leader: 'operatorLeader' | 'swarmLeader', { failover }: Spec): Outage {
  return leader === 'operatorLeader'
    ? { fault: leader, ...between(stopOf(failover.ttlMs), FOLLOWER_LEADS) }
    : { fault: leader, ...between(STANDS_DOWN, ELECTED) };
}

/** Moments after the loss, the earliest first. */
interface Moments {
  readonly bestMs: number;
  readonly typicalMs: number;
  readonly worstMs: number;
}

/** The last heartbeat was answered up to a second before. */
function stopOf(ttlMs: number): Moments {
  const { stopAtMs } = leaseTimes(ttlMs);
  return moments(stopAtMs, stopAtMs - HEARTBEAT_MS / 2, stopAtMs - HEARTBEAT_MS);
}

const FOLLOWER_LEADS = moments(
  leaseMs + driftMs - renewEveryMs,
  leaseMs + driftMs - renewEveryMs / 2 + lookEveryMs / 2,
  leaseMs + driftMs + lookEveryMs,
);

/** A leader that cannot renew grants leases until its own is over. */
const STANDS_DOWN = moments(leaseMs, leaseMs - renewEveryMs / 2, leaseMs - renewEveryMs);
const ELECTED = moments(
  RAFT_ELECTION.bestMs,
  RAFT_ELECTION.typicalMs + lookEveryMs / 2,
  RAFT_ELECTION.worstMs + lookEveryMs,
);

function moments(bestMs: number, typicalMs: number, worstMs: number): Moments {
  return { bestMs, typicalMs, worstMs };
}

/** From the stop until PostgreSQL runs again, which takes as long as a promotion. */
function between(stop: Moments, back: Moments): Range {
  return {
    bestMs: Math.max(0, back.bestMs - stop.bestMs) + TAKE_OVER.bestMs,
    typicalMs: Math.max(0, back.typicalMs - stop.typicalMs) + TAKE_OVER.typicalMs,
    worstMs: Math.max(0, back.worstMs - stop.worstMs) + HEARTBEAT_MS + TAKE_OVER.worstMs,
  };
}
