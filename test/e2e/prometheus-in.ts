/** A Prometheus in the Swarm, deployed as docs/how-to/monitoring.md says, but for its image. */
import { join } from 'node:path';
import { Prometheus } from '../integration/support/prometheus';
import { productImage } from '../lab/images';
import { run } from '../lab/shell';
import { readMonitoring } from '../support/monitoring';
import { type Deployment } from './deployment';

const SERVICE = 'prometheus';
const PORT = 9090;
const HOME = '/prometheus';

/** `programs`: the folder with its binary. It goes with the lab, or with the next one of its name. */
export async function prometheusIn(deployment: Deployment, programs: string): Promise<Prometheus> {
  const { lab } = deployment;
  const docker = (...args: readonly string[]): Promise<string> =>
    run(['docker', '-H', lab.docker('n1'), ...args]);
  await deployment.docker(['service', 'rm', SERVICE]).catch(() => undefined);
  // Nothing runs in it: files of this machine get into the volume through it.
  const holder = await docker('create', '-v', `${SERVICE}:${HOME}`, productImage);
  const configuration = deployment.file('prometheus.yml', hasty());
  const files = [configuration, deployment.file('alerts.yml', readMonitoring('alerts.yml'))];
  for (const file of [...files, join(programs, 'prometheus')]) {
    await docker('cp', file, `${holder}:${HOME}/`);
  }
  await docker('rm', holder);
  await deployment.docker([
    ...['service', 'create', '-d', '--name', SERVICE, '--user', 'root', '--no-resolve-image'],
    ...['--network', 'pgswarm_control', '--constraint', 'node.hostname==n1'],
    ...['--publish', `mode=host,target=${PORT},published=${PORT}`],
    ...['--mount', 'type=bind,src=/var/run/docker.sock,dst=/var/run/docker.sock,readonly'],
    ...['--mount', `type=volume,src=${SERVICE},dst=${HOME}`],
    ...['--entrypoint', `${HOME}/prometheus`, productImage],
    ...[`--config.file=${HOME}/prometheus.yml`, '--storage.tsdb.path=/tmp/data'],
  ]);
  return Prometheus.at(`http://${lab.address('n1')}:${PORT}`);
}

const hasty = (): string => readMonitoring('prometheus.yml').replaceAll('15s', '1s');
