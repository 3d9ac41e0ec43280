/**
 * Removes volumes on another node. Only that node's own Docker can do it, so a job is run there
 * which has the node's socket.
 */
import { createHash } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import { OperatingError } from '../../core/errors';
import { type SwarmStep } from '../../core/steps';
import { type Docker } from './docker';
import { hasCode } from './errors';

type RemoveVolumes = Extract<SwarmStep, { kind: 'remove-volumes' }>;

/** The program in the image, see `volume-job.ts`. */
const PROGRAM = '/opt/pgswarm/dist/adapters/swarm/volume-job.js';
const SOCKET = '/var/run/docker.sock';
const JOB_TIMEOUT_MS = 60_000;
const LOOK_EVERY_MS = 300;

export async function removeVolumes(docker: Docker, step: RemoveVolumes): Promise<void> {
  const name = jobName(step);
  await removeService(docker, name);
  try {
    await docker.post('/services/create', { body: jobSpec(name, step) });
    await waitForJob(docker, name, step);
  } finally {
    await removeService(docker, name);
  }
}

/** Service names have at most 63 characters, volume names more. */
function jobName({ volumes }: RemoveVolumes): string {
  const digest = createHash('sha256').update(volumes.join('\n')).digest('hex').slice(0, 16);
  return `pgswarm-remove-volumes-${digest}`;
}

function jobSpec(name: string, { image, nodeId, volumes }: RemoveVolumes): unknown {
  return {
    Name: name,
    TaskTemplate: {
      ContainerSpec: {
        Image: image,
        Command: ['node', PROGRAM],
        Args: volumes,
        User: 'root',
        Env: [`DOCKER_HOST=unix://${SOCKET}`],
        Mounts: [{ Type: 'bind', Source: SOCKET, Target: SOCKET }],
      },
      Placement: { Constraints: [`node.id==${nodeId}`] },
      RestartPolicy: { Condition: 'none' },
    },
    Mode: { ReplicatedJob: { MaxConcurrent: 1, TotalCompletions: 1 } },
  };
}

interface JobTask {
  readonly Status: { readonly State: string; readonly Err?: string };
}

async function waitForJob(docker: Docker, service: string, step: RemoveVolumes): Promise<void> {
  const query = { filters: { service: [service] } };
  let state = 'new';
  for (let waitedMs = 0; waitedMs < JOB_TIMEOUT_MS; waitedMs += LOOK_EVERY_MS) {
    await pause(LOOK_EVERY_MS);
    const [task] = (await docker.get('/tasks', { query })) as JobTask[];
    state = task?.Status.State ?? state;
    if (state === 'complete') return;
    if (state === 'failed' || state === 'rejected') {
      const detail = task?.Status.Err ?? state;
      const advice = 'Another container may use them, as of a cluster that began with their data';
      throw failure(
        step,
        `the job there ended with: ${detail}. ${advice}; else remove them by hand`,
      );
    }
  }
  throw failure(step, `the job there is still ${state} after ${JOB_TIMEOUT_MS / 1000} s`);
}

function failure({ volumes, server }: RemoveVolumes, because: string): OperatingError {
  const text = `The volumes ${volumes.join(', ')} of ${server} were not removed: ${because}.`;
  return new OperatingError('transient', 'VolumesNotRemoved', text);
}

async function removeService(docker: Docker, name: string): Promise<void> {
  try {
    await docker.delete(`/services/${name}`);
  } catch (error) {
    if (!hasCode(error, 'NotFound')) throw error;
  }
}
