/** The cluster that the faults of the matrix happen to. */
import { type Status } from '../../src/core/status';
import { type Deployment } from '../e2e/deployment';
import { parseLibpqUri } from '../support/libpq-uri';
import { raceForSession } from '../support/race';

/** What a cell may ask for. */
export interface Shape {
  readonly servers: 2 | 3;
  /** `required`: any one standby has every acknowledged commit. */
  readonly sync: 'none' | 'preferred' | 'required';
  /** The data volume of the first server has only so much room. */
  readonly smallVolumeMb?: number;
}

export const shapeName = ({ servers, sync, smallVolumeMb }: Shape): string =>
  [
    `${servers} servers`,
    sync === 'none' ? 'asynchronous' : `synchronous, ${sync}`,
    ...(smallVolumeMb === undefined ? [] : [`${smallVolumeMb} MB for pg1`]),
  ].join(', ');

export const CLUSTER = 'matrix';
const port = 5450;
const settledMaxMs = 180_000;
const redundancyPollMs = 50;
const askMaxMs = 500;

/** A declared server; its node is known before anything runs. */
export interface Place {
  readonly server: string;
  readonly node: string;
}

export class MatrixCluster {
  readonly deployment: Deployment;
  readonly shape: Shape;
  /** Follows the primary. */
  readonly uri: string;

  private constructor(deployment: Deployment, shape: Shape, uri: string) {
    this.deployment = deployment;
    this.shape = shape;
    this.uri = uri;
  }

  /** Makes a new cluster of this shape and waits until it is complete. */
  static async create(deployment: Deployment, shape: Shape): Promise<MatrixCluster> {
    await MatrixCluster.remove(deployment);
    if (shape.smallVolumeMb !== undefined) await limitVolume(deployment, shape.smallVolumeMb);
    await apply(deployment, shape, 'pg1');
    await deployment.ready(CLUSTER, 'pg1');
    // Who streams is for members of this role to see.
    await deployment.asSuperuser(CLUSTER, 'pg1', 'grant pg_monitor to app');
    const uri = (await deployment.mustPgswarm('connect', CLUSTER, '--with-password')).trim();
    return new MatrixCluster(deployment, shape, uri);
  }

  /** Removes the cluster with its data, if there is one. */
  static async remove(deployment: Deployment): Promise<void> {
    if ((await deployment.clusters()).includes(CLUSTER)) {
      await deployment.mustPgswarm('delete', CLUSTER, '--volumes', '--yes');
    }
    await releaseVolume(deployment);
  }

  /** The declared servers: pg1 on n1, and so on. */
  get places(): readonly Place[] {
    return placesOf(this.shape);
  }

  /** Waits until there is a primary, every standby streams, and no change of role is under way. */
  settled(): Promise<Status> {
    return this.deployment.until(CLUSTER, 'a settled cluster', isSettled, settledMaxMs);
  }

  /** Moves the role of primary by a switchover, as a user does: by the spec. */
  async moveTo(server: string): Promise<void> {
    const status = await this.settled();
    if (status.primary === server) return;
    // After a failover the same old spec moves nothing: first it takes note of what is.
    if (status.declaredPrimary === server) await this.#declare(status.primary ?? server);
    await this.#declare(server);
  }

  /** Lets the spec take note of the present primary, or asks for another one; does not wait. */
  declare(server: string): Promise<void> {
    return apply(this.deployment, this.shape, server);
  }

  /**
   * Resolves when every standby streams from the present primary and has replayed what that one had
   * written when this was asked. Asked over SQL, since the status costs processor time.
   */
  async redundant(timeoutMs: number): Promise<number> {
    const signal = AbortSignal.timeout(timeoutMs);
    const standbys = this.places.length - 1;
    for (;;) {
      const done = await this.#streamed(standbys, signal).catch(() => null);
      if (done !== null) return done;
      if (signal.aborted) {
        const status = await this.deployment.status(CLUSTER);
        throw new Error(
          `redundancy was not back after ${timeoutMs / 1000} s: ${JSON.stringify(status)}`,
        );
      }
    }
  }

