/**
 * A rule is one row of the decision table: when something is found, it says why, and what to do.
 * A rule without steps waits: what it waits for is shown, and the rules after it may still act.
 */
import { type View } from '../situation';
import { type ClusterState } from '../state';
import { type RecordStep, type Step } from '../steps';
import { evidenceOf, sourceText } from '../history';
import { withEvent } from '../transitions';

export type Section =
  | 'deletion'
  | 'safety'
  | 'failover'
  | 'switchover'
  | 'contract'
  | 'synchronous'
  | 'objects'
  | 'bootstrap'
  | 'servers'
  | 'archive'
  | 'backup'
  | 'restore'
  | 'configuration'
  | 'maintenance'
  | 'request';

export interface Rule {
  /** Stable and unique: in logs, events, status and the documentation. */
  readonly id: string;
  readonly section: Section;
  /** What the rule is for, in one sentence; the documentation is made of it. */
  readonly about: string;
  /** Its outcome, or null when it does not match. */
  readonly evaluate: (view: View) => Outcome | null;
}

export interface Outcome {
  readonly because: string;
  /** Empty: nothing can be done but wait. */
  readonly steps: readonly Step[];
  /** No rule after this one may act while it waits. */
  readonly blocks: boolean;
  /** The condition that is raised while the rule matches. */
  readonly condition: ConditionRaised | null;
}

export interface ConditionRaised {
  readonly type: ConditionType;
  /** Stable word in CamelCase. */
  readonly reason: string;
}

/** Each is `True` when all is well; a rule that matches makes it `False`. */
export type ConditionType =
  | 'Ready'
  | 'ObjectsReady'
  | 'ServersReady'
  | 'Synchronous'
  | 'WalArchived'
  | 'RecoveryWindow'
  | 'RestoreDrill'
  | 'BackupRecent'
  | 'DataVolume'
  | 'ArchiveVolume'
  | 'UpToDate'
  | 'PrimaryAsDeclared'
  | 'SpecValid'
  | 'SourceFollowed';

interface Definition<Found> {
  readonly id: string;
  readonly section: Section;
  readonly about: string;
  /** What the rule is about, when it applies. */
  readonly when: (view: View) => Found | null;
  readonly because: (found: Found, view: View) => string;
  readonly steps?: (found: Found, view: View) => readonly Step[];
  readonly condition?: ConditionRaised | ((found: Found) => ConditionRaised);
  readonly blocks?: boolean;
}

export function rule<Found>(definition: Definition<Found>): Rule {
  const { id, section, about, when, because, steps, condition, blocks = false } = definition;
  return {
    id,
    section,
    about,
    evaluate: (view) => {
      const found = when(view);
      if (found === null) return null;
      return {
        because: because(found, view),
        steps: steps?.(found, view) ?? [],
        blocks,
        condition: (typeof condition === 'function' ? condition(found) : condition) ?? null,
      };
    },
  };
}

/** The one step that writes `next`, with its event. */
export function recorded(
  view: View,
  next: ClusterState,
  step: { readonly rule: string; readonly summary: string; readonly message: string },
): readonly RecordStep[] {
  const { rule: id, summary, message } = step;
  const { record, now } = view.situation;
  const event = {
    at: now,
    rule: id,
    message,
    generation: record.generation,
    appliedBy: sourceText(record.source),
    // The store is small: what was seen is kept where it decides who accepts writes.
    ...(next.change === view.state.change ? {} : { evidence: evidenceOf(view) }),
  };
  return [{ kind: 'record', summary, next: withEvent(next, event) }];
}
