/** `pgswarm why`: for each server what is for or against it, and what the operator is up to. */
import { judgeCandidates } from '../../core/candidates';
import { decide } from '../../core/decide';
import { formatDuration } from '../../core/quantities';
import { describe } from '../../core/steps';
import { loadCluster, type Known } from '../cluster';
import { DONE, type ExitCode } from '../exit';
import { fold, serialised, type Format, type Output } from '../output';
import { type CliPorts } from '../ports';

export interface WhyOptions {
  readonly output?: Format;
}

export async function run(
  ports: CliPorts,
  cluster: string,
  { output: format }: WhyOptions = {},
): Promise<ExitCode> {
  const known = await loadCluster(ports, cluster);
  const { output } = ports;
  if (format !== undefined) {
    output.print(serialised(asValue(known), format));
    return DONE;
  }
  output.print(output.paint('strong', fold('May it become primary by a switchover now?', 0)));
  for (const line of serverLines(known, output)) output.print(line);
  for (const line of failoverLines(known, output)) output.print(line);
  output.print('');
  for (const line of decisionLines(known, output)) output.print(line);
  if (known.silence !== null) output.note(`\n${fold(known.silence, 0)}`);
  return DONE;
}

function asValue({ situation, view, status, silence }: Known): unknown {
  const { fit, rejected } = judgeCandidates(view);
  const { rule, because, steps, findings } = decide(situation);
  return {
    cluster: status.cluster,
    primary: status.primary,
    switchover: status.servers.map(({ name, eligible, because }) => ({ name, eligible, because })),
    failover: [
      ...fit.map(({ server, receivedLsn, priority }) => ({
        name: server.name,
        eligible: true,
        because: `received up to ${receivedLsn}, priority ${priority}`,
      })),
      ...rejected.map(({ server, because }) => ({ name: server, eligible: false, because })),
    ],
    lease: status.lease,
    decision: { rule, because, steps: steps.map(describe) },
    findings: findings.map((finding) => ({ rule: finding.rule, because: finding.because })),
    operator: silence === null ? 'answers' : 'silent',
  };
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

/** Who would take over, the best first, and what is against the others. */
function failoverLines(known: Known, { paint }: Output): readonly string[] {
  const { view } = known;
  const { state } = view;
  if (state.primary === null || view.servers.length < 2) return [];
  const { fit, rejected } = judgeCandidates(view);
  const row = (name: string, answer: string, because: string): string =>
    `  ${name}  ${answer}  ${fold(because, name.length + 9).trimStart()}`;
  return [
    '',
    paint('strong', fold(`May it take over by a failover when ${state.primary} is gone?`, 0)),
    ...fit.map(({ server, receivedLsn, priority }, index) =>
      row(
        server.name,
        paint('good', 'yes'),
        `${index === 0 ? 'it is the best' : `after ${fit[index - 1]?.server.name ?? ''}`}: received up to ${receivedLsn}, priority ${priority}`,
      ),
    ),
    ...rejected.map(({ server, because }) => row(server, paint('warn', 'no'), because)),
    ...leaseLines(known).map((line) => fold(line, 2)),
  ];
}

/** Under what the primary works, and so how soon it could be replaced. */
function leaseLines({ view, status: { lease, cluster } }: Known): readonly string[] {
  const primary = view.state.primary ?? 'the primary';
  if (lease === null) {
    return view.spec.failover.mode === 'manual'
      ? [`Nobody takes over by itself (failover.mode is manual): pgswarm promote ${cluster} SERVER`]
      : [`Nobody takes over yet: ${primary} has not confirmed that it works under a lease.`];
  }
  const left = `${((lease.leftMs ?? 0) / 1000).toFixed(1)} s`;
  if (view.primary?.asPrimary == null) {
    const isOver = lease.leftMs === null || lease.leftMs === 0;
    return isOver ? [] : [`The lease of ${primary} goes on for ${left}: nobody is named before.`];
  }
  const { peers, ttlMs, leftMs } = lease;
  const alone =
    peers.length === 0
      ? 'without an operator it goes on, since nobody could take over'
      : `without an operator it goes on while ${peers.join(' and ')} promise${peers.length === 1 ? 's' : ''} to wait`;
  const rest = leftMs === null ? '' : `, ${left} of it left`;
  return [`${primary} works under a lease of ${formatDuration(ttlMs)}${rest}; ${alone}.`];
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
