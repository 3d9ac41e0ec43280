/** The figures of the failover benchmark, for a terminal and for the documents. */
import { columns, summaryHead, summaryRows } from '../matrix/report';
import { type Result } from '../matrix/result';
import { type CrashLimit } from './crash-limit';
import { table } from './table';

const answers: Readonly<Record<CrashLimit['answer'], string>> = {
  restart: 'by hand: all of PostgreSQL SIGKILL, started again at once',
  promote: 'by hand: all of PostgreSQL SIGKILL, standby promoted at once',
};

/** Of one run. */
export interface FailoverFigures {
  readonly limits: readonly CrashLimit[];
  readonly results: readonly Result[];
  /** Of one core, all programs of a steady cluster of three together. */
  readonly steadyPercent: number;
}

export const failoverTable = (figures: FailoverFigures): string =>
  `${table(summaryHead, rows(figures))}\n${steadyLine(figures)}`;

/** A whole page. */
export function failoverMarkdown(figures: FailoverFigures, circumstances: string): string {
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;
  const ruler = summaryHead.map((_, column) => (column < 2 ? '---' : '--:'));
  return `# Failover figures

Written by the benchmark itself: ${circumstances}.

Four clients write on without pause and follow the primary, each a row in a transaction of its own;
one more stays with the old primary. The _gap_ is the longest time in which none of the four got a
write through. _Back_ is the time until every declared server streams again, the old primary
included, without anybody's help: from the moment in which the node is switched on, thawed or plugged
in, or from the fault itself where there is nothing to repair. _Lost_ are acknowledged writes that the new
primary does not have. _Two writers_ is the time in which the old primary acknowledged writes after
the new one had. The limit is plain PostgreSQL under the same clients, with somebody who knows of the
crash at once. Times are in seconds.

${[summaryHead, ruler, ...rows(figures)].map(line).join('\n')}

Nodes are killed as by a power cut: their addresses fall silent, and only a lease answers that. When
the node that leads the Swarm is killed, the store cannot be written until Raft has elected another
one. Without synchronous replication what was in flight is lost, and the loss ledger names it.

${steadyLine(figures)}
`;
}

const rows = ({ limits, results }: FailoverFigures): string[][] => [
  ...limits.map(({ answer, gap, back, lost }) => [
    ...[answers[answer], '2 servers, asynchronous', String(gap?.n ?? 0)],
    ...[columns(gap, ['median', 'min', 'max']), '', columns(back, ['median', 'max'])].flat(),
    ...[String(lost), ''],
  ]),
  ...summaryRows(results),
];

const steadyLine = ({ steadyPercent }: FailoverFigures): string =>
  'A steady cluster of three servers, with its three operators, takes ' +
  `${steadyPercent.toFixed(1)} % of a core for heartbeats, leases and decisions (target: ≤ 1 %).`;
