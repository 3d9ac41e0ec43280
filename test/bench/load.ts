/** pgbench without pause, in a container of the product image, over every change of primary. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { docker, dockerEnv, tryDocker, type Docker } from '../lab/docker';
import { pause } from '../lab/shell';
import { parseLibpqUri } from '../support/libpq-uri';
import { raceForSession } from '../support/race';

/** Where the benchmark's containers run. */
export interface Place {
  readonly daemon: Docker;
  readonly network: string;
  readonly image: string;
}

export interface LoadOptions {
  readonly clients: number;
  /** Of pgbench: 15 MB of tables each. */
  readonly scale: number;
}

/** A running load. */
export interface Load {
  /** Resolves when every client of pgbench has a session. */
  readonly busy: () => Promise<void>;
  readonly stop: () => Promise<void>;
}

const container = `pgswarm-bench-load-${process.pid}`;
const busyMaxMs = 60_000;
const busyPollMs = 100;

// A change of primary ends pgbench: it does not connect again by itself.
const forever = `while :; do
  pgbench --no-vacuum --client="$CLIENTS" --jobs=2 --time=3600 "$URI" > /dev/null 2>&1
  sleep 0.05
done`;

/** Makes pgbench's tables. */
export async function prepareLoad(
  place: Place,
  uri: string,
  { scale }: LoadOptions,
): Promise<void> {
  const command = ['pgbench', '--initialize', '--quiet', `--scale=${scale}`, uri];
  await docker(place.daemon, [...runOn(place), place.image, '--', ...command]);
}

/** Starts the load; it goes on until it is stopped. */
export async function startLoad(place: Place, uri: string, options: LoadOptions): Promise<Load> {
  const environment = ['--env', `URI=${uri}`, '--env', `CLIENTS=${options.clients}`];
  const command = [place.image, '--', 'bash', '-c', forever];
  const child = spawn(
    'docker',
    [...runOn(place), '--name', container, ...environment, ...command],
    { env: dockerEnv(place.daemon), stdio: 'ignore' },
  );
  const ended = once(child, 'exit');
  const busy = (): Promise<void> => waitUntilBusy(uri, options.clients);
  await busy();
  return {
    busy,
    stop: async () => {
      await tryDocker(place.daemon, ['rm', '--force', container]);
      await ended;
    },
  };
}

const runOn = (place: Place): string[] => [
  ...['run', '--rm', '--network', place.network, '--entrypoint', 'tini'],
];

async function waitUntilBusy(uri: string, clients: number): Promise<void> {
  const signal = AbortSignal.timeout(busyMaxMs);
  const timeouts = { connectTimeoutMs: 1000, answerTimeoutMs: busyMaxMs, retryMs: busyPollMs };
  const session = await raceForSession(parseLibpqUri(uri), { ...timeouts, signal });
  const query = `select from pg_stat_activity where application_name = 'pgbench'`;
  try {
    while (((await session.client.query(query)).rowCount ?? 0) < clients) {
      signal.throwIfAborted();
      await pause(busyPollMs);
    }
  } finally {
    session.close();
  }
}
