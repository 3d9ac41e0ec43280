/** Puts the operator together: Docker, store, leadership, API, watched folder. */
import { randomUUID } from 'node:crypto';
import { type Server } from 'node:http';
import { openLocalServer } from '../adapters/control/local-server';
import { createControlServer, OPERATORS } from '../adapters/control/server';
import { createLog, type Log } from '../adapters/log';
import { serveMetrics } from '../adapters/metrics/metrics-server';
import { openDocker, requireManager, type Docker } from '../adapters/swarm/docker';
import { mountRootKey } from '../adapters/swarm/root-key';
import { createStore } from '../adapters/swarm/store';
import { createSwarm } from '../adapters/swarm/swarm';
import { messageOf } from '../core/errors';
import { OPERATOR_PORT } from '../core/names';
import { type NotLeader } from '../core/protocol';
import { cliRoutes } from './cli-routes';
import { FileJournal } from './journal';
import { Keyring } from './keyring';
import { Leadership } from './leadership';
import { measuredStore } from './measured';
import { metricsPort } from './metrics-port';
import { Operator } from './operator';
import { OperatorMetrics } from './operator-metrics';
import { pageAccess, servePage, type PageAccess } from './page';
import { type Clock, type Swarm } from '../core/ports';
import { type SpecFolder } from './spec-folder';
import { instanceImage, ownAddress, untilItWorks } from './surroundings';
import { watchFolder } from './watched-folder';

const clock: Clock = { monotonicMs: () => performance.now(), now: () => new Date() };

/** `pgswarm operator`: runs until SIGTERM. */
export async function runOperator(environment: NodeJS.ProcessEnv): Promise<number> {
  const node = environment['PGSWARM_NODE'] ?? 'node';
  const log = createLog({ component: 'operator', node });
  const metricsAt = metricsPort(environment['PGSWARM_METRICS_PORT']);
  const docker = openDocker();
  await untilItWorks(log, () => requireManager(docker));
  const address = await untilItWorks(log, ownAddress);
  const given = environment['PGSWARM_IMAGE'];
  const image = await untilItWorks(log, () => instanceImage(docker, given));
  const parts = assemble(docker, log, {
    node,
    address,
    image,
    folder: environment['PGSWARM_WATCH'],
    history: environment['PGSWARM_HISTORY'],
  });
  const page = pageAccess(environment, parts.keyring);
  const close = await serve(parts, { address, metricsAt, page });
  parts.leadership.start();
  log.info('operator started', { address, image });

  await terminated();
  log.info('stopping; another operator takes over');
  parts.folder?.stop();
  parts.operator.lose();
  await parts.leadership.release();
  close();
  return 0;
}

interface Parts {
  readonly operator: Operator;
  readonly leadership: Leadership;
  readonly keyring: Keyring;
  readonly swarm: Swarm;
  /** null when no folder is watched. */
  readonly folder: SpecFolder | null;
  readonly metrics: OperatorMetrics;
  readonly log: Log;
}

interface Settings {
  readonly node: string;
  readonly address: string;
  readonly image: string;
  readonly folder: string | undefined;
  /** Folder for the clusters' history; undefined: only the store keeps it. */
  readonly history: string | undefined;
}

function assemble(docker: Docker, log: Log, settings: Settings): Parts {
  const { node, address, image } = settings;
  const metrics = new OperatorMetrics();
  const store = measuredStore(createStore(docker), metrics);
  const keyring = new Keyring({ store, clock });
  const swarm = createSwarm(docker, clock, ({ cluster, purpose }) => {
    const uid = operator.uidOf(cluster);
    return uid === null ? null : (keyring.secrets(cluster, uid)?.[purpose] ?? null);
  });
  const leadership: Leadership = new Leadership({
    store,
    clock,
    log,
    // Another one after every start: a restarted operator must not take itself for the old one.
    self: { holder: `${node}-${randomUUID()}`, address, node },
    onLead: (epoch, areLeasesOver) => void lead(epoch, areLeasesOver),
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
    node,
    leadership,
    newUid: randomUUID,
    meter: metrics,
    ...(settings.history === undefined ? {} : { journal: new FileJournal(settings.history, log) }),
    fingerprints: (cluster, uid) => keyring.fingerprints(cluster, uid),
  });
  const folder = watchFolder(settings.folder, { store, operator, log, clock });
  const lead = async (epoch: number, areLeasesOver: boolean): Promise<void> => {
    if (keyring.rootKey === null) {
      await untilItWorks(log, () => mountRootKey(docker));
      log.info('the root key has been mounted; Swarm restarts the operators once');
      return;
    }
    await operator.lead(epoch, areLeasesOver);
    if (leadership.isLeading()) folder?.start();
  };
  metrics.show({
    leadingLeftMs: () => leadership.leftMs(),
    clusters: () => operator.clusters(),
    statusOf: (cluster) => operator.controller(cluster).status(),
  });
  return { operator, leadership, keyring, swarm, folder, metrics, log };
}

interface Listening {
  readonly address: string;
  /** Port of the metrics; null: none are served. */
  readonly metricsAt: number | null;
  /** null: the web page is not served. */
  readonly page: PageAccess | null;
}

/** Listens for instances, other operators, the CLI and browsers; returns what closes it all. */
async function serve(parts: Parts, { address, metricsAt, page }: Listening): Promise<() => void> {
  const { operator, leadership, keyring, swarm, metrics, log } = parts;
  const notLeader = (): NotLeader | null =>
    leadership.isLeading() ? null : { notLeader: true, leader: leadership.leaderAddress() };
  const routes = cliRoutes(operator, keyring, page);
  const operatorKey = (): Buffer | null => keyring.operatorKey;
  const control = createControlServer({
    keyOf: async (cluster) =>
      cluster === OPERATORS ? operatorKey() : keyring.controlKey(cluster, operator.uidOf(cluster)),
    onReport: (report) => operator.report(report),
    waitForChange: (cluster, request, signal) => operator.waitForChange(cluster, request, signal),
    notLeader,
    routes,
    log,
  });
  const host = address.split(':')[0] ?? '';
  control.listen(OPERATOR_PORT, host);
  const exposed = await expose(metrics, { port: metricsAt, host }, log);
  const local = await openLocalServer({ routes, notLeader, operatorKey, log });
  const closePage = servePage(page, { routes, notLeader, operatorKey, log });
  const stopWatching = swarm.watch((what) => operator.changed(what));
  return () => {
    stopWatching();
    closePage();
    local.close();
    control.close();
    control.closeAllConnections();
    exposed?.close();
    exposed?.closeAllConnections();
  };
}

/** Clusters are looked after, whether they are measured or not. */
async function expose(
  { exposition }: OperatorMetrics,
  { port, host }: { readonly port: number | null; readonly host: string },
  log: Log,
): Promise<Server | null> {
  if (port === null) return null;
  try {
    return await serveMetrics({ port, host }, exposition);
  } catch (error) {
    log.error('the metrics cannot be asked for', { host, port, message: messageOf(error) });
    return null;
  }
}

function terminated(): Promise<void> {
  return new Promise((resolve) => {
    for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => resolve());
  });
}
