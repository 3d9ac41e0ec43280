/** The results of the switchover benchmark as tables. */
import { type Phase } from './phase';
import { gapSummary, loadName, ratio, reportedSummary, targets, type Results } from './results';
import { type Summary } from './statistics';
import { table } from './table';

const gapHead = ['write gap in ms', 'load', 'n', 'median', 'min', 'max', '× limit', 'lost'];

export function report(results: Results): string {
  const gaps = results.pgswarm.flatMap((phase, index) => gapRows(phase, results.limit[index]));
  const figures = targets(results).map(({ what, value, unit, max }) => [
    what,
    unit,
    value === null ? '–' : value.toFixed(2),
    `≤ ${max}`,
    value === null ? '' : value <= max ? 'met' : 'missed',
  ]);
  return [
    table(gapHead, gaps),
    table(['figure', 'unit', 'value', 'target', ''], figures),
    writesLine([...results.limit, ...results.pgswarm]),
  ].join('\n');
}

function gapRows(phase: Results['pgswarm'][number], limit: Phase<unknown> | undefined): string[][] {
  const load = loadName(phase.load);
  return [
    ['by hand: the limit', load, ...columns(gapSummary(limit)), '', String(limit?.lost ?? '–')],
    [
      ...['pgswarm', load, ...columns(gapSummary(phase))],
      ...[ratio(phase, limit)?.toFixed(2) ?? '–', String(phase.lost)],
    ],
    ['– as status reports it', load, ...columns(reportedSummary(phase)), '', ''],
  ];
}

function columns(summary: Summary | null): string[] {
  if (summary === null) return ['0', '–', '–', '–'];
  const { n, median, min, max } = summary;
  return [String(n), ...[median, min, max].map((value) => value.toFixed(0))];
}

function writesLine(phases: readonly Phase<unknown>[]): string {
  const sum = (valueOf: (phase: Phase<unknown>) => number): number =>
    phases.reduce((total, phase) => total + valueOf(phase), 0);
  return (
    `${sum(({ acknowledged }) => acknowledged)} writes acknowledged, ` +
    `${sum(({ lost }) => lost)} of them lost; ` +
    `${sum(({ unknown }) => unknown)} more lost their connection before the answer.`
  );
}
