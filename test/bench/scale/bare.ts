/**
 * The baseline: the operator's control server, which answers every heartbeat with the same words and
 * knows nothing. What it takes is HTTP, JSON and signatures. `bare.ts COUNT`, started by the benchmark.
 */
import { createLogger } from 'winston';
import { createControlServer } from '../../../src/adapters/control/server';
import { assignmentIn } from '../../../src/core/assignment';
import { OPERATOR_PORT } from '../../../src/core/names';
import { type HeartbeatAnswer } from '../../../src/core/protocol';
import { viewOf } from '../../../src/core/situation';
import { running } from '../../support/world';
import { pairs } from './clusters';

function run(count: number): void {
  const keys = new Map(pairs(count).map(({ name, key }) => [name, key]));
  const answer = constantAnswer();
  createControlServer({
    keyOf: (cluster) => Promise.resolve(keys.get(cluster) ?? null),
    onReport: () => answer,
    waitForChange: (_cluster, _request, signal) =>
      new Promise((resolve) => signal.addEventListener('abort', () => resolve())),
    notLeader: () => null,
    routes: [],
    log: createLogger({ silent: true }),
  }).listen(OPERATOR_PORT, '127.0.0.1');
  process.once('disconnect', () => process.exit());
}

function constantAnswer(): HeartbeatAnswer {
  const situation = running();
  if (situation.state === null) throw new Error('the model has not made a pair');
  const assignment = assignmentIn(viewOf(situation, situation.state), 'pg2');
  if (assignment === null) throw new Error('the model has nothing for pg2 to do');
  return { assignment, leaseMs: null, positions: {}, archivePauseMs: null };
}

run(Number(process.argv[2]));
