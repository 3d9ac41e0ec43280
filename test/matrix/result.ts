/** What came of one repetition of a cell, and whether it is what must come of it. */
import { type Judgement } from '../support/client';
import { type Cell, backTargetMs } from './cells';
import { type Shape } from './cluster';

export interface Result {
  readonly cell: Cell;
  readonly shape: Shape;
  readonly repetition: number;
  readonly from: string;
  /** Primary in the end. */
  readonly to: string;
  /** Longest time without an acknowledged write that began before the fault was ended. */
  readonly gapMs: number;
  /** The same, from then on; null where nothing had to be ended. */
  readonly healingGapMs: number | null;
  /**
   * From the beginning of the repair (power on, cable in), or from the fault where nothing has to be
   * repaired, until every standby streamed; null when it never was.
   */
  readonly backMs: number | null;
  readonly judgement: Judgement;
  /** Transactions that the loss ledger names; null without an entry. */
  readonly ledger: number | null;
  /** What kept the repetition from its course. */
  readonly problems: readonly string[];
}

/** What must never be; empty when all is well. */
export function violations(result: Result): string[] {
  const { cell, shape, judgement, problems } = result;
  const found = [
    ...problems,
    ...writers(result),
    ...(shape.sync === 'required' && judgement.lost > 0
      ? [`${judgement.lost} acknowledged writes lost in spite of synchronous replication`]
      : []),
    ...late(result),
    ...interrupted(result),
  ];
  const hasMoved = result.from !== result.to;
  if (cell.primary === 'moves' && !hasMoved) found.push('the primary did not move');
  if (cell.primary === 'stays' && hasMoved) found.push(`${result.to} took over, and must not`);
  return [...found, ...ledger(result)];
}

function writers({ cell, shape, judgement }: Result): string[] {
  const { lateWrites, newLateWrites, durationMs, sharedTimelines } = judgement;
  // With synchronous replication only what standbys had confirmed before; that is not lost either.
  const isNew = shape.sync === 'required' && newLateWrites > 0;
  const allowedMs = isNew ? 0 : (cell.lateMsMax ?? 0);
  const found =
    sharedTimelines.length === 0
      ? []
      : [`two servers acknowledged writes on timeline ${sharedTimelines.join(', ')}`];
  if (lateWrites > 0 && durationMs > allowedMs) {
    found.push(`two writers for ${durationMs.toFixed(0)} ms: ${lateWrites} late writes`);
  }
  return found;
}

function late({ cell, backMs }: Result): string[] {
  const maxMs = cell.backTargetMs ?? backTargetMs;
  return backMs !== null && backMs > maxMs
    ? [`redundancy was back after ${(backMs / 1000).toFixed(1)} s, more than ${maxMs / 1000} s`]
    : [];
}

/** The end of a fault is none: who took over goes on writing, but for an election. */
const healingGapMaxMs = 10_000;

function interrupted({ cell, healingGapMs }: Result): string[] {
  const isLong = healingGapMs !== null && healingGapMs > healingGapMaxMs;
  return cell.primary === 'moves' && isLong
    ? [`no writes for ${(healingGapMs / 1000).toFixed(1)} s when the fault was over`]
    : [];
}

/** Within a tenth of what the history knows: writes without an answer may be in it or not. */
function ledger({ judgement: { lost, absent }, ledger: entry }: Result): string[] {
  if (lost === 0) return [];
  if (entry === null) return [`${lost} acknowledged writes lost, and no entry in the ledger`];
  return entry >= lost * 0.9 && entry <= (lost + absent) * 1.1 + 1
    ? []
    : [`the ledger names ${entry} transactions, the history ${lost} to ${lost + absent}`];
}
