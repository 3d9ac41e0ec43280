/**
 * A process with the servers of all clusters: each beats once a second and keeps its watch, with the
 * heart and the client of a real instance manager. `fleet.ts COUNT`, started by the benchmark.
 */
import { createLogger } from 'winston';
import { ControlClient, type ControlAnswer } from '../../../src/adapters/control/client';
import { OPERATOR_PORT } from '../../../src/core/names';
import { HEARTBEAT_MS, type Report } from '../../../src/core/protocol';
import { Heart } from '../../../src/instance/heart';
import { pairs, type Pair } from './clusters';

const log = createLogger({ silent: true });

function server({ name: cluster, key }: Pair, first: Report, onContact: () => void): Heart {
  const control = new ControlClient({
    ...{ cluster, key, operators: '127.0.0.1', operatorPort: OPERATOR_PORT },
  });
  let report = first;
  let hasContact = false;
  return new Heart({
    ...{ control, log, identity: first },
    report: () => (report = { ...report, sequence: report.sequence + 1 }),
    accept: (answer) => {
      report = { ...report, obeys: obeyed(answer) };
      if (!hasContact) onContact();
      hasContact = true;
      return answer.assignment.reportEveryMs;
    },
  });
}

const obeyed = ({ assignment }: ControlAnswer): Report['obeys'] => ({
  ...{ leaderEpoch: assignment.leaderEpoch, term: assignment.term, task: assignment.task.kind },
  contract: assignment.task.kind === 'primary' ? assignment.task.contract : null,
  rollCall: assignment.rollCall,
});

function run(count: number): void {
  const servers = pairs(count).flatMap((pair) => pair.reports.map((report) => ({ pair, report })));
  let silent = servers.length;
  const onContact = (): void => {
    silent -= 1;
    if (silent === 0) process.send?.('all in contact');
  };
  // Not in step: real servers were not started at one moment either.
  servers.forEach(({ pair, report }, index) =>
    setTimeout(
      () => void server(pair, report, onContact).run(),
      (index * HEARTBEAT_MS) / servers.length,
    ),
  );
  process.once('disconnect', () => process.exit());
}

run(Number(process.argv[2]));
