/** What the instance manager is told by its container, read once. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { OperatingError } from '../core/errors';
import {
  INSTANCE_PORT,
  OPERATOR_PORT,
  OPERATOR_SERVICE,
  PEER_PORT,
  POSTGRES_PORT,
  PREVIEW_PORT,
} from '../core/names';

export interface InstanceEnvironment {
  readonly cluster: string;
  readonly server: string;
  /** Name that resolves to every operator, or a list of `host:port`. */
  readonly operators: string;
  readonly operatorPort: number;
  readonly dataVolume: string;
  readonly archiveVolume: string;
  /** Another cluster's archive, from which this server may be told to be restored; not always there. */
  readonly sourceVolume: string;
  /** The program that PostgreSQL runs for every WAL file. */
  readonly walCommand: string;
  readonly secretsDirectory: string;
  /** Socket, password file: gone with the container. */
  readonly runDirectory: string;
  /** Empty: PostgreSQL's programs are found in PATH. */
  readonly binDirectory: string;
  readonly postgresPort: number;
  /** Of a preview of a restore. */
  readonly previewPort: number;
  readonly httpPort: number;
  /** Where peers ask for promises. */
  readonly peerPort: number;
  /** Swarm's task of this container; null outside of Swarm. */
  readonly taskId: string | null;
  /** Docker kills the container this long after SIGTERM. */
  readonly stopGraceMs: number;
  /** A start that takes longer is reported as a problem; it is never cut short. */
  readonly startTimeoutMs: number;
  /** Why PostgreSQL must not be started on this volume, in the entrypoint's words. */
  readonly volumeProblem: string | null;
}

export interface Secrets {
  readonly control: Buffer;
  readonly replication: string;
  readonly owner: string;
}

const STOP_GRACE_MS = 60_000;
const START_TIMEOUT_MS = 5 * 60_000;
const UNLOCKED =
  'The data volume is not locked. Start the instance manager through the entrypoint of the image.';

/** Throws `EnvironmentIncomplete` naming the variable. */
export function parseEnvironment(variables: NodeJS.ProcessEnv): InstanceEnvironment {
  const text = (name: string, fallback?: string): string => {
    const value = variables[name] ?? fallback;
    if (value !== undefined && value !== '') return value;
    throw new OperatingError('fatal', 'EnvironmentIncomplete', `${name} is not set`);
  };
  const number = (name: string, fallback: number): number => {
    const value = Number(variables[name] ?? fallback);
    if (Number.isSafeInteger(value) && value > 0) return value;
    const message = `${name} is not a positive whole number: ${variables[name] ?? ''}`;
    throw new OperatingError('fatal', 'EnvironmentIncomplete', message);
  };
  const isLocked = variables['PGSWARM_LOCK_FD'] !== undefined;
  return {
    cluster: text('PGSWARM_CLUSTER'),
    server: text('PGSWARM_SERVER'),
    operators: text('PGSWARM_OPERATOR', `tasks.${OPERATOR_SERVICE}`),
    operatorPort: number('PGSWARM_OPERATOR_PORT', OPERATOR_PORT),
    dataVolume: text('PGSWARM_DATA_DIR', '/var/lib/pgswarm/data'),
    archiveVolume: text('PGSWARM_ARCHIVE_DIR', '/var/lib/pgswarm/archive'),
    sourceVolume: text('PGSWARM_SOURCE_DIR', '/var/lib/pgswarm/source'),
    walCommand: text('PGSWARM_WAL_COMMAND', '/usr/local/bin/pgswarm-wal'),
    secretsDirectory: text('PGSWARM_SECRETS_DIR', '/run/secrets'),
    runDirectory: text('PGSWARM_RUN_DIR', '/run/pgswarm'),
    binDirectory: variables['PGSWARM_PG_BIN'] ?? '',
    postgresPort: number('PGSWARM_PG_PORT', POSTGRES_PORT),
    previewPort: number('PGSWARM_PREVIEW_PORT', PREVIEW_PORT),
    httpPort: number('PGSWARM_HTTP_PORT', INSTANCE_PORT),
    peerPort: number('PGSWARM_PEER_PORT', PEER_PORT),
    taskId: variables['PGSWARM_TASK'] ?? null,
    stopGraceMs: number('PGSWARM_STOP_GRACE_MS', STOP_GRACE_MS),
    startTimeoutMs: number('PGSWARM_START_TIMEOUT', START_TIMEOUT_MS),
    volumeProblem: variables['PGSWARM_VOLUME_PROBLEM'] ?? (isLocked ? null : UNLOCKED),
  };
}

/** The files that Swarm mounts: the control key in hexadecimal, and two passwords. */
export async function readSecrets(directory: string): Promise<Secrets> {
  const read = async (name: string): Promise<string> => {
    const value = (await readFile(join(directory, name), 'utf8')).trim();
    if (value !== '') return value;
    throw new OperatingError('fatal', 'SecretMissing', `the secret ${name} is empty`);
  };
  return {
    control: Buffer.from(await read('control'), 'hex'),
    replication: await read('replication'),
    owner: await read('owner'),
  };
}
