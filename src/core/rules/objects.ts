/**
 * The cluster's objects in Swarm: network, secrets, one service per server. What is missing is
 * made, what was edited by hand is put right, what does not belong is removed. Volumes are never
 * touched here: a service that comes back finds its data.
 */
import { type ServiceDesired, type Step } from '../steps';
import { SOURCE_PATH } from '../desired';
import { differences, unwantedMount, type NetworkIds } from '../diff';
import { type NetworkSeen, type ServiceSeen } from '../observation';
import { networkName, serviceName } from '../names';
import { type ServerView, type View } from '../situation';
import { namesInSyncSets } from '../sync';
import { turnOf } from '../turn';
import { rule, type ConditionRaised, type Rule } from './rule';

const notReady = (reason: string): ConditionRaised => ({ type: 'ObjectsReady', reason });

interface Drift {
  readonly server: ServerView;
  readonly seen: ServiceSeen;
  readonly desired: ServiceDesired;
  readonly paths: readonly string[];
}

/** It goes with the next update: by itself it is not worth a restart. */
const SOURCE_LEFT = unwantedMount(SOURCE_PATH);

/** Services that are not as desired, standbys before the primary. */
function drifts(view: View): readonly Drift[] {
  const known = DRIFTS.get(view);
  if (known !== undefined) return known;
  const found = view.servers
    .toSorted((a, b) => Number(a === view.primary) - Number(b === view.primary))
    .flatMap((server) => driftOf(server, view) ?? []);
  DRIFTS.set(view, found);
  return found;
}

/** Several rules ask for them. */
const DRIFTS = new WeakMap<View, readonly Drift[]>();

function driftOf(server: ServerView, view: View): Drift | null {
  const desired = view.desired?.services.find((service) => service.server === server.name);
  if (desired === undefined || server.service === null) return null;
  const paths = differencesOf(desired, server.service, view.swarm?.networks ?? []);
  const isSame = paths.every((path) => path === SOURCE_LEFT);
  return isSame ? null : { server, seen: server.service, desired, paths };
}

/**
 * Comparing is the dearest part of a look, and what is compared hardly ever changes: what was found
 * last is kept for as long as that sight of Swarm is.
 */
function differencesOf(
  { spec }: ServiceDesired,
  seen: ServiceSeen,
  networks: readonly NetworkSeen[],
): readonly string[] {
  const wanted = JSON.stringify(spec);
  const last = COMPARED.get(seen);
  if (last?.wanted === wanted && last.networks === networks) return last.paths;
  const paths = differences(spec, seen.spec, idsOf(networks));
  COMPARED.set(seen, { wanted, networks, paths });
  return paths;
}

interface Comparison {
  readonly wanted: string;
  readonly networks: readonly NetworkSeen[];
  readonly paths: readonly string[];
}

const COMPARED = new WeakMap<ServiceSeen, Comparison>();

/** A Swarm with many clusters has many networks, and every cluster of one sight has the same. */
function idsOf(networks: readonly NetworkSeen[]): NetworkIds {
  const known = IDS.get(networks);
  if (known !== undefined) return known;
  const ids = Object.fromEntries(networks.map(({ name, id }) => [name, id]));
  IDS.set(networks, ids);
  return ids;
}

const IDS = new WeakMap<readonly NetworkSeen[], NetworkIds>();

/** Its container is not as declared, and will be replaced. */
export const isDrifted = (server: ServerView, view: View): boolean =>
  drifts(view).some((drift) => drift.server === server);

/** Of the primary that accepts writes, when all the others are as declared. */
export function driftOfPrimary(view: View): Drift | null {
  const [drift] = drifts(view);
  return drift !== undefined && isWorkingPrimary(drift.server, view) ? drift : null;
}

/** One that does not work may be mended by the update; any other waits for its turn. */
const isWorkingPrimary = (server: ServerView, view: View): boolean =>
  server === view.primary && server.asPrimary !== null;

/** Its turn has come, and nobody relieves it. */
const isTurnInPlace = ({ state }: View): boolean =>
  state.restart?.rollout !== undefined &&
  state.restart.rollout.primary !== 'relieved' &&
  turnOf(state) === state.primary;

/** A person wants it restarted, whatever the others are. */
const isAskedFor = ({ name }: ServerView, { state }: View): boolean =>
  state.restart !== null && state.restart.rollout === undefined && turnOf(state) === name;

/** The first update that may be made now: never two servers at once. */
function nextUpdate(view: View): Drift | null {
  const asked = drifts(view).find(({ server }) => isAskedFor(server, view));
  if (asked !== undefined) return asked;
  const [drift] = drifts(view);
  if (drift === undefined) return null;
  if (isWorkingPrimary(drift.server, view) && !isTurnInPlace(view)) return null;
  const others = view.servers.filter((server) => server !== drift.server);
  const isRunning = drift.server.report !== null;
  return isRunning && others.some((server) => isOnItsWay(server, view)) ? null : drift;
}

/** Its service is there, but its PostgreSQL is not up yet, or about to go for a new container. */
function isOnItsWay(server: ServerView, view: View): boolean {
  if (view.state.systemIdentifier === null || server.service === null) return false;
  return (server.asPrimary === null && server.asStandby === null) || isBeingReplaced(server, view);
}

