/** One start of an operator: the real one, on simulated Raft and Swarm. */
import { HEARTBEAT_PATH } from '../../../src/adapters/control/server';
import { type SignedAnswer } from '../../../src/adapters/control/signed-exchange';
import { type Log } from '../../../src/adapters/log';
import { OPERATOR_PORT } from '../../../src/core/names';
import { type Clock, type Store, type Swarm } from '../../../src/core/ports';
import { WATCH_TIMEOUT_MS, type Report } from '../../../src/core/protocol';
import { Leadership } from '../../../src/operator/leadership';
import { Operator } from '../../../src/operator/operator';
import { type SimProcess } from '../kernel/process';
import { type Exchange } from './exchange';
import { type Raft } from './raft';

export interface OperatorOptions {
  readonly process: SimProcess;
  /** Host name. */
  readonly node: string;
  readonly holder: string;
  readonly address: string;
  readonly raft: Raft;
  readonly swarm: Swarm;
  readonly exchange: Exchange;
  readonly log: Log;
  readonly newUid: () => string;
}

const OK = 200;
const NOT_LEADER = 421;
const FINGERPRINTS = { control: 'c0', replication: 'r0', owner: 'o0' };
const clock: Clock = { monotonicMs: () => performance.now(), now: () => new Date() };

export interface RunningOperator {
  readonly process: SimProcess;
  readonly operator: Operator;
  readonly leadership: Leadership;
  /** SIGTERM. */
  readonly terminate: () => void;
}

/** To be called in an event of the process. */
export function startOperator(options: OperatorOptions): RunningOperator {
  const { process, node, holder, address, swarm, exchange, log, newUid } = options;
  const store = storeOf(options.raft, process);
  const leadership: Leadership = new Leadership({
    store,
    clock,
    log,
    self: { holder, address: `${address}:${OPERATOR_PORT}`, node },
    onLead: (epoch, areLeasesOver) => void operator.lead(epoch, areLeasesOver),
    onLose: () => operator.lose(),
  });
  const operator: Operator = new Operator({
    store,
    swarm,
    clock,
    log,
    image: 'pgswarm:sim',
    node,
    leadership,
    newUid,
    fingerprints: () => FINGERPRINTS,
  });
  const running = { process, operator, leadership };
  exchange.listen(
    { host: address, port: OPERATOR_PORT },
    {
      process,
      channel: 'control',
      answer: ({ path, body }, gone) =>
        path === HEARTBEAT_PATH ? beat(operator, body) : watch(running, body, gone),
    },
  );
  leadership.start();
  return { ...running, terminate: () => void leave(operator, leadership, process) };
}

async function leave(
  operator: Operator,
  leadership: Leadership,
  process: SimProcess,
): Promise<void> {
  operator.lose();
  await leadership.release();
  process.kill();
}

function beat(operator: Operator, body: string): Promise<SignedAnswer> {
  const answer = operator.report(JSON.parse(body) as Report);
  const status = 'notLeader' in answer ? NOT_LEADER : OK;
  return Promise.resolve({ status, body: JSON.stringify(answer) });
}

/** As `adapters/control/server` does it. */
async function watch(
  { operator, leadership }: Pick<RunningOperator, 'operator' | 'leadership'>,
  body: string,
  gone: AbortSignal,
): Promise<SignedAnswer> {
  if (!leadership.isLeading()) {
    const answer = { notLeader: true, leader: leadership.leaderAddress() };
    return { status: NOT_LEADER, body: JSON.stringify(answer) };
  }
  const { cluster, server, digest } = JSON.parse(body) as Record<string, string>;
  const ended = new AbortController();
  const late = new DOMException('the watch has lasted long enough', 'TimeoutError');
  const timer = setTimeout(() => ended.abort(late), WATCH_TIMEOUT_MS);
  const request = { server: server ?? '', digest: digest ?? '' };
  const signal = AbortSignal.any([gone, ended.signal]);
  await operator.waitForChange(cluster ?? '', request, signal);
  clearTimeout(timer);
  return { status: OK, body: '{}' };
}

function storeOf(raft: Raft, process: SimProcess): Store {
  return {
    list: () => raft.call(process, () => raft.list()),
    read: (name) => raft.call(process, () => raft.read(name)),
    create: (name, value) => raft.call(process, () => raft.create(name, value)),
    update: (record, value) => raft.call(process, () => raft.update(record, value)),
    remove: (record) => raft.call(process, () => raft.remove(record)),
  };
}
