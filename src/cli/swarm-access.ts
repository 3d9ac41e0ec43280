/** The Swarm of this environment: its manager's Docker, and through that the operator. */
import { performance } from 'node:perf_hooks';
import { OPERATOR_SERVICE } from '../core/names';
import { openDocker, type Docker } from '../adapters/swarm/docker';
import { findDocker } from '../adapters/swarm/endpoint';
import { hasCode } from '../adapters/swarm/errors';
import { observeSwarm } from '../adapters/swarm/observe';
import { createStore } from '../adapters/swarm/store';
import { DockerExec } from './docker-exec';
import { createOperatorClient } from './operator-client';
import { type LogOptions, type SwarmAccess } from './ports';

export function openSwarm(): SwarmAccess {
  const docker = openDocker();
  const exec = new DockerExec(findDocker());
  return {
    store: createStore(docker),
    operator: createOperatorClient((command) => exec.tunnel(command)),
    observe: (cluster) => observeSwarm(docker, cluster, () => performance.now()),
    operatorImage: () => imageOfOperator(docker),
    serviceLog: (service, options) => serviceLog(docker, service, options),
    execute: (execution) => exec.run(execution),
  };
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
