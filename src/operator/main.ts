/** Puts the operator together: Docker, store, leadership, API, where specs come from. */
import { randomUUID } from 'node:crypto';
import { type Server } from 'node:http';
import { dirname, join } from 'node:path';
import { openLocalServer, type LocalPorts } from '../adapters/control/local-server';
import { type Route } from '../adapters/control/routes';
import { createControlServer, OPERATORS } from '../adapters/control/server';
import { createLog, type Log } from '../adapters/log';
import { serveMetrics } from '../adapters/metrics/metrics-server';
import { openDocker, requireManager, type Docker } from '../adapters/swarm/docker';
import { mountRootKey } from '../adapters/swarm/root-key';
import { createStore } from '../adapters/swarm/store';
import { createSwarm } from '../adapters/swarm/swarm';
import { messageOf } from '../core/errors';
import { parseGitSettings, type Parsed as GitSource } from '../core/git/settings';
import { OPERATOR_PORT, OPERATOR_SOCKET } from '../core/names';
import { operatorCall, OPERATOR_USAGE } from './arguments';
import { cliRoutes, pushRoute } from './cli-routes';
import { followGit } from './git-source';
import { serveWebhook } from './git-webhook';
import { FileJournal } from './journal';
import { Keyring } from './keyring';
import { Leadership } from './leadership';
import { measuredStore } from './measured';
import { metricsPort } from './metrics-port';
import { Operator } from './operator';
import { OperatorMetrics } from './operator-metrics';
import { pageAccess, servePage, type PageAccess } from './page';
import { type Clock, type Swarm } from '../core/ports';
import { instanceImage, ownAddress, untilItWorks } from './surroundings';
import { watchFolder } from './watched-folder';

const clock: Clock = { monotonicMs: () => performance.now(), now: () => new Date() };

/** `pgswarm operator`: runs until SIGTERM. */
export async function runOperator(
  args: readonly string[],
  surroundings: NodeJS.ProcessEnv,
): Promise<number> {
  const call = operatorCall(args, surroundings);
  if (call.kind === 'usage') {
    process.stdout.write(OPERATOR_USAGE);
    return 0;
  }
  const { environment } = call;
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
    git: parseGitSettings(environment),
    environment,
  });
  const close = await serve(parts, { address, metricsAt });
  parts.leadership.start();
  log.info('operator started', { address, image });

  await terminated();
  log.info('stopping; another operator takes over');
  for (const source of parts.sources) source.stop();
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
  /** Where specs come from; the leader follows them. */
  readonly sources: readonly Source[];
  readonly git: GitSource;
  readonly routes: readonly Route[];
  readonly page: PageAccess | null;
  readonly metrics: OperatorMetrics;
  readonly log: Log;
}

interface Source {
  start(): void;
  stop(): void;
}

interface Settings {
  readonly node: string;
  readonly address: string;
  readonly image: string;
  readonly git: GitSource;
  readonly environment: NodeJS.ProcessEnv;
}

function assemble(docker: Docker, log: Log, settings: Settings): Parts {
  const { node, address, image, git, environment } = settings;
  const history = environment['PGSWARM_HISTORY'];
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
      for (const source of sources) source.stop();
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
    ...(history === undefined ? {} : { journal: new FileJournal(history, log) }),
    fingerprints: (cluster, uid) => keyring.fingerprints(cluster, uid),
  });
  const folder = watchFolder(environment['PGSWARM_WATCH'], { store, operator, log, clock });
  const folders = {
    cache: environment['PGSWARM_GIT_CACHE'] ?? '/var/lib/pgswarm/git',
    run: join(dirname(OPERATOR_SOCKET), 'git'),
  };
  const repository = followGit(git, { store, operator, log, clock, folders });
  const sources = [folder, repository].filter((source) => source !== null);
  const page = pageAccess(environment, keyring);
  const routes = [...cliRoutes(operator, keyring, page), pushRoute(() => repository?.look())];
  const lead = async (epoch: number, areLeasesOver: boolean): Promise<void> => {
    if (keyring.rootKey === null) {
      await untilItWorks(log, () => mountRootKey(docker));
      log.info('the root key has been mounted; Swarm restarts the operators once');
      return;
    }
    await operator.lead(epoch, areLeasesOver);
    if (!leadership.isLeading()) return;
    for (const source of sources) source.start();
  };
  metrics.show({
    leadingLeftMs: () => leadership.leftMs(),
    clusters: () => operator.clusters(),
    statusOf: (cluster) => operator.controller(cluster).status(),
  });
  return { operator, leadership, keyring, swarm, sources, git, routes, page, metrics, log };
}

interface Listening {
  readonly address: string;
  /** Port of the metrics; null: none are served. */
  readonly metricsAt: number | null;
}

/** Listens for instances, other operators, the CLI, browsers, webhooks; returns what closes it all. */
async function serve(parts: Parts, { address, metricsAt }: Listening): Promise<() => void> {
  const { operator, keyring, swarm, metrics, page, git, log } = parts;
  const local = localPorts(parts);
  const { routes, notLeader, operatorKey } = local;
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
  const socket = await openLocalServer(local);
  const closePage = servePage(page, local);
  const closeWebhook = serveWebhook(git, local);
  const stopWatching = swarm.watch((what) => operator.changed(what));
  return () => {
    stopWatching();
    closePage();
    closeWebhook();
    socket.close();
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
    return await serveMetrics({ port, host }, exposition, log);
  } catch (error) {
    log.error('the metrics cannot be asked for', { host, port, message: messageOf(error) });
    return null;
  }
}

const localPorts = ({ leadership, keyring, routes, log }: Parts): LocalPorts => ({
  routes,
  notLeader: () =>
    leadership.isLeading() ? null : { notLeader: true, leader: leadership.leaderAddress() },
  operatorKey: () => keyring.operatorKey,
  log,
});

function terminated(): Promise<void> {
  return new Promise((resolve) => {
    for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => resolve());
  });
}
