/**
 * A restore that is rehearsed on a copy, beside the cluster and without touching it. A drill shows
 * that the data can be had back, and is thrown away at once; a preview is brought to a point, and kept
 * for a while to be looked at. One at a time in a cluster; whoever leads goes on with it.
 */
import { formatDuration } from '../quantities';
import { type RecoveryProblem, type RestoredTo } from './recovery';
import { describeTarget, type RestoreTarget } from './target';

export type RehearsalKind = 'drill' | 'preview';

/** What is asked for; who does it is decided when it begins. */
export interface RehearsalRequest {
  readonly kind: RehearsalKind;
  readonly target: RestoreTarget;
  /** Id of the backup to begin with; null: the one that leads there. */
  readonly backup: string | null;
  /** null: a standby if there is one. */
  readonly server: string | null;
  readonly by: string;
  /** ISO 8601. */
  readonly at: string;
}

/** What an instance is asked to do, once. */
export interface RehearsalOrder {
  readonly id: string;
  readonly kind: RehearsalKind;
  readonly target: RestoreTarget;
  readonly backup: string | null;
  /** What must be true of the restored data, as a query of the cluster's database; for drills. */
  readonly query: string | null;
}

/** In the cluster's record. */
export interface RehearsalTask {
  readonly request: RehearsalRequest;
  /** null: not begun. */
  readonly begun: {
    readonly server: string;
    readonly order: RehearsalOrder;
    /** ISO 8601. */
    readonly at: string;
  } | null;
}

/** What an instance says of the order that it was given. */
export interface RehearsalWork {
  readonly id: string;
  /** `ready`: a preview that can be looked at. `given up`: the server has something better to do. */
  readonly state: 'running' | 'ready' | 'ended' | 'given up';
  readonly words: string;
  /** null until the point was reached, or was not. */
  readonly outcome: RehearsalOutcome | null;
}

export interface RehearsalOutcome {
  /** null: it did not come so far. */
  readonly backup: string | null;
  readonly restoredTo: RestoredTo | null;
  readonly durations: RestoreDurations;
  /** null: the data can be had back. */
  readonly problem: RecoveryProblem | null;
}

/** 0 for what was not come to. */
export interface RestoreDurations {
  readonly unpackMs: number;
  readonly recoverMs: number;
  readonly checkMs: number;
}

export const NO_TIME: RestoreDurations = { unpackMs: 0, recoverMs: 0, checkMs: 0 };

/** How the last one of its kind ended. */
export interface RehearsalResult extends RehearsalOutcome {
  readonly id: string;
  readonly server: string;
  /** ISO 8601. */
  readonly at: string;
}

/** A drill goes as far as there is WAL: it is the newest data that is wanted when all is lost. */
export const DRILL_TARGET: RestoreTarget = {
  point: { kind: 'latest' },
  isExclusive: false,
  timeline: 'latest',
  action: 'promote',
};

/** A preview goes by itself after this long. */
export const PREVIEW_KEPT_MS = 2 * 3_600_000;

/** `a restore drill`, `a preview of 2026-11-21T17:14:59Z`. */
export const describeRehearsal = ({
  kind,
  target,
}: Pick<RehearsalOrder, 'kind' | 'target'>): string =>
  kind === 'drill' ? 'a restore drill' : `a preview of ${describeTarget(target)}`;

/** For a sentence: `in 4s of backup b1, up to 0/3000060, the last transaction being of …`. */
export function outcomeText({ backup, restoredTo, durations }: RehearsalOutcome): string {
  const { unpackMs, recoverMs } = durations;
  const from = backup === null ? '' : ` of backup ${backup}`;
  const lsn = restoredTo?.lsn ?? null;
  const upTo = lsn === null ? '' : `, up to ${lsn}`;
  const at = restoredTo?.at ?? null;
  const last = at === null ? '' : `, the last transaction being of ${at}`;
  return `in ${secondsText(unpackMs + recoverMs)}${from}${upTo}${last}`;
}

const secondsText = (ms: number): string =>
  formatDuration(Math.max(1, Math.round(ms / 1000)) * 1000);
