/**
 * What a cluster looks like in Swarm: one network, its secrets, and one service per server, as
 * plain values. A service is tied to its node and to its volumes by name; the role is not in it,
 * so that a change of role never replaces a container.
 */
import {
  archiveVolumeName,
  CLUSTER_LABEL,
  CONTROL_NETWORK,
  dataVolumeName,
  networkName,
  OPERATOR_SERVICE,
  POSTGRES_PORT,
  secretName,
  SERVER_LABEL,
  serviceName,
  type SecretPurpose,
} from './names';
import { type ServerSpec, type Spec } from './spec';
import { type NetworkDesired, type SecretDesired, type ServiceDesired } from './steps';

export { resolveNode } from './nodes';

/** Tells the objects of a cluster from those of an earlier one with the same name. */
export const UID_LABEL = 'dev.pgswarm.uid';

export const DATA_PATH = '/var/lib/pgswarm/data';
export const ARCHIVE_PATH = '/var/lib/pgswarm/archive';
/** Another cluster's archive, from which this one is restored; read only. */
export const SOURCE_PATH = '/var/lib/pgswarm/source';

/** Time between SIGTERM and SIGKILL: enough for the shutdown checkpoint of a busy primary. */
export const STOP_GRACE_MS = 60_000;
/** Time before Swarm starts a container again that has ended; it never gives up. */
const RESTART_DELAY_MS = 2_000;
/**
 * Bound of `/dev/shm`, where parallel queries keep their shared memory (PostgreSQL manual,
 * `dynamic_shared_memory_type`). Docker's 64 MB end in "could not resize shared memory segment".
 * Pages count only when they are used.
 */
const SHARED_MEMORY_BYTES = 1024 ** 3;
/** Readable, writable for all, and sticky, as `/dev/shm` is everywhere. */
const SHARED_MEMORY_MODE = 0o1777;

/** User and group `postgres` of the image; Docker wants them as text. */
const POSTGRES_UID = '999';
const SECRET_MODE = 0o400;

/** Docker counts durations in nanoseconds. */
const NANOSECONDS = 1_000_000;

const PURPOSES: readonly SecretPurpose[] = ['control', 'owner', 'replication'];

export interface DesiredObjects {
  readonly network: NetworkDesired;
  readonly secrets: readonly SecretDesired[];
  /** In the spec's order; without those servers whose node is not known. */
  readonly services: readonly ServiceDesired[];
}

/** What the spec does not say: it comes from the state, the operator, and what was seen of the nodes. */
export interface Surroundings {
  readonly uid: string;
  /** Used when the spec names no image. */
  readonly image: string;
  /** By server; a server that is absent gets no service yet. */
  readonly nodeIds: Readonly<Record<string, string>>;
  readonly fingerprints: Readonly<Record<SecretPurpose, string>>;
  /** The server that is filled first; null once the cluster has its data. */
  readonly first: string | null;
}

export function desiredObjects(spec: Spec, around: Surroundings): DesiredObjects {
  const { cluster } = spec;
  return {
    network: { name: networkName(cluster), cluster, subnet: spec.network.subnet },
    secrets: PURPOSES.map((purpose) => ({
      name: secretName(cluster, purpose, around.fingerprints[purpose]),
      cluster,
      purpose,
    })),
    services: spec.servers.flatMap((server) => {
      const nodeId = around.nodeIds[server.name];
      return nodeId === undefined ? [] : [desiredService(spec, server, nodeId, around)];
    }),
  };
}

/** Docker API v1.41, `ServiceCreate`. */
function desiredService(
  spec: Spec,
  server: ServerSpec,
  nodeId: string,
  around: Surroundings,
): ServiceDesired {
  const { cluster } = spec;
  const name = serviceName(cluster, server.name);
  const identity = { [CLUSTER_LABEL]: cluster, [SERVER_LABEL]: server.name };
  return {
    name,
    server: server.name,
    spec: {
      Name: name,
      Labels: { ...identity, [UID_LABEL]: around.uid },
      TaskTemplate: {
        ContainerSpec: containerOf(spec, server, around, identity),
        // An id, because two nodes may have the same host name.
        Placement: { Constraints: [`node.id==${nodeId}`] },
        RestartPolicy: { Condition: 'any', Delay: RESTART_DELAY_MS * NANOSECONDS, MaxAttempts: 0 },
        Networks: [
          { Target: networkName(cluster), Aliases: [server.name] },
          { Target: CONTROL_NETWORK },
        ],
      },
      Mode: { Replicated: { Replicas: 1 } },
      // Never two containers on one volume.
      UpdateConfig: { Parallelism: 1, Order: 'stop-first' },
      // No virtual IP and no ingress mesh: the port belongs to the node, as the data does.
      EndpointSpec: {
        Mode: 'dnsrr',
        Ports: [
          {
            Protocol: 'tcp',
            TargetPort: POSTGRES_PORT,
            PublishedPort: server.port,
            PublishMode: 'host',
          },
        ],
      },
    },
  };
}

function containerOf(
  spec: Spec,
  server: ServerSpec,
  around: Surroundings,
  identity: Readonly<Record<string, string>>,
): Readonly<Record<string, unknown>> {
  const { cluster } = spec;
  return {
    Image: spec.image ?? around.image,
    Args: ['instance'],
    Hostname: server.name,
    Labels: identity,
    Env: [
      `PGSWARM_CLUSTER=${cluster}`,
      `PGSWARM_OPERATOR=tasks.${OPERATOR_SERVICE}`,
      `PGSWARM_SERVER=${server.name}`,
      `PGSWARM_STOP_GRACE_MS=${STOP_GRACE_MS}`,
      // Docker's template: which task this container is, the name under which Swarm reports its end.
      'PGSWARM_TASK={{.Task.ID}}',
    ],
    // The image brings its own init.
    Init: false,
    StopGracePeriod: STOP_GRACE_MS * NANOSECONDS,
    // Everything runs as an ordinary user on volumes that belong to it.
    CapabilityDrop: ['ALL'],
    Mounts: [
      volume(dataVolumeName(cluster, server.name), DATA_PATH, identity),
      volume(archiveVolumeName(cluster, server.name), ARCHIVE_PATH, identity),
      ...sourceOf(spec, server, around),
      {
        Type: 'tmpfs',
        Target: '/dev/shm',
        TmpfsOptions: { SizeBytes: SHARED_MEMORY_BYTES, Mode: SHARED_MEMORY_MODE },
      },
    ],
    Secrets: PURPOSES.map((purpose) => ({
      SecretName: secretName(cluster, purpose, around.fingerprints[purpose]),
      File: { Name: purpose, UID: POSTGRES_UID, GID: POSTGRES_UID, Mode: SECRET_MODE },
    })),
  };
}

/** A named volume; Docker makes it with these labels when the node does not have it yet. */
function volume(source: string, target: string, labels: Readonly<Record<string, string>>): unknown {
  return { Type: 'volume', Source: source, Target: target, VolumeOptions: { Labels: labels } };
}

/**
 * Only while the first server is filled. Later it is no part of the cluster any more, and nobody is
 * restarted for that: see `service-update`.
 */
function sourceOf({ bootstrap }: Spec, { name }: ServerSpec, { first }: Surroundings): unknown[] {
  if (bootstrap === undefined || name !== first) return [];
  const { volume: Source } = bootstrap.restore;
  return [{ Type: 'volume', Source, Target: SOURCE_PATH, ReadOnly: true }];
}
