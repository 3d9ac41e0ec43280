/** The last leg of every change of role: a new primary has been named and is being promoted. */
import { contractOfNewPrimary } from '../contract';
import { receivedBy } from '../candidates';
import { lagBytes, type Lsn } from '../lsn';
import { type PostgresReport } from '../protocol';
import { type ServerView, type View } from '../situation';
import { type ClusterState, type Override, type RoleChange } from '../state';
import { finishChange, nameNewPrimary } from '../transitions';
import { isToBeRelieved, reasonOfTurn } from '../turn';
import { activeOverride } from './request';
import { recorded, rule, type Rule } from './rule';
import { syncOfNewPrimary } from './synchronous';

export interface InFlight {
  readonly change: RoleChange;
  readonly from: ServerView | null;
  readonly to: ServerView | null;
  /** How long this leader has seen the present phase. */
  readonly phaseAgeMs: number;
}

/** The change of role that is under way, when it is in this phase. */
export function inFlight(view: View, phase: RoleChange['phase']): InFlight | null {
  const { change } = view.state;
  if (change?.phase !== phase) return null;
  const since = view.situation.observation.phaseSinceMs ?? view.nowMs;
  const byName = (name: string | null): ServerView | null =>
    view.servers.find((server) => server.name === name) ?? null;
  return {
    change,
    from: byName(change.from),
    to: byName(change.to),
    phaseAgeMs: view.nowMs - since,
  };
}

type StoppedReport = Extract<PostgresReport, { state: 'stopped' }>;

/** What the old primary says once it is stopped because this change told it so, and stays so. */
export function stopAnswer(from: ServerView | null, change: RoleChange): StoppedReport | null {
  const report = from?.report;
  if (report?.obeys?.task !== 'stop' || report.obeys.rollCall !== change.id) return null;
  if (report.postgres.state !== 'stopped') return null;
  // That it is stopped is true of a restored copy, too; where its WAL ends is of no meaning.
  return report.restored === null ? report.postgres : { ...report.postgres, control: null };
}

/** The record in which `primary` begins its term. */
export function newPrimary(view: View, change: RoleChange, primary: string): ClusterState {
  return nameNewPrimary(view.state, change, {
    primary,
    contract: contractOfNewPrimary(view, primary),
    sync: syncOfNewPrimary(view, primary),
    override: overrideFor(view, change, primary),
  });
}

/** null when the new primary is the one that the spec declares. */
function overrideFor(view: View, change: RoleChange, primary: string): Override | null {
  const declared = view.spec.primary;
  if (primary === declared || isForRollout(view, change)) return null;
  const before = view.state.override;
  return {
    number: before?.declared === declared ? before.number + 1 : 1,
    declared,
    from: change.from,
    to: primary,
    reason: change.reason,
    at: view.situation.now,
  };
}

/** A primary is relieved for its restart only: the declared one follows, unless it was overridden before. */
const isForRollout = (view: View, { kind, reason }: RoleChange): boolean =>
  kind === 'switchover' &&
  activeOverride(view) === null &&
  isToBeRelieved(view.state) &&
  reason === reasonOfTurn(view.state);

/** What the old primary is known to have written and the new one had not received. */
function lostBytes({ change, to }: InFlight): number {
  if (change.kind === 'switchover' || change.knownLsn === null) return 0;
  const received: Lsn | null = change.shutdownLsn ?? (to === null ? null : receivedBy(to));
  return received === null ? 0 : lagBytes(change.knownLsn, received);
}

export const promotionRules: readonly Rule[] = [
  rule<InFlight & { timeline: number }>({
    id: 'promotion-finish',
    section: 'switchover',
    about: 'The new primary accepts writes: the change is over, and its write gap is recorded.',
    when: (view) => {
      const found = inFlight(view, 'promoting');
      const obeys = found?.to?.report?.obeys;
      const timeline = found?.to?.asPrimary?.timeline;
      return found === null || timeline === undefined || obeys?.term !== view.state.term
        ? null
        : { ...found, timeline };
    },
    because: ({ change }) => `${change.to ?? ''} accepts writes`,
    steps: (found, view) => {
      const { change, timeline } = found;
      const { writeGapMs } = view.situation.observation;
      const gap = writeGapMs === null ? '' : `, write gap ${Math.round(writeGapMs)} ms`;
      const result = { timeline, writeGapMs, lostBytes: lostBytes(found), at: view.situation.now };
      return recorded(view, finishChange(view.state, change, result), {
        rule: 'promotion-finish',
        summary: `record that ${change.to ?? ''} is the primary`,
        message: `${change.to ?? ''} is primary now, ${change.from} was before${gap}`,
      });
    },
  }),
];

/** Looked at after the failover: a new primary that has died is not waited for. */
export const promotionWaits: readonly Rule[] = [
  rule<InFlight>({
    id: 'promotion-await',
    section: 'switchover',
    about:
      'The new primary has been named and is being promoted; nothing else may happen to the cluster.',
    when: (view) => inFlight(view, 'promoting'),
    because: ({ change, to }) => {
      const problem = to?.report?.problem;
      return `${change.to ?? ''} is being promoted${problem == null ? '' : `; ${problem.message}`}`;
    },
    condition: { type: 'Ready', reason: 'Promoting' },
    blocks: true,
  }),
];
