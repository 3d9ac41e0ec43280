/**
 * What would be done, in order: the operator's own `decide`, walked through the model until it
 * rests. Nothing is promised that the operator would not decide by itself.
 */
import { decide, type Decision } from './decide';
import { afterInstances, afterStep } from './model';
import { type Situation } from './situation';
import { type LastChange } from './state';
import { describe } from './steps';

export interface Forecast {
  readonly lines: readonly ForecastLine[];
  /** The decision in which it ends: `steady`, or what it then waits for. */
  readonly end: Decision;
  /** null when writes are not interrupted. */
  readonly writeGap: string | null;
}

export interface ForecastLine {
  /** The rule that decides it; null for what an instance does by itself then. */
  readonly rule: string | null;
  readonly text: string;
}

/** A plan longer than this goes round in circles. */
const ROUNDS_MAX = 200;

/** Measured in the lab; a switchover replaces it by the cluster's own last gap. */
const SWITCHOVER_GAP = 'about 0.4 s (measured: 0.3 to 1.8 s; no transaction is lost)';
const IN_PLACE_GAP = 'as long as PostgreSQL takes to stop and to start again';
const RESTART_GAP = 'about 10 s (Swarm replaces the container of the primary)';

export function forecast(situation: Situation): Forecast {
  const lines: ForecastLine[] = [];
  let now = situation;
  for (let round = 0; round < ROUNDS_MAX; round += 1) {
    const decision = decide(now);
    for (const step of decision.steps) {
      lines.push({ rule: decision.rule, text: describe(step) });
      now = afterStep(now, step);
    }
    const acted = afterInstances(now);
    for (const { text } of acted.deeds) {
      // The step that makes an instance do it has said so already.
      if (text !== null && text !== lines.at(-1)?.text) lines.push({ rule: null, text });
    }
    now = acted.situation;
    const isForgotten = decision.steps.some(({ kind }) => kind === 'forget');
    const isIdle = decision.steps.length === 0 && acted.deeds.length === 0;
    if (isIdle || isForgotten) return { lines, end: decision, writeGap: gapOf(lines, situation) };
  }
  throw new Error(`the plan does not come to an end; last: ${lines.at(-1)?.text ?? 'nothing'}`);
}

function gapOf(lines: readonly ForecastLine[], { state, record }: Situation): string | null {
  const switchovers = lines.filter(({ rule }) => rule === 'switchover-stop').length;
  if (switchovers > 0) {
    return `${switchoverGap(state?.lastChange)}${switchovers > 1 ? `, ${switchovers} times` : ''}`;
  }
  const primary = state?.primary;
  if (lines.some(({ text }) => text === `restart PostgreSQL on ${primary ?? ''}`)) {
    return IN_PLACE_GAP;
  }
  const isRestarted = lines.some(
    ({ rule, text }) =>
      rule === 'service-update' && text.includes(`-${record.spec.cluster}-${primary ?? ''}:`),
  );
  return isRestarted ? RESTART_GAP : null;
}

function switchoverGap(last: LastChange | null | undefined): string {
  const gapMs = last?.kind === 'switchover' ? last.writeGapMs : null;
  return gapMs == null
    ? SWITCHOVER_GAP
    : `about ${Math.round(gapMs)} ms, as the last time (no transaction is lost)`;
}
