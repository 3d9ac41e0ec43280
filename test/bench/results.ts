/** What the switchover benchmark found, against its targets. */
import { type Idle, type Program } from './idle';
import { type Reported } from './managed-pair';
import { type Phase } from './phase';
import { summarise, type Summary } from './statistics';
import { type SwitchTimes } from './two-postmasters';

export interface Results {
  readonly limit: readonly Phase<SwitchTimes>[];
  readonly pgswarm: readonly Phase<Reported>[];
  /** Null when the cluster was there before. */
  readonly newPairMs: number | null;
  readonly idle: readonly Idle[];
}

export interface Target {
  readonly what: string;
  /** Null when it was not measured. */
  readonly value: number | null;
  readonly unit: string;
  readonly max: number;
}

const ratioMax = 2.5;
const newPairSecondsMax = 25;
const residentMbMax: Readonly<Record<Program, number>> = { operator: 90, instance: 70 };
const processorPercentMax = 1;

export const targets = (results: Results): Target[] => [
  ...results.pgswarm.map((phase, index) => ({
    what: `switchover, ${loadName(phase.load)}: median write gap`,
    value: ratio(phase, results.limit[index]),
    unit: '× limit',
    max: ratioMax,
  })),
  {
    what: 'apply of a new pair until both stream',
    value: results.newPairMs === null ? null : results.newPairMs / 1000,
    unit: 's',
    max: newPairSecondsMax,
  },
  ...(['operator', 'instance'] as const).flatMap((program) => idleTargets(program, results.idle)),
];

/** The worst process counts: the operator that leads, the instance that is primary. */
function idleTargets(program: Program, idle: readonly Idle[]): Target[] {
  const mine = idle.filter((each) => each.program === program);
  const name = program === 'operator' ? 'operator' : 'instance manager';
  const most = (valueOf: (each: Idle) => number): number | null =>
    summarise(mine.map(valueOf))?.max ?? null;
  return [
    {
      ...{ what: `${name}, idle: memory`, unit: 'MB', max: residentMbMax[program] },
      value: most(({ residentMb }) => residentMb),
    },
    {
      ...{ what: `${name}, idle: processor`, unit: '% of a core', max: processorPercentMax },
      value: most(({ processorPercent }) => processorPercent),
    },
  ];
}

/** How many acknowledged writes are lost; every phase counts. */
export const lostWrites = ({ limit, pgswarm }: Results): number =>
  [...limit, ...pgswarm].reduce((sum, { lost }) => sum + lost, 0);

export const gapSummary = (phase: Phase<unknown> | undefined): Summary | null =>
  summarise(phase?.changes.map(({ gapMs }) => gapMs) ?? []);

/** The gaps that status reports, as far as it knows them. */
export const reportedSummary = ({ changes }: Phase<Reported>): Summary | null =>
  summarise(changes.flatMap(({ detail: { writeGapMs } }) => writeGapMs ?? []));

/** Between the medians; null when one is missing. */
export function ratio(phase: Phase<unknown>, limit: Phase<unknown> | undefined): number | null {
  const [own, best] = [gapSummary(phase), gapSummary(limit)];
  return own === null || best === null ? null : own.median / best.median;
}

export const loadName = (load: Phase<unknown>['load']): string =>
  load === null ? 'light' : `pgbench -c ${load.clients} -s ${load.scale}`;
