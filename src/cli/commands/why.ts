/** `pgswarm why`: for each server what is for or against it, and what the operator is up to. */
import { decide } from '../../core/decide';
import { describe } from '../../core/steps';
import { loadCluster, type Known } from '../cluster';
import { DONE, type ExitCode } from '../exit';
import { fold, type Output } from '../output';
import { type CliPorts } from '../ports';

export async function run(ports: CliPorts, cluster: string): Promise<ExitCode> {
  const known = await loadCluster(ports, cluster);
  const { output } = ports;
  output.print(output.paint('strong', 'May it become primary by a switchover now?'));
  for (const line of serverLines(known, output)) output.print(line);
  output.print('');
  for (const line of decisionLines(known, output)) output.print(line);
  if (known.silence !== null) output.note(`\n${fold(known.silence, 0)}`);
  return DONE;
}

function serverLines({ status }: Known, { paint }: Output): readonly string[] {
  return status.servers.map(({ name, eligible, because }) => {
    const isPrimary = name === status.primary;
    const answer = isPrimary
      ? paint('dim', '—')
      : eligible
        ? paint('good', 'yes')
        : paint('warn', 'no');
    return `  ${name}  ${answer}  ${fold(because, name.length + 9).trimStart()}`;
  });
}

/** Decided here, by the operator's own rules, from what its leader has seen. */
function decisionLines({ situation, status }: Known, { paint }: Output): readonly string[] {
  const { rule, because, steps, findings } = decide(situation);
  const title =
    steps.length > 0 ? 'Now it does' : findings.length > 0 ? 'Now it waits' : 'Nothing to do';
  const failures = status.conditions.filter(({ reason }) => FAILURES.includes(reason));
  return [
    `${paint('strong', title)} ${paint('dim', `(${rule})`)}:`,
    fold(because, 2),
    ...steps.map((step) => fold(`→ ${describe(step)}`, 4)),
    ...findings
      .filter((finding) => finding.rule !== rule)
      .flatMap((finding) => [
        `${paint('strong', 'It has also found')} ${paint('dim', `(${finding.rule})`)}:`,
        fold(finding.because, 2),
      ]),
    ...failures.flatMap(({ type, message }) => [
      `${paint('bad', `not ${type}`)}:`,
      fold(message, 2),
    ]),
  ];
}

/** Reasons that only the leader knows. */
const FAILURES: readonly string[] = ['SpecRefused', 'StepFailed'];
