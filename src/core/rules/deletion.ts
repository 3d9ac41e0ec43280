/**
 * Taking a cluster away: the primary first, so that its last WAL still reaches the standbys, then
 * the rest, then the records. The volumes stay unless the user asked otherwise.
 */
import { archiveVolumeName, dataVolumeName, networkName } from '../names';
import { type NetworkSeen, type SecretSeen, type ServiceSeen } from '../observation';
import { type ServerView, type View } from '../situation';
import { rule, type ConditionRaised, type Rule } from './rule';

const deleting: ConditionRaised = { type: 'Ready', reason: 'Deleting' };

const isDeleted = (view: View): boolean => view.situation.record.deletion !== null;

function nextService(view: View): ServiceSeen | null {
  const { swarm, primary } = view;
  if (!isDeleted(view) || swarm === null) return null;
  return primary?.service ?? swarm.services[0] ?? null;
}

const isRunning = (view: View): boolean =>
  view.swarm?.tasks.some(({ state }) => ['running', 'starting', 'preparing'].includes(state)) ??
  true;

function volumesLeft(view: View): ServerView | null {
  if (view.situation.record.deletion?.removeVolumes !== true) return null;
  return (
    view.servers.find(
      ({ name, nodeId }) =>
        nodeId !== null && !view.situation.observation.volumesRemoved.includes(name),
    ) ?? null
  );
}

/** The rules of a cluster that is being deleted; none of the others is looked at then. */
export const deletionRules: readonly Rule[] = [
  rule<ServiceSeen>({
    id: 'delete-service',
    section: 'deletion',
    about: 'The cluster is being deleted: its services go, the primary’s first.',
    when: nextService,
    because: ({ name }) => `the cluster is being deleted, ${name} is still there`,
    steps: ({ id, name }) => [{ kind: 'remove-service', id, name }],
    condition: deleting,
  }),
  rule<true>({
    id: 'delete-await-stop',
    section: 'deletion',
    about: 'PostgreSQL is stopping in order before anything else is removed.',
    when: (view) => (isDeleted(view) && isRunning(view) ? true : null),
    because: () => 'the instances are stopping',
    condition: deleting,
  }),
  rule<ServerView>({
    id: 'delete-volumes',
    section: 'deletion',
    about: 'The user asked for the volumes to be removed with the cluster.',
    when: (view) => (isDeleted(view) && !isRunning(view) ? volumesLeft(view) : null),
    because: ({ name }) => `the volumes of ${name} are to be removed`,
    steps: ({ name, nodeId }, view) => [
      {
        kind: 'remove-volumes',
        server: name,
        nodeId: nodeId ?? '',
        image: view.spec.image ?? view.situation.image,
        volumes: [
          dataVolumeName(view.spec.cluster, name),
          archiveVolumeName(view.spec.cluster, name),
        ],
      },
    ],
    condition: deleting,
  }),
  rule<NetworkSeen>({
    id: 'delete-network',
    section: 'deletion',
    about: 'Nothing uses the cluster’s network any more.',
    when: (view) => {
      if (!isDeleted(view) || isRunning(view)) return null;
      const name = networkName(view.spec.cluster);
      return view.swarm?.networks.find((network) => network.name === name) ?? null;
    },
    because: ({ name }) => `nothing uses ${name} any more`,
    steps: ({ id, name }) => [{ kind: 'remove-network', id, name }],
    condition: deleting,
  }),
  rule<readonly SecretSeen[]>({
    id: 'delete-secrets',
    section: 'deletion',
    about: 'Nothing uses the cluster’s secrets any more.',
    when: (view) => {
      const secrets = view.swarm?.secrets ?? [];
      return isDeleted(view) && !isRunning(view) && secrets.length > 0 ? secrets : null;
    },
    because: () => 'nothing uses the secrets any more',
    steps: (secrets) => secrets.map(({ id, name }) => ({ kind: 'remove-secret', id, name })),
    condition: deleting,
  }),
  rule<true>({
    id: 'delete-records',
    section: 'deletion',
    about: 'All of the cluster’s objects are gone: its records go last.',
    when: (view) => (isDeleted(view) && view.swarm !== null && !isRunning(view) ? true : null),
    because: () => 'all objects of the cluster are gone',
    steps: (_, view) => [{ kind: 'forget', cluster: view.spec.cluster }],
    condition: deleting,
  }),
];
