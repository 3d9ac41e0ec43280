/** The instance manager's composition root. */
import { randomUUID } from 'node:crypto';
import { access, constants } from 'node:fs/promises';
import { join } from 'node:path';
import { ControlClient } from '../adapters/control/client';
import { PeerClient } from '../adapters/control/peer-client';
import { createPeerServer } from '../adapters/control/peer-server';
import { createLog, type Log } from '../adapters/log';
import { baseBackupsOf } from '../core/archive/backups';
import { type Upstream, type VolumeReport } from '../core/protocol';
import { type Machine } from '../core/settings';
import { Archive } from './archive/archive';
import { Backups } from './backup/backups';
import {
  parseEnvironment,
  readSecrets,
  type InstanceEnvironment,
  type Secrets,
} from './environment';
import { startGuard } from './guard';
import { serveHealth } from './health-server';
import { Instance } from './instance';
import { InstanceMetrics } from './instance-metrics';
import { LocalPostgres } from './local-postgres';
import { type LocalState, type Remembered } from './local-state';
import { perform, prepareMachine } from './perform';
import { type InstanceParts } from './ports';
import { newestDivergence } from './rejoin/kept-wal';
import { Rehearsals } from './restore/rehearsals';
import { Present } from './restore/present';
import { RoomKeeper } from './room-keeper';
import { Restoring } from './restore/restoring';
import { ownAddressIn } from './own-address';
import { LimitsWatch } from './limits-watch';
import { Summaries } from './summaries';
import { dataDirectory, NO_MARKS, openVolume, spoolFolder, readMarks, readVolume } from './volume';

/** Runs until SIGTERM or SIGINT, and then until PostgreSQL has stopped; the process's exit code. */
export async function runInstance(variables: NodeJS.ProcessEnv): Promise<number> {
  const environment = parseEnvironment(variables);
  const { cluster, server } = environment;
  const log = createLog({ component: 'instance', cluster, server });
  const secrets = await readSecrets(environment.secretsDirectory);
  const machine = await prepareMachine(environment, secrets);
  const volume = await volumeOf(environment);
  log.info('Instance manager started', { volume: volume.kind, postgres: machine.majorVersion });
  const metrics = new InstanceMetrics(environment);
  const peers = new PeerClient({ cluster, key: secrets.control, port: environment.peerPort });
  const archive: Archive = new Archive({
    volume: environment.archiveVolume,
    socket: machine.wal.socket,
    walDirectory: join(dataDirectory(environment.dataVolume), 'pg_wal'),
    spoolDirectory: spoolFolder(environment.dataVolume),
    peers,
    backups: () => baseBackupsOf(backups.listed),
    meter: metrics,
    log,
  });
  await archive.listen();
  const backups: Backups = new Backups({
    cluster,
    machine,
    volume: environment.archiveVolume,
    dataDirectory: dataDirectory(environment.dataVolume),
    binDirectory: environment.binDirectory,
    peers,
    wal: archive,
    log,
  });
  backups.begin();
  const rehearsals = new Rehearsals({
    volume: environment.archiveVolume,
    runDirectory: environment.runDirectory,
    walCommand: environment.walCommand,
    previewPort: environment.previewPort,
    binDirectory: environment.binDirectory,
    archive,
    backups,
    log,
  });
  const instance = new Instance({
    identity: { cluster, server, bootId: randomUUID() },
    taskId: environment.taskId,
    volume,
    remembered: await rememberedBy(environment),
    stopGraceMs: environment.stopGraceMs,
    control: metrics.timed(
      new ControlClient({
        cluster,
        key: secrets.control,
        operators: environment.operators,
        operatorPort: environment.operatorPort,
      }),
    ),
    peers,
    log,
    ownAddress: ownAddressIn,
    assemble: (state, onChange) =>
      assemble(
        { environment, secrets, machine, archive, backups, rehearsals, metrics, log },
        state,
        onChange,
      ),
  });
  const peerServer = createPeerServer({
    cluster,
    server,
    key: secrets.control,
    onPromise: (request) => instance.promise(request),
    archive,
    backups,
    log,
  });
  peerServer.on('error', (error) => {
    log.error('Peers cannot ask for promises', {
      port: environment.peerPort,
      error: error.message,
    });
  });
  // Without the volume's lock another container may be this server: a promise would bind nobody.
  if (environment.volumeProblem === null) peerServer.listen(environment.peerPort);
  metrics.show(() => instance.health());
  const health = await serveHealth(
    environment.httpPort,
    () => instance.health(),
    metrics.exposition,
    log,
  );
  const terminate = (signal: NodeJS.Signals): void => {
    log.info('Told to end: stopping PostgreSQL', { signal });
    instance.terminate();
  };
  process.on('SIGTERM', terminate).on('SIGINT', terminate);
  const mending = isRefused(volume) ? setInterval(() => void lookAgain(), MENDING_POLL_MS) : null;
  const lookAgain = async (): Promise<void> => {
    if (isRefused(await volumeNow(environment))) return;
    log.info('The data volume can be used now: beginning anew, with its lock');
    instance.terminate();
  };
  await instance.run();
  if (mending !== null) clearInterval(mending);
  process.off('SIGTERM', terminate).off('SIGINT', terminate);
  for (const server of [health, peerServer]) {
    server.closeAllConnections();
    server.close();
  }
  archive.close();
  backups.close();
  await rehearsals.close();
  peers.close();
  log.info('Instance manager ended');
  return 0;
}

