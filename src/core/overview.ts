/** What the web page shows: every cluster in short, and one of them in full. */
import { type Decision, type RuleFinding } from './decide';
import { type ClusterEvent, type ClusterState, type RoleChange } from './state';
import { type Phase, type ServerStatus, type Status } from './status';
import { describe } from './steps';

export interface Overview {
  /** ISO 8601, the leader's wall clock. */
  readonly at: string;
  readonly clusters: readonly ClusterSummary[];
  /** null: none was asked for, or there is none of that name. */
  readonly cluster: ClusterDetail | null;
}

export interface ClusterSummary {
  readonly name: string;
  readonly phase: Phase;
  readonly primary: string | null;
  readonly servers: readonly ServerSummary[];
  /** What is not as it should be, a sentence each. */
  readonly troubles: readonly string[];
}

export type ServerSummary = Pick<
  ServerStatus,
  'name' | 'node' | 'role' | 'state' | 'streaming' | 'late' | 'lagBytes'
>;

export interface ClusterDetail extends Status {
  /** Newest last. */
  readonly events: readonly ClusterEvent[];
  /** The change of role that is under way. */
  readonly change: RoleChange | null;
  /** Standbys that commits wait for. */
  readonly synchronousStandbys: readonly string[];
  /** What is being done now, in order, in words. */
  readonly steps: readonly string[];
  /** What the operator has found beside the decision. */
  readonly findings: readonly Pick<RuleFinding, 'rule' | 'because'>[];
}

/** `status` is null until the cluster has been looked at once. */
export function summaryOf(name: string, status: Status | null): ClusterSummary {
  if (status === null) return { name, phase: 'Creating', primary: null, servers: [], troubles: [] };
  return {
    name,
    phase: status.phase,
    primary: status.primary,
    servers: status.servers.map(({ name, node, role, state, streaming, late, lagBytes }) => ({
      name,
      node,
      role,
      state,
      streaming,
      late,
      lagBytes,
    })),
    troubles: status.conditions.flatMap(({ status, message }) =>
      status === 'False' ? [message] : [],
    ),
  };
}

export function detailOf(
  status: Status,
  { events, change, sync }: ClusterState,
  { rule, steps, findings }: Pick<Decision, 'rule' | 'steps' | 'findings'>,
): ClusterDetail {
  return {
    ...status,
    events,
    change,
    synchronousStandbys: sync.wanted?.names ?? [],
    steps: steps.map(describe),
    findings: findings.flatMap((each) =>
      each.rule === rule ? [] : [{ rule: each.rule, because: each.because }],
    ),
  };
}

/** What has become different; parts that are left out are as before. */
export interface OverviewChange {
  readonly at: string;
  readonly clusters?: readonly ClusterSummary[];
  /** In full; null: there is none any more. */
  readonly cluster?: ClusterDetail | null;
  /** Parts of the same cluster. */
  readonly parts?: Partial<ClusterDetail>;
}

/** Seldom more than a lag and what is left of a lease: of a cluster only its parts that differ are sent. */
export function overviewChange(before: Overview | null, after: Overview): OverviewChange {
  const { at, clusters, cluster } = after;
  if (before === null) return after;
  const isOther = before.cluster?.cluster !== cluster?.cluster;
  return {
    at,
    ...(isSame(before.clusters, clusters) ? {} : { clusters }),
    ...(isOther || cluster === null || before.cluster === null
      ? isOther && { cluster }
      : { parts: differences(before.cluster, cluster) }),
  };
}

function differences(before: ClusterDetail, after: ClusterDetail): Partial<ClusterDetail> {
  const names = Object.keys(after) as (keyof ClusterDetail)[];
  const different = names.filter((name) => !isSame(before[name], after[name]));
  return Object.fromEntries(different.map((name) => [name, after[name]]));
}

const isSame = (a: unknown, b: unknown): boolean => JSON.stringify(a) === JSON.stringify(b);
