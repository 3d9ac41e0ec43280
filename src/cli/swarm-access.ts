/** The Swarm of this environment: its manager's Docker, and through that the operator. */
import { performance } from 'node:perf_hooks';
import { CLUSTER_LABEL, OPERATOR_SERVICE } from '../core/names';
import { openDocker, type Docker } from '../adapters/swarm/docker';
import { findDocker } from '../adapters/swarm/endpoint';
import { hasCode } from '../adapters/swarm/errors';
import { observeSwarm } from '../adapters/swarm/observe';
import { createStore } from '../adapters/swarm/store';
import { DockerExec } from './docker-exec';
import { createOperatorClient } from './operator-client';
import { type Fact, type LogOptions, type SwarmAccess } from './ports';

export function openSwarm(): SwarmAccess {
  const docker = openDocker();
  const exec = new DockerExec(findDocker());
  return {
    store: createStore(docker),
    operator: createOperatorClient((command) => exec.tunnel(command)),
    observe: (cluster) => observeSwarm(docker, cluster, () => performance.now()),
    operatorImage: () => imageOfOperator(docker),
    serviceLog: (service, options) => serviceLog(docker, service, options),
    facts: (cluster) => Promise.resolve(factsOf(docker, cluster)),
    execute: (execution) => exec.run(execution),
  };
}

/** Of the services only our own: what others run on this Swarm is not ours to show. */
function factsOf(docker: Docker, cluster: string): readonly Fact[] {
  const ofCluster = { filters: { label: [`${CLUSTER_LABEL}=${cluster}`] } };
  const ofOperator = { filters: { name: [OPERATOR_SERVICE] } };
  const ask = (path: string, query?: object) => (): Promise<unknown> =>
    docker.get(path, query === undefined ? {} : { query: { ...query } });
  return [
    { name: 'version', collect: ask('/version') },
    { name: 'info', collect: ask('/info') },
    { name: 'nodes', collect: ask('/nodes') },
    { name: 'services', collect: ask('/services', ofCluster) },
    { name: 'tasks', collect: ask('/tasks', ofCluster) },
    { name: 'networks', collect: ask('/networks', ofCluster) },
    { name: 'operator-service', collect: ask('/services', ofOperator) },
    {
      name: 'operator-tasks',
      collect: ask('/tasks', { filters: { service: [OPERATOR_SERVICE] } }),
    },
  ];
}

async function imageOfOperator(docker: Docker): Promise<string | null> {
  try {
    const service = (await docker.get(`/services/${OPERATOR_SERVICE}`)) as {
      Spec: { TaskTemplate: { ContainerSpec: { Image: string } } };
    };
    return service.Spec.TaskTemplate.ContainerSpec.Image;
  } catch (error) {
    if (hasCode(error, 'NotFound')) return null;
    throw error;
  }
}

function serviceLog(
  docker: Docker,
  service: string,
  { isFollowed, tail, signal }: LogOptions,
): Promise<NodeJS.ReadableStream> {
  const query = { stdout: true, stderr: true, follow: isFollowed, tail: String(tail) };
  return docker.stream(`/services/${encodeURIComponent(service)}/logs`, { query, signal });
}