interface Surroundings {
  readonly environment: InstanceEnvironment;
  readonly secrets: Secrets;
  readonly machine: Machine;
  readonly archive: Archive;
  readonly backups: Backups;
  readonly rehearsals: Rehearsals;
  readonly metrics: InstanceMetrics;
  readonly log: Log;
}

/** PostgreSQL, its guard, and the hands that act on both. */
function assemble(
  { environment, secrets, machine, archive, backups, rehearsals, metrics, log }: Surroundings,
  state: LocalState,
  onChange: () => void,
): InstanceParts {
  const directory = dataDirectory(environment.dataVolume);
  const { binDirectory, startTimeoutMs } = environment;
  const address = { socketDirectory: machine.socketDirectory, port: machine.port };
  const postgres = new LocalPostgres({
    directory,
    binDirectory,
    address,
    startTimeoutMs,
    shippedLsn: () => archive.shippedLsn,
    meter: metrics,
    log,
    onChange: () => {
      archive.stopping(postgres.report.state === 'stopping');
      onChange();
    },
  });
  const { majorVersion } = machine;
  const room = new RoomKeeper({
    volume: environment.dataVolume,
    postgres,
    walPilingUp: () => archive.walPilingUp,
    log,
    onChange,
  });
  const summaries = new Summaries({ directory, majorVersion, postgres, log });
  new LimitsWatch({ state, machine, directory, binDirectory, log });
  const restored = (): string | null => state.values.marks.restored;
  const missed = (): string | null => state.values.missed;
  const upstream = (): Upstream | null => state.values.upstream;
  const password = secrets.replication;
  const present = new Present({ archive, postgres, upstream, password, log });
  rehearsals.include(present);
  const restoring = new Restoring({
    ...{ archive, present, backups, postgres, restored, missed, onChange },
    volume: environment.dataVolume,
  });
  return {
    postgres,
    room,
    archive,
    backups,
    rehearsals,
    restoring,
    guard: startGuard({ directory, log, onEnd: onChange, onReady: onChange }),
    perform: async (action, signal) =>
      await perform(
        {
          ...{ environment, secrets, machine, postgres, room, archive, backups, restoring },
          ...{ summaries, state, log },
        },
        action,
        signal,
      ),
  };
}

/** A volume that is refused is looked at again this often: a person may be mending it. */
const MENDING_POLL_MS = 3000;

const isRefused = ({ kind }: VolumeReport): boolean => kind === 'foreign' || kind === 'unusable';

/**
 * The entrypoint's problem is over when the volume can be written. Read only: this process may not
 * hold the lock, which only the entrypoint can take.
 */
async function volumeNow(environment: InstanceEnvironment): Promise<VolumeReport> {
  const { dataVolume, volumeProblem } = environment;
  const isWritable = await access(dataVolume, constants.W_OK).then(
    () => true,
    () => false,
  );
  if (!isWritable) return { kind: 'unusable', detail: volumeProblem ?? 'it cannot be written' };
  return await readVolume(dataVolume, environment);
}

/** What earlier boots have written into the volume. */
async function rememberedBy({ dataVolume }: InstanceEnvironment): Promise<Remembered> {
  return {
    marks: await readMarks(dataVolume).catch(() => NO_MARKS),
    divergence: await newestDivergence(dataVolume).catch(() => null),
  };
}

async function volumeOf(environment: InstanceEnvironment): Promise<VolumeReport> {
  const { volumeProblem, dataVolume } = environment;
  if (volumeProblem !== null) return { kind: 'unusable', detail: volumeProblem };
  return await openVolume(dataVolume, environment);
}
