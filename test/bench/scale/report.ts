/** The figures as a table for people, in Markdown. */
import { summarise } from '../statistics';
import { type Round, type Watched } from './programs';

export interface FullRound extends Round {
  /** Questions to Docker. */
  readonly requests: number;
}

export interface Figures {
  readonly clusters: number;
  /** From the start of the program until every cluster was decided on for the first time. */
  readonly startMs: number;
  /** The same heartbeats, answered without a thought. */
  readonly baseline: Watched;
  readonly steady: readonly Watched[];
  readonly rounds: readonly FullRound[];
}

const HEAD = [
  'clusters',
  'memory, MB',
  'steady, % of a core',
  '× bare',
  'round: CPU s',
  'round: wall s',
  'round: requests',
  'start, s',
];

const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;

export const head = [HEAD, HEAD.map(() => '---:')].map(line).join('\n');

export function row({ clusters, startMs, baseline, steady, rounds }: Figures): string {
  const percents = steady.map(({ processorPercent }) => processorPercent);
  const resident = steady.map(({ residentMb }) => residentMb.median);
  const most = Math.max(...steady.map(({ residentMb }) => residentMb.max));
  return line([
    String(clusters),
    `${median(resident).toFixed(0)} (max ${most.toFixed(0)})`,
    spread(percents, 1),
    (median(percents) / baseline.processorPercent).toFixed(1),
    spread(
      rounds.map((round) => ownCpuMs(round, percents) / 1000),
      3,
    ),
    spread(
      rounds.map(({ wallMs }) => wallMs / 1000),
      3,
    ),
    spread(
      rounds.map(({ requests }) => requests),
      0,
    ),
    (startMs / 1000).toFixed(1),
  ]);
}

/** What the heartbeats took meanwhile is not the round's. */
const ownCpuMs = ({ cpuMs, wallMs }: Round, percents: readonly number[]): number =>
  Math.max(0, cpuMs - (wallMs * median(percents)) / 100);

const median = (values: readonly number[]): number => summarise(values)?.median ?? NaN;

function spread(values: readonly number[], digits: number): string {
  const [least, most] = [Math.min(...values), Math.max(...values)];
  return `${median(values).toFixed(digits)} (${least.toFixed(digits)}–${most.toFixed(digits)})`;
}