  async #declare(server: string): Promise<void> {
    await this.declare(server);
    await this.deployment.until(
      CLUSTER,
      `${server} as primary`,
      (status) => isSettled(status) && status.primary === server,
      settledMaxMs,
    );
  }

  /** With one session on one primary; fails when that one ends. */
  async #streamed(standbys: number, signal: AbortSignal): Promise<number> {
    const patience = { connectTimeoutMs: askMaxMs, answerTimeoutMs: askMaxMs, retryMs: 20, signal };
    const { client, close } = await raceForSession(parseLibpqUri(this.uri), patience);
    try {
      const { rows } = await client.query<{ lsn: string }>('select pg_current_wal_flush_lsn() lsn');
      const question = `select from pg_stat_replication
        where state = 'streaming' and replay_lsn >= $1 and application_name like 'pg_'`;
      for (;;) {
        signal.throwIfAborted();
        const { rowCount } = await client.query(question, [rows[0]?.lsn]);
        if (rowCount === standbys) return performance.now();
        await new Promise((resolve) => setTimeout(resolve, redundancyPollMs));
      }
    } finally {
      close();
    }
  }
}

/** Not the phase: after a failover the primary is not the declared one, and that is in order. */
export const isSettled = ({ phase, primary, servers }: Status): boolean =>
  ['Ready', 'Degraded'].includes(phase) &&
  servers.every(({ name, role, state }) =>
    name === primary ? role === 'primary' : state === 'streaming',
  );

const placesOf = ({ servers }: Shape): Place[] =>
  Array.from({ length: servers }, (_, index) => ({
    server: `pg${index + 1}`,
    node: `n${index + 1}`,
  }));

async function apply(deployment: Deployment, shape: Shape, primary: string): Promise<void> {
  const file = deployment.file(`${CLUSTER}.yaml`, specOf(shape, primary));
  await deployment.mustPgswarm('apply', '-f', file);
}

function specOf(shape: Shape, primary: string): string {
  const { sync } = shape;
  const synchronous = `{ synchronous: { mode: any, number: 1, durability: ${sync} } }`;
  return `
apiVersion: pgswarm.dev/v1
kind: PostgresCluster
metadata: { name: ${CLUSTER} }
spec:
  postgres: { version: 17, parameters: { shared_buffers: 128MB } }
  network: { subnet: 10.0.220.0/24 }
  primary: ${primary}
  servers:
${placesOf(shape)
  .map(
    ({ server, node }) => `    - { name: ${server}, node: { hostname: ${node} }, port: ${port} }`,
  )
  .join('\n')}
${sync === 'none' ? '' : `  replication: ${synchronous}\n`}  failover: { mode: automatic, ttl: 5s }
`;
}

const SMALL = '/var/lib/docker/small';
const SMALL_VOLUME = `pgswarm.${CLUSTER}.pg1.data`;

/** A file system of its own for the data volume of pg1: what fills it fills nothing else. */
async function limitVolume({ lab }: Deployment, sizeMb: number): Promise<void> {
  const script = `set -e
    mkdir -p ${SMALL}
    mountpoint -q ${SMALL} || mount -t tmpfs -o size=${sizeMb}m,mode=0700,uid=999,gid=999 tmpfs ${SMALL}
    docker volume create -o type=none -o o=bind -o device=${SMALL} ${SMALL_VOLUME}`;
  const { code, stderr } = await lab.exec('n1', ['sh', '-c', script]);
  if (code !== 0) throw new Error(`no small volume on n1: ${stderr}`);
}

async function releaseVolume({ lab }: Deployment): Promise<void> {
  await lab.exec('n1', ['sh', '-c', `umount ${SMALL} 2>/dev/null`]);
}

/** Where the small volume of pg1 is on its node, for those who fill it. */
export const smallVolume = SMALL;
