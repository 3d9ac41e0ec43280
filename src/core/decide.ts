/**
 * The decision: a table of rules in sections ordered by safety. The first rule that has something
 * to do decides. If none has, the first one that waits is the decision, and if none matches the
 * cluster is steady. Rules that merely wait are never lost: each raises its condition. Only a change
 * of role that is under way lets no rule after it act.
 */
import { describeCommit } from './git/source';
import { type Step } from './steps';
import { initialState } from './state';
import { viewOf, type Situation, type View } from './situation';
import { type ConditionRaised, type Rule } from './rules/rule';
import { archiveRules } from './rules/archive';
import { backupRules } from './rules/backup';
import { bootstrapRules } from './rules/bootstrap';
import { configurationRules } from './rules/configuration';
import { contractRules } from './rules/contract';
import { deletionRules } from './rules/deletion';
import { failoverRules } from './rules/failover';
import { loadRules } from './rules/load';
import { ledgerRules } from './rules/ledger';
import { maintenanceRules } from './rules/maintenance';
import { objectRules } from './rules/objects';
import { promotionRules, promotionWaits } from './rules/promotion';
import { scheduleRules } from './rules/schedules';
import { roomRules } from './rules/room';
import { safetyRules } from './rules/safety';
import { serverRules } from './rules/servers';
import { drillScheduleRules } from './rules/drill-schedule';
import { rehearsalRules } from './rules/rehearsal';
import { requestRules } from './rules/request';
import { restoreRules } from './rules/restore';
import { switchoverRules } from './rules/switchover';
import { synchronousRules } from './rules/synchronous';
import { withEvent } from './transitions';

/** The whole table, in order. */
export const RULES: readonly Rule[] = [
  ...deletionRules,
  ...safetyRules,
  ...restoreRules,
  ...promotionRules,
  ...failoverRules,
  ...promotionWaits,
  ...switchoverRules,
  ...contractRules,
  ...synchronousRules,
  ...ledgerRules,
  ...objectRules,
  ...bootstrapRules,
  ...configurationRules,
  ...maintenanceRules,
  ...serverRules,
  ...archiveRules,
  ...roomRules,
  ...scheduleRules,
  ...backupRules,
  ...rehearsalRules,
  ...drillScheduleRules,
  ...loadRules,
  ...requestRules,
];

export interface Decision {
  /** Id of the rule that decided; `steady` when none matched. */
  readonly rule: string;
  readonly because: string;
  /** In order; empty when there is nothing to do but wait. */
  readonly steps: readonly Step[];
  /** Everything that is not as it should be, the decisive one first. */
  readonly findings: readonly RuleFinding[];
}

export interface RuleFinding {
  readonly rule: string;
  readonly because: string;
  readonly condition: ConditionRaised | null;
}

/** What is to be done now. Pure: the same situation gives the same decision. */
export function decide(situation: Situation): Decision {
  const { state } = situation;
  return state === null ? declare(situation) : decideOn(viewOf(situation, state));
}

/** The first decision on any cluster: make its record. */
function declare(situation: Situation): Decision {
  const { record, newUid, leaderEpoch } = situation;
  const first = initialState(record.spec.cluster, newUid, leaderEpoch);
  const view = viewOf(situation, first);
  const because = `the cluster ${view.spec.cluster} is declared and has no record yet`;
  if (situation.record.deletion !== null) {
    return { rule: 'delete-records', because, steps: forget(view), findings: [] };
  }
  const { source } = record;
  const by = source.kind === 'git' ? ` (${describeCommit(source.commit)})` : '';
  const event = { at: situation.now, rule: 'declare', message: `the cluster was declared${by}` };
  const next = withEvent(first, event);
  const summary = `begin the record of the cluster ${view.spec.cluster}`;
  return { rule: 'declare', because, steps: [{ kind: 'record', next, summary }], findings: [] };
}

const forget = (view: View): readonly Step[] => [{ kind: 'forget', cluster: view.spec.cluster }];

function decideOn(view: View): Decision {
  const { paused } = view.state;
  const decision = evaluate(view);
  if (paused === null) return decision;
  const would = decision.rule === 'steady' ? '' : `; otherwise: ${decision.because}`;
  const because = `paused by ${paused.by} since ${paused.since}, nothing is decided${would}`;
  return { ...decision, rule: 'paused', because };
}

/** Of a paused cluster everything is found, and nothing done. */
function evaluate(view: View): Decision {
  const rules = view.situation.record.deletion === null ? RULES : deletionRules;
  const findings: RuleFinding[] = [];
  for (const { id, evaluate } of rules) {
    const outcome = evaluate(view);
    if (outcome === null) continue;
    const { because, steps, condition, blocks } = outcome;
    if (steps.length > 0 && view.state.paused === null) {
      return { rule: id, because, steps, findings };
    }
    findings.push({ rule: id, because, condition });
    if (blocks) break;
  }
  const [first] = findings;
  return first === undefined
    ? { rule: 'steady', because: 'everything is as the spec wants it', steps: [], findings }
    : { rule: first.rule, because: first.because, steps: [], findings };
}
