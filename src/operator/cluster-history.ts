/** What the leader writes down of one cluster: its own decisions, and what others have recorded. */
import { type Decision } from '../core/decide';
import { evidenceOf, sourceText, type HistoryEntry } from '../core/history';
import { type View } from '../core/situation';
import { type SpecRecord } from '../core/spec';
import { type ClusterState } from '../core/state';
import { describe } from '../core/steps';
import { type Journal } from './journal';

export class ClusterHistory {
  readonly #cluster: string;
  readonly #journal: Pick<Journal, 'add'> | null;
  #events: ClusterState['events'] = [];
  #generation: number | null = null;

  constructor(cluster: string, journal: Pick<Journal, 'add'> | null) {
    this.#cluster = cluster;
    this.#journal = journal;
  }

  /** A record was read or written: people and earlier leaders have left events in it. */
  noted(state: ClusterState | null, spec: SpecRecord | null): void {
    if (this.#journal === null || state === null) return;
    if (state.events !== this.#events) {
      this.#events = state.events;
      this.#journal.add(this.#cluster, state.events);
    }
    if (spec === null || spec.generation === this.#generation) return;
    this.#generation = spec.generation;
    this.#journal.add(this.#cluster, [acceptance(spec, state)]);
  }

  /** Its steps are done. */
  decided({ rule, because, steps }: Decision, view: View, durationMs: number): void {
    const { record, now } = view.situation;
    const known = new Set(view.state.events);
    const events = steps.flatMap((step) =>
      step.kind === 'record' ? step.next.events.filter((event) => !known.has(event)) : [],
    );
    const entry: HistoryEntry = events.at(-1) ?? {
      at: now,
      term: view.state.term,
      rule,
      message: `${because}: ${steps.map(describe).join(', ')}`,
      generation: record.generation,
      appliedBy: sourceText(record.source),
    };
    this.#journal?.add(this.#cluster, [{ ...entry, evidence: evidenceOf(view), durationMs }]);
  }
}

const acceptance = (
  { generation, source, appliedAt }: SpecRecord,
  { term }: ClusterState,
): HistoryEntry => ({
  at: appliedAt,
  term,
  rule: 'apply',
  message: `generation ${generation} of the spec is in force, applied by ${sourceText(source)}`,
  generation,
  appliedBy: sourceText(source),
});
