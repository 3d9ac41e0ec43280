/** The cluster that the faults of the matrix happen to. */
import { messageOf } from '../../src/core/errors';
import { type Status } from '../../src/core/status';
import { type Client } from 'pg';
import { pause, waitFor } from '../lab/shell';
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
const pollMs = 50;
const incarnationMaxMs = 10_000;
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
    if (shape.smallVolumeMb !== undefined) await limitVolumes(deployment, shape.smallVolumeMb);
    const file = deployment.file(`${CLUSTER}.yaml`, specOf(shape));
    await deployment.mustPgswarm('apply', '-f', file);
    // Small volumes are never in order.
    await deployment.until(
      CLUSTER,
      'a complete cluster with pg1 as primary',
      (status) => status.primary === 'pg1' && isSettled(status),
    );
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
    await releaseVolumes(deployment);
  }

  /** The declared servers: pg1 on n1, and so on. */
  get places(): readonly Place[] {
    return placesOf(this.shape);
  }

  /** Waits until there is a primary, every standby streams, and no change of role is under way. */
  async settled(): Promise<Status> {
    return this.#until('a settled cluster', isSettled);
  }

  /** Moves the role of primary by a switchover. */
  async moveTo(server: string): Promise<void> {
    if ((await this.settled()).primary === server) return;
    await this.deployment.mustPgswarm('promote', CLUSTER, server, '--yes', '--wait', '120');
    await this.#until(
      `${server} as primary`,
      (status) => isSettled(status) && status.primary === server,
    );
  }

  /** The same, to be disturbed: whether it works is not asked. */
  promote(server: string): void {
    void this.deployment.pgswarm('promote', CLUSTER, server, '--yes').catch(() => undefined);
  }

  /** What the primary is until it is started again or another one takes its place. */
  incarnation(): Promise<string> {
    return this.#ask(AbortSignal.timeout(incarnationMaxMs), incarnationOf);
  }

  /**
   * Resolves when every standby streams from the present primary and has replayed what that one had
   * written when this was asked; a primary that is still what it was before does not count. Asked
   * over SQL, since the status costs processor time.
   */
  async redundant(timeoutMs: number, before: string | null = null): Promise<number> {
    const signal = AbortSignal.timeout(timeoutMs);
    for (;;) {
      const atMs = await this.#ask(signal, (client) =>
        this.#streamed(client, before, signal),
      ).catch(() => null);
      if (atMs !== null) return atMs;
      if (signal.aborted) {
        const status = JSON.stringify(await this.deployment.status(CLUSTER));
        throw new Error(`redundancy was not back after ${timeoutMs / 1000} s: ${status}`);
      }
    }
  }

  /** Also while no manager answers: that is what some faults are about. */
  async #until(what: string, isReached: (status: Status) => boolean): Promise<Status> {
    let last: Status | null = null;
    return waitFor(what, settledMaxMs, async () => {
      last = await this.deployment.status(CLUSTER).catch(() => null);
      return last !== null && isReached(last) ? last : undefined;
    }).catch((error: unknown) => {
      throw new Error(`${messageOf(error)} The last status: ${JSON.stringify(last)}`);
    });
  }

  /** With one session on one primary; fails when that one ends. */
  async #streamed(client: Client, before: string | null, signal: AbortSignal): Promise<number> {
    if ((await incarnationOf(client)) === before) throw new Error('still as before');
    const { rows } = await client.query<{ lsn: string }>('select pg_current_wal_flush_lsn() lsn');
    const question = `select from pg_stat_replication
      where state = 'streaming' and replay_lsn >= $1 and application_name like 'pg_'`;
    for (;;) {
      signal.throwIfAborted();
      const { rowCount } = await client.query(question, [rows[0]?.lsn]);
      if (rowCount === this.places.length - 1) return performance.now();
      await pause(pollMs);
    }
  }

  /** Asks whoever accepts writes. */
  async #ask<T>(signal: AbortSignal, question: (client: Client) => Promise<T>): Promise<T> {
    const patience = { connectTimeoutMs: askMaxMs, answerTimeoutMs: askMaxMs, retryMs: pollMs };
    const session = await raceForSession(parseLibpqUri(this.uri), { ...patience, signal });
    try {
      return await question(session.client);
    } finally {
      session.close();
    }
  }
}

async function incarnationOf(client: Client): Promise<string> {
  const { rows } = await client.query<{ incarnation: string }>(
    `select pg_postmaster_start_time() || left(pg_walfile_name(pg_current_wal_insert_lsn()), 8)
       as incarnation`,
  );
  return rows[0]?.incarnation ?? '';
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

function specOf(shape: Shape): string {
  const { sync } = shape;
  const synchronous = `{ synchronous: { mode: any, number: 1, durability: ${sync} } }`;
  return `
apiVersion: pgswarm.dev/v1
kind: PostgresCluster
metadata: { name: ${CLUSTER} }
spec:
  postgres: { version: 17, parameters: { shared_buffers: 128MB } }
  network: { subnet: 10.0.220.0/24 }
  primary: pg1
  servers:
${placesOf(shape)
  .map(
    ({ server, node }) => `    - { name: ${server}, node: { hostname: ${node} }, port: ${port} }`,
  )
  .join('\n')}
${sync === 'none' ? '' : `  replication: ${synchronous}\n`}  failover: { mode: automatic, ttl: 5s }
`;
}

/** Where the small volumes of pg1 are on its node, for those who fill them. */
export const smallVolume = '/var/lib/docker/small-data';
export const smallArchive = '/var/lib/docker/small-archive';
const smallArchiveMb = 16;

/** File systems of their own for the volumes of pg1: what fills them fills nothing else. */
async function limitVolumes({ lab }: Deployment, sizeMb: number): Promise<void> {
  const script = `
    limit() {
      mkdir -p $2
      mount -t tmpfs -o size=$3m,mode=0700,uid=999,gid=999 tmpfs $2
      docker volume create -o type=none -o o=bind -o device=$2 pgswarm.${CLUSTER}.pg1.$1
    }
    limit data ${smallVolume} ${sizeMb}
    limit archive ${smallArchive} ${smallArchiveMb}`;
  const { code, stderr } = await lab.exec('n1', ['sh', '-ec', script]);
  if (code !== 0) throw new Error(`no small volumes on n1: ${stderr}`);
}

/** Without an error when there are none. */
async function releaseVolumes({ lab }: Deployment): Promise<void> {
  await lab.exec('n1', ['umount', smallVolume, smallArchive]);
}
