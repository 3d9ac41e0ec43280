/** The instance manager's composition root. */
import { randomUUID } from 'node:crypto';
import { ControlClient } from '../adapters/control/client';
import { createLog } from '../adapters/log';
import { type VolumeReport } from '../core/protocol';
import { parseEnvironment, readSecrets, type InstanceEnvironment } from './environment';
import { serveHealth } from './health-server';
import { Instance } from './instance';
import { prepareMachine } from './perform';
import { openVolume } from './volume';

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
  await instance.run();
  process.off('SIGTERM', terminate).off('SIGINT', terminate);
  health.closeAllConnections();
  health.close();
  log.info('Instance manager ended');
  return 0;
}

async function volumeOf(environment: InstanceEnvironment): Promise<VolumeReport> {
  const { volumeProblem, dataVolume } = environment;
  if (volumeProblem !== null) return { kind: 'unusable', detail: volumeProblem };
  return await openVolume(dataVolume, environment);
}
