/** `pgswarm plan`: what `apply` would make the operator do, in order. Nothing is changed. */
import { forecast, type Forecast, type ForecastLine } from '../../core/forecast';
import { expectationsOf, type Expectations } from '../../core/expectations';
import { afterNewParameters } from '../../core/parameter-changes';
import { loadSituation, type Known } from '../cluster';
import { DONE, FAILED, refusal, type ExitCode } from '../exit';
import { expectationsText, smallestDataVolume } from '../expectations-text';
import { fold, serialised, type Format, type Output } from '../output';
import { type CliPorts } from '../ports';
import { changeLines, consequenceLines, propose, type Proposal } from '../proposal';

export interface PlanOptions {
  readonly file: string;
  readonly output?: Format;
}

export async function run(ports: CliPorts, options: PlanOptions): Promise<ExitCode> {
  const proposal = await propose(ports, options.file);
  if (proposal === null) return FAILED;
  if (proposal.record.deletion !== null) throw deletionUnderWay(proposal.record.spec.cluster);
  const known = await loadSituation(ports, proposal.record);
  const before = (proposal.present ?? proposal.record.spec).postgres.parameters;
  const plan = forecast(afterNewParameters(known.situation, before));
  const expected = expectationsOf(proposal.record.spec, smallestDataVolume(known.view));
  if (options.output !== undefined) {
    const all = asJson(proposal, plan, known, expected);
    ports.output.print(serialised(all, options.output));
  } else {
    show(ports.output, proposal, plan);
    ports.output.print(`\n${expectationsText(expected, ports.output.paint)}`);
  }
  if (known.silence !== null) ports.output.note(`\n${silenceText(known, known.silence)}`);
  return DONE;
}

const deletionUnderWay = (cluster: string): Error =>
  refusal(
    'BeingDeleted',
    `The cluster ${cluster} is being deleted; apply it again when it is gone.`,
  );

/** What the silence of the operator means for the plan. */
function silenceText({ situation }: Known, silence: string): string {
  const consequence =
    situation.state === null
      ? 'The plan is carried out when one runs.'
      : 'The state of the servers is unknown, so the plan ends where it matters.';
  return `${silence}\n${consequence}`;
}

function asJson(
  { outcome, changes, consequences, record }: Proposal,
  plan: Forecast,
  known: Known,
  expectations: Expectations,
): unknown {
  return {
    cluster: record.spec.cluster,
    generation: record.generation,
    outcome,
    changes,
    consequences,
    steps: plan.lines.map(({ rule, text }, index) => ({ number: index + 1, rule, text })),
    end: { steady: isSteady(plan), rule: plan.end.rule, because: plan.end.because },
    waitsFor: plan.end.findings.map(({ rule, because }) => ({ rule, because })),
    writeGap: plan.writeGap,
    expectations,
    operator: known.silence === null ? 'answers' : 'silent',
  };
}

function show(output: Output, proposal: Proposal, plan: Forecast): void {
  output.print(headline(output, proposal));
  for (const line of changeLines(proposal.changes, output.paint)) output.print(line);
  for (const line of consequenceLines(proposal.consequences, output.paint)) output.print(line);
  output.print('');
  for (const line of stepLines(output, plan.lines)) output.print(line);
  if (plan.lines.length === 0 && isSteady(plan)) output.print('Nothing to do.');
  if (!isSteady(plan)) showWaiting(output, plan);
  if (plan.writeGap !== null) output.print(`\nWrites are interrupted for ${plan.writeGap}.`);
  else if (plan.lines.length > 0) output.print('\nWrites are not interrupted.');
}

/** Everything that keeps the cluster from being as declared: each alone would. */
function showWaiting({ print, paint }: Output, { lines, end }: Forecast): void {
  print(
    lines.length === 0 ? 'Nothing can be done now. It waits, because' : '\nThen it waits, because',
  );
  for (const { rule, because } of end.findings) {
    print(`${fold(because, 2)}  ${paint('dim', `[${rule}]`)}`);
  }
}

const isSteady = ({ end }: Forecast): boolean =>
  end.findings.length === 0 || end.rule === 'delete-records';

function headline({ paint }: Output, { outcome, before, record }: Proposal): string {
  const name = paint('strong', record.spec.cluster);
  switch (outcome) {
    case 'created':
      return `${name}: a new cluster (generation 1)`;
    case 'changed':
      return `${name}: generation ${before ?? 0} → ${record.generation}`;
    case 'unchanged':
      return `${name}: the spec is as applied (generation ${record.generation})`;
  }
}

/** The rule is named where it changes: several steps in a row may follow from one. */
function stepLines({ paint }: Output, lines: readonly ForecastLine[]): readonly string[] {
  const numberWidth = String(lines.length).length;
  return lines.map(({ rule, text }, index) => {
    const number = String(index + 1).padStart(numberWidth);
    const because = rule === null ? '' : `  ${paint('dim', `[${rule}]`)}`;
    return `${number}. ${text}${because}`;
  });
}
