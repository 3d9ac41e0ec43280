/** Puts the operator together: Docker, store, leadership, API, watched folder. */
import { randomUUID } from 'node:crypto';
import { lookup } from 'node:dns/promises';
import { networkInterfaces } from 'node:os';
import { setTimeout as pause } from 'node:timers/promises';
import { openLocalServer } from '../adapters/control/local-server';
import { createControlServer } from '../adapters/control/server';
import { createLog, type Log } from '../adapters/log';
import { openDocker, requireManager, type Docker } from '../adapters/swarm/docker';
import { mountRootKey, ownImage } from '../adapters/swarm/root-key';
import { createStore } from '../adapters/swarm/store';
import { createSwarm } from '../adapters/swarm/swarm';
import { OperatingError, messageOf } from '../core/errors';
import { OPERATOR_PORT, OPERATOR_SERVICE } from '../core/names';
import { type NotLeader } from '../core/protocol';
import { cliRoutes } from './cli-routes';
import { Keyring } from './keyring';
import { Leadership } from './leadership';
import { Operator } from './operator';
import { type Clock } from './ports';
import { watchFolder } from './watched-folder';

/** What is not there yet when a machine starts is asked for again after this long. */
const RETRY_MS = 2_000;

const clock: Clock = { monotonicMs: () => performance.now(), now: () => new Date() };

/** `pgswarm operator`: runs until SIGTERM. */
export async function runOperator(environment: NodeJS.ProcessEnv): Promise<number> {
  const log = createLog({ component: 'operator', node: environment['PGSWARM_NODE'] ?? '' });
  const docker = openDocker();
  await untilItWorks(log, () => requireManager(docker));
  const address = await untilItWorks(log, ownAddress);
  const image = environment['PGSWARM_IMAGE'] ?? (await untilItWorks(log, () => imageOf(docker)));

  const store = createStore(docker);
  const keyring = new Keyring({ store, clock });
  const swarm = createSwarm(docker, clock, ({ cluster, purpose }) => {
    const uid = operator.uidOf(cluster);
    return uid === null ? null : (keyring.secrets(cluster, uid)?.[purpose] ?? null);
  });
  const leadership: Leadership = new Leadership({
    store,
    clock,
    log,
    self: { holder: `${environment['PGSWARM_NODE'] ?? 'node'}-${randomUUID()}`, address },
    onLead: (epoch) => void lead(epoch),
    onLose: () => {
      folder?.stop();
      operator.lose();
    },
  });
  const operator: Operator = new Operator({
    store,
    swarm,
    clock,
    log,
    image,
    leadership,
    newUid: randomUUID,
    fingerprints: (cluster, uid) => keyring.fingerprints(cluster, uid),
  });
  const folder = watchFolder(environment['PGSWARM_WATCH'], { store, operator, log, clock });

  async function lead(epoch: number): Promise<void> {
    if (keyring.rootKey === null) {
      await untilItWorks(
        log,
        () => mountRootKey(docker),
        () => leadership.isLeading(),
      );
      log.info('the root key has been mounted; Swarm restarts the operators once');
      return;
    }
    await operator.lead(epoch);
    folder?.start();
  }

  const notLeader = (): NotLeader | null =>
    leadership.isLeading() ? null : { notLeader: true, leader: leadership.leaderAddress() };
  const routes = cliRoutes(operator, keyring);
  const control = createControlServer({
    keyOf: async (cluster) =>
      cluster === '*' ? keyring.operatorKey : keyring.controlKey(cluster, operator.uidOf(cluster)),
    onReport: (report) => operator.report(report),
    waitForChange: (cluster, request, signal) => operator.waitForChange(cluster, request, signal),
    notLeader,
    routes,
    log,
  });
  control.listen(OPERATOR_PORT, address.split(':')[0]);
  const local = await openLocalServer({
    routes,
    notLeader,
    operatorKey: () => keyring.operatorKey,
    log,
  });
  const stopWatching = swarm.watch((what) => operator.changed(what));
  leadership.start();
  log.info('operator started', { address, image });

  await terminated();
  log.info('stopping; another operator takes over');
  folder?.stop();
  operator.lose();
  await leadership.release();
  stopWatching();
  local.close();
  control.close();
  control.closeAllConnections();
  return 0;
}

/** Our own address among those of all operators on the control network. */
async function ownAddress(): Promise<string> {
  const own = Object.values(networkInterfaces()).flatMap((all) => all ?? []);
  const operators = await lookup(`tasks.${OPERATOR_SERVICE}`, { all: true, family: 4 });
  const mine = operators.find(({ address }) => own.some((each) => each.address === address));
  if (mine !== undefined) return `${mine.address}:${String(OPERATOR_PORT)}`;
  const message = `none of this container's addresses is one of tasks.${OPERATOR_SERVICE}; deploy the stack under the name pgswarm`;
  throw new OperatingError('transient', 'NoControlAddress', message);
}

async function imageOf(docker: Docker): Promise<string> {
  const image = await ownImage(docker);
  if (image !== null) return image;
  const message =
    'the operator does not run as a Swarm service, so PGSWARM_IMAGE must name the image';
  throw new OperatingError('refused', 'ImageUnknown', message);
}

/** Tries again for as long as it is wanted, and says each new trouble once. */
async function untilItWorks<T>(
  log: Log,
  attempt: () => Promise<T>,
  isWanted: () => boolean = () => true,
): Promise<T> {
  let trouble: string | null = null;
  for (;;) {
    try {
      return await attempt();
    } catch (error) {
      if (!isWanted()) throw error;
      const message = messageOf(error);
      if (message !== trouble) log.warn('not possible yet; it is tried again', { message });
      trouble = message;
      await pause(RETRY_MS);
    }
  }
}

function terminated(): Promise<void> {
  return new Promise((resolve) => {
    for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => resolve());
  });
}
