/** The matrix in words: a line for each repetition, and a table of all. */
import { summarise, type Summary } from '../bench/statistics';
import { table } from '../bench/table';
import { shapeName } from './cluster';
import { violations, type Result } from './result';

export function line(result: Result): string {
  const { cell, shape, repetition, from, to, judgement, gapMs, healingGapMs, backMs } = result;
  const wrong = violations(result);
  return [
    `${cell.name} ${repetition} (${shapeName(shape)})`,
    `${from} → ${to}`,
    `gap ${seconds(gapMs)}`,
    ...(healingGapMs === null ? [] : [`at the healing ${seconds(healingGapMs)}`]),
    `back after ${backMs === null ? '–' : seconds(backMs)}`,
    `${judgement.acknowledged} writes, ${judgement.lost} lost`,
    `${judgement.lateWrites} late`,
    wrong.length === 0 ? 'ok' : `WRONG: ${wrong.join('; ')}`,
  ].join(', ');
}

export const summaryHead = [
  'fault',
  'cluster',
  'n',
  'gap: median',
  'min',
  'max',
  'target',
  'back: median',
  'max',
  'lost',
  'two writers',
];

/** A row for each cell and shape, in the order in which they were first run. */
export function summaryRows(results: readonly Result[]): string[][] {
  return groups(results).map((group) => {
    const [{ cell, shape }] = group;
    const gap = summarise(group.map(({ gapMs }) => gapMs));
    const back = summarise(group.flatMap(({ backMs }) => backMs ?? []));
    const sum = (valueOf: (result: Result) => number): number =>
      group.reduce((total, result) => total + valueOf(result), 0);
    return [
      cell.title,
      shapeName(shape),
      String(group.length),
      ...columns(gap, ['median', 'min', 'max']),
      cell.gapTargetMs === null ? '' : `≤ ${cell.gapTargetMs / 1000}`,
      ...columns(back, ['median', 'max']),
      String(sum(({ judgement }) => judgement.lost)),
      (sum(({ judgement }) => judgement.durationMs) / 1000).toFixed(3),
    ];
  });
}

export const summaryTable = (results: readonly Result[]): string =>
  table(summaryHead, summaryRows(results));

function groups(results: readonly Result[]): [Result, ...Result[]][] {
  const found = new Map<string, [Result, ...Result[]]>();
  for (const result of results) {
    const key = `${result.cell.name} ${shapeName(result.shape)}`;
    const group = found.get(key);
    if (group === undefined) found.set(key, [result]);
    else group.push(result);
  }
  return [...found.values()];
}

/** Seconds, or a dash for what was not measured. */
export const columns = (summary: Summary | null, names: readonly (keyof Summary)[]): string[] =>
  names.map((name) => (summary === null ? '–' : (summary[name] / 1000).toFixed(2)));

const seconds = (ms: number): string => `${(ms / 1000).toFixed(2)} s`;
