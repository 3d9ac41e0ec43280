/** The instance manager's composition root. */
import { randomUUID } from 'node:crypto';
import { access, constants } from 'node:fs/promises';
import { ControlClient } from '../adapters/control/client';
import { createLog } from '../adapters/log';
import { type VolumeReport } from '../core/protocol';
import { parseEnvironment, readSecrets, type InstanceEnvironment } from './environment';
import { serveHealth } from './health-server';
import { Instance } from './instance';
import { prepareMachine } from './perform';
import { openVolume, readVolume } from './volume';

/** Runs until SIGTERM or SIGINT, and then until PostgreSQL has stopped; the process's exit code. */
export async function runInstance(variables: NodeJS.ProcessEnv): Promise<number> {
  const environment = parseEnvironment(variables);
  const { cluster, server } = environment;
  const log = createLog({ component: 'instance', cluster, server });
  const secrets = await readSecrets(environment.secretsDirectory);
  const machine = await prepareMachine(environment, secrets);
  const volume = await volumeOf(environment);
  log.info('Instance manager started', { volume: volume.kind, postgres: machine.majorVersion });
  const instance = new Instance({
    environment,
    secrets,
    machine,
    volume,
    identity: { cluster, server, bootId: randomUUID() },
    control: new ControlClient({
      cluster,
      key: secrets.control,
      operators: environment.operators,
      operatorPort: environment.operatorPort,
    }),
    log,
  });
  const health = await serveHealth(environment.httpPort, () => instance.health());
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
  health.closeAllConnections();
  health.close();
  log.info('Instance manager ended');
  return 0;
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

async function volumeOf(environment: InstanceEnvironment): Promise<VolumeReport> {
  const { volumeProblem, dataVolume } = environment;
  if (volumeProblem !== null) return { kind: 'unusable', detail: volumeProblem };
  return await openVolume(dataVolume, environment);
}
