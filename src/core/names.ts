/**
 * Every name that pgswarm gives to a thing in Docker or PostgreSQL, in one place.
 * Names are derived from the cluster and the server only: nothing that can change is in them.
 */

/** Label on every object of a cluster; its value is the cluster's name. */
export const CLUSTER_LABEL = 'dev.pgswarm.cluster';
/** Label on objects of one server; its value is the server's name. */
export const SERVER_LABEL = 'dev.pgswarm.server';
/** Label that carries a store record's JSON. */
export const PAYLOAD_LABEL = 'dev.pgswarm.payload';

/** Overlay network between the operators and all instances; made by `manifests/pgswarm.yaml`. */
export const CONTROL_NETWORK = 'pgswarm_control';
/** The operator's service; its tasks are found as `tasks.<name>` by Swarm's DNS. */
export const OPERATOR_SERVICE = 'pgswarm_operator';
/** Port of the operators' API on the control network. */
export const OPERATOR_PORT = 7700;
/** Port of every instance manager's health API. */
export const INSTANCE_PORT = 7701;
/** Port of an operator's metrics on the control network; the same as that of the instances' own. */
export const METRICS_PORT = INSTANCE_PORT;
/** Port on which every instance manager is asked for promises by its peers. */
export const PEER_PORT = 7702;
/** PostgreSQL's port inside every instance's container. */
export const POSTGRES_PORT = 5432;

/** Where people look at a preview of a restore, in the container of the server that keeps it. */
export const PREVIEW_PORT = 5433;

/** Where the operator listens for the CLI, inside its container. */
export const OPERATOR_SOCKET = '/run/pgswarm/operator.sock';

export const LEADER_RECORD = 'pgswarm.leader';
export const specRecordName = (cluster: string): string => `pgswarm.${cluster}.spec`;
export const stateRecordName = (cluster: string): string => `pgswarm.${cluster}.state`;

export const networkName = (cluster: string): string => `pgswarm-${cluster}`;
export const serviceName = (cluster: string, server: string): string =>
  `pgswarm-${cluster}-${server}`;
export const dataVolumeName = (cluster: string, server: string): string =>
  `pgswarm.${cluster}.${server}.data`;
export const archiveVolumeName = (cluster: string, server: string): string =>
  `pgswarm.${cluster}.${server}.archive`;

/** The key from which all of an installation's keys and passwords are derived. */
export const ROOT_KEY_SECRET = 'pgswarm.root-key';
export const ROOT_KEY_FILE = '/run/secrets/pgswarm.root-key';

export type SecretPurpose = 'control' | 'replication' | 'owner';
/** The fingerprint makes another key another name: Swarm's secrets cannot be changed in place. */
export const secretName = (cluster: string, purpose: SecretPurpose, fingerprint: string): string =>
  `pgswarm.${cluster}.${purpose}.${fingerprint}`;
/** File of a secret inside an instance's container. */
export const secretFile = (purpose: SecretPurpose): string => `/run/secrets/${purpose}`;

/** Whether a service or a secret has a name of this cluster's; it may be that of `a-b` as well as of `a`. */
export const mayBelongTo = (cluster: string, name: string): boolean =>
  name.startsWith(serviceName(cluster, '')) || name.startsWith(`pgswarm.${cluster}.`);

/** Role under which standbys stream. */
export const REPLICATION_ROLE = 'pgswarm_replication';
/** Slot of a standby on its upstream: server names have no underscore, so no two collide. */
export const slotName = (server: string): string => `pgswarm_${server.replaceAll('-', '_')}`;