/** Not every update replaces the container: this long after one it would be on its way out. */
const REPLACED_WITHIN_MS = 10_000;

/** It still runs, and will not for long. */
export function isBeingReplaced({ name, report }: ServerView, view: View): boolean {
  const made = view.situation.observation.updates?.[name];
  const isOld = made !== undefined && report?.bootId === made.bootId;
  return report?.isLeaving === true || (isOld && view.nowMs - made.atMs < REPLACED_WITHIN_MS);
}

function wrongNetwork(view: View): NetworkSeen | null {
  const name = networkName(view.spec.cluster);
  const seen = view.swarm?.networks.find((network) => network.name === name);
  return seen === undefined || seen.subnets.includes(view.spec.network.subnet) ? null : seen;
}

const missingNetwork = (view: View): boolean =>
  view.swarm?.networks.every(({ name }) => name !== networkName(view.spec.cluster)) ?? false;

/** It still counts as a peer of the primary, or for its commits: that ends first. */
function isReliedOn(service: string, { state, spec }: View): boolean {
  const names = [...(state.contract?.peers ?? []), ...namesInSyncSets(state)];
  return names.some((name) => serviceName(spec.cluster, name) === service);
}

export const objectRules: readonly Rule[] = [
  rule<NetworkSeen>({
    id: 'network-differs',
    section: 'objects',
    about: 'The network exists with another subnet; Swarm cannot change it while it is used.',
    when: wrongNetwork,
    because: (network, view) =>
      `the network ${network.name} has the subnet ${network.subnets.join(', ')}, the spec asks for ${view.spec.network.subnet}: write the old subnet, or delete the cluster (the volumes are kept) and apply it again`,
    condition: notReady('NetworkDiffers'),
  }),
  rule<true>({
    id: 'network-create',
    section: 'objects',
    about: 'The cluster’s own overlay network does not exist.',
    when: (view) => (missingNetwork(view) ? true : null),
    because: (_, view) => `the network ${networkName(view.spec.cluster)} does not exist`,
    steps: (_, view) => [
      {
        kind: 'create-network',
        network: {
          name: networkName(view.spec.cluster),
          cluster: view.spec.cluster,
          subnet: view.spec.network.subnet,
        },
      },
    ],
  }),
  rule<readonly Step[]>({
    id: 'secrets-create',
    section: 'objects',
    about: 'A secret of the cluster does not exist: it is derived again, with the same value.',
    when: (view) => {
      const { swarm, desired } = view;
      if (swarm === null || desired === null) return null;
      const missing = desired.secrets.filter(
        ({ name }) => !swarm.secrets.some((secret) => secret.name === name),
      );
      return missing.length === 0
        ? null
        : missing.map((secret) => ({ kind: 'create-secret', secret }));
    },
    because: (steps) => `${steps.length} of the cluster’s secrets do not exist`,
    steps: (steps) => steps,
  }),
  rule<ServerView>({
    id: 'node-unresolved',
    section: 'objects',
    about: 'A server’s node selector matches no node, or more than one.',
    when: (view) => view.servers.find(({ nodeProblem }) => nodeProblem !== null) ?? null,
    because: (server) => `${server.name}: ${server.nodeProblem ?? ''}`,
    condition: notReady('NodeUnresolved'),
  }),
  rule<readonly ServiceDesired[]>({
    id: 'services-create',
    section: 'objects',
    about: 'A server has no service: new, or removed by hand. Its volumes are found again.',
    when: (view) => {
      if (view.swarm === null) return null;
      const missing = (view.desired?.services ?? []).filter(({ server }) =>
        view.servers.some(({ name, service }) => name === server && service === null),
      );
      return missing.length === 0 ? null : missing;
    },
    because: (missing) =>
      `${missing.map(({ server }) => server).join(' and ')} ${missing.length === 1 ? 'has' : 'have'} no service`,
    steps: (missing) => missing.map((service) => ({ kind: 'create-service', service })),
  }),
  rule<Drift>({
    id: 'service-update',
    section: 'objects',
    about:
      'A service is not as the spec wants it: edited by hand, or the spec or the image changed. Standbys first, one at a time.',
    when: nextUpdate,
    because: ({ server, paths }) => `the service of ${server.name} differs: ${paths.join(', ')}`,
    steps: ({ seen, desired, paths }) => [
      {
        kind: 'update-service',
        service: desired,
        id: seen.id,
        version: seen.version,
        differences: paths,
      },
    ],
  }),
  rule<ServiceSeen>({
    id: 'service-remove',
    section: 'objects',
    about: 'A service of this cluster belongs to no server of the spec; its volumes are kept.',
    when: (view) => {
      const names = new Set(view.desired?.services.map(({ name }) => name));
      if (view.desired === null || names.size < view.servers.length) return null;
      return (
        view.swarm?.services.find(({ name }) => !names.has(name) && !isReliedOn(name, view)) ?? null
      );
    },
    because: ({ name }) => `${name} belongs to no server of the spec; its volumes are kept`,
    steps: ({ id, name }) => [{ kind: 'remove-service', id, name }],
  }),
];
