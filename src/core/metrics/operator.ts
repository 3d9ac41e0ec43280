/** What an operator counts of its own work, whether it leads or not. */
import { counter, gauge, histogram, type Families } from './family';

/** A round asks Docker at most twice; an election of Raft takes up to 20 s. */
const ROUND_SECONDS = [0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10, 30];

/** Held by the operator, and read when somebody asks. */
export const operatorFamilies = {
  pgswarm_operator_leader: gauge('1 for the operator that leads.'),
  pgswarm_operator_leadership_left_seconds: gauge(
    'For how long it leads for certain, even if it cannot renew that any more.',
  ),
  pgswarm_operator_clusters: gauge('Clusters in its hands.'),
} as const satisfies Families;

/** Counted as they happen. */
export const operatorEventFamilies = {
  pgswarm_operator_round_duration_seconds: histogram(
    'Rounds of all clusters: look, decide, apply.',
    ROUND_SECONDS,
  ),
  pgswarm_operator_round_failures_total: counter(
    'Rounds that ended with an error, by its kind; stale ones are repeated at once.',
    'kind',
  ),
  pgswarm_operator_decisions_total: counter('Decisions that were new, by their rule.', 'rule'),
  pgswarm_operator_store_writes_total: counter(
    'Writes to Swarm’s store; stale: somebody else has written in between.',
    'record',
    'outcome',
  ),
} as const satisfies Families;
