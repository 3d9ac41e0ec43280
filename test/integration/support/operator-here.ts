/** A real operator in this process, over a store in memory and a Swarm that does as it is told. */
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { type AddressInfo } from 'node:net';
import { createLogger } from 'winston';
import { type Route } from '../../../src/adapters/control/routes';
import { createControlServer } from '../../../src/adapters/control/server';
import { afterStep } from '../../../src/core/model';
import { specRecordName } from '../../../src/core/names';
import { type Clock, type Swarm } from '../../../src/core/ports';
import { type NotLeader } from '../../../src/core/protocol';
import { type Situation } from '../../../src/core/situation';
import { cliRoutes } from '../../../src/operator/cli-routes';
import { Keyring } from '../../../src/operator/keyring';
import { Leadership } from '../../../src/operator/leadership';
import { measuredStore } from '../../../src/operator/measured';
import { Operator } from '../../../src/operator/operator';
import { OperatorMetrics } from '../../../src/operator/operator-metrics';
import { MemoryStore } from '../../support/memory-store';

const clock: Clock = { monotonicMs: () => performance.now(), now: () => new Date() };
const log = createLogger({ silent: true });

export interface OperatorHere {
  readonly metrics: OperatorMetrics;
  readonly leadership: Leadership;
  /** Where instances report, and other operators pass questions on. */
  readonly port: number;
  /** What the CLI and the web page may ask. */
  readonly routes: readonly Route[];
  readonly stop: () => Promise<void>;
}

/** Leads the cluster of the situation from its first moment on. */
export async function operatorHere(declared: Situation, key: Buffer): Promise<OperatorHere> {
  const memory = new MemoryStore();
  await memory.create(specRecordName(declared.record.spec.cluster), declared.record);
  const metrics = new OperatorMetrics();
  const store = measuredStore(memory, metrics);
  const leadership: Leadership = new Leadership({
    ...{ store, clock, log },
    self: { holder: 'here', address: '127.0.0.1:0', node: 'n1' },
    onLead: (epoch, areLeasesOver) => void operator.lead(epoch, areLeasesOver),
    onLose: () => operator.lose(),
  });
  const operator: Operator = new Operator({
    ...{ store, clock, log, leadership, swarm: modelled(declared) },
    image: 'pgswarm:test',
    node: 'n1',
    newUid: randomUUID,
    meter: metrics,
    fingerprints: () => ({ control: 'c0', replication: 'r0', owner: 'o0' }),
  });
  const routes = cliRoutes(operator, new Keyring({ store, clock }), null);
  const notLeader = (): NotLeader | null =>
    leadership.isLeading() ? null : { notLeader: true, leader: null };
  const control = createControlServer({
    keyOf: () => Promise.resolve(key),
    onReport: (report) => operator.report(report),
    waitForChange: (cluster, request, signal) => operator.waitForChange(cluster, request, signal),
    ...{ notLeader, routes, log },
  }).listen(0, '127.0.0.1');
  await once(control, 'listening');
  metrics.show({
    leadingLeftMs: () => leadership.leftMs(),
    clusters: () => operator.clusters(),
    statusOf: (cluster) => operator.controller(cluster).status(),
  });
  leadership.start();
  return {
    ...{ metrics, leadership, routes, port: (control.address() as AddressInfo).port },
    stop: async () => {
      await leadership.release();
      control.close();
      control.closeAllConnections();
    },
  };
}

function modelled(declared: Situation): Swarm {
  let situation = declared;
  return {
    observe: () =>
      Promise.resolve({ ...situation.observation.swarm!, seenAtMs: clock.monotonicMs() }),
    apply: (step) => {
      situation = afterStep(situation, step);
      return Promise.resolve();
    },
    watch: () => () => undefined,
  };
}
