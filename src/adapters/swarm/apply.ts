/**
 * Does one step. Each is idempotent: what exists already or has changed in the meantime is `stale`,
 * so that the controller looks again, and what is gone already is removed.
 */
import { OperatingError } from '../../core/errors';
import { CLUSTER_LABEL, secretName } from '../../core/names';
import {
  type NetworkDesired,
  type SecretDesired,
  type ServiceSpecDesired,
  type SwarmStep,
} from '../../core/steps';
import { fingerprint } from '../keys';
import { type Docker } from './docker';
import { hasCode } from './errors';
import { removeVolumes } from './volumes';

/** The value behind a secret of a cluster; null while it cannot be derived. */
export type SecretValue = (secret: SecretDesired) => string | null;

/** Swarm's part of a service update takes longer than other calls when a registry is asked. */
const SERVICE_TIMEOUT_MS = 15_000;

export async function applyStep(
  docker: Docker,
  step: SwarmStep,
  valueOf: SecretValue,
): Promise<void> {
  switch (step.kind) {
    case 'create-network':
      return createNetwork(docker, step.network);
    case 'create-secret':
      return createSecret(docker, step.secret, valueOf(step.secret));
    case 'create-service':
      return createService(docker, step.service.spec);
    case 'update-service':
      return updateService(docker, step.service.spec, step);
    case 'remove-service':
      return remove(docker, `/services/${step.id}`);
    case 'remove-secret':
      return remove(docker, `/secrets/${step.id}`);
    case 'remove-network':
      return remove(docker, `/networks/${step.id}`);
    case 'remove-volumes':
      return removeVolumes(docker, step);
  }
}

async function createNetwork(docker: Docker, network: NetworkDesired): Promise<void> {
  await docker.post('/networks/create', {
    body: {
      Name: network.name,
      CheckDuplicate: true,
      Driver: 'overlay',
      // Containers outside of Swarm may use the database, too.
      Attachable: true,
      IPAM: { Config: [{ Subnet: network.subnet }] },
      Labels: { [CLUSTER_LABEL]: network.cluster },
    },
  });
}

async function createSecret(
  docker: Docker,
  { name, cluster, purpose }: SecretDesired,
  value: string | null,
): Promise<void> {
  // The name was decided from a fingerprint; another value under it would never be noticed again.
  if (value === null || name !== secretName(cluster, purpose, fingerprint(value))) {
    const text = `The secret ${name} was decided for another key than the present one.`;
    throw new OperatingError('stale', 'StaleSecret', text);
  }
  const data = Buffer.from(value).toString('base64');
  const body = { Name: name, Labels: { [CLUSTER_LABEL]: cluster }, Data: data };
  await docker.post('/secrets/create', { body });
}

async function createService(docker: Docker, spec: ServiceSpecDesired): Promise<void> {
  const body = await withIds(docker, spec);
  await docker.post('/services/create', { body, timeoutMs: SERVICE_TIMEOUT_MS });
}

async function updateService(
  docker: Docker,
  spec: ServiceSpecDesired,
  { id, version }: { readonly id: string; readonly version: number },
): Promise<void> {
  const path = `/services/${id}`;
  const seen = (await docker.get(path)) as ServiceAnswer;
  const { TaskTemplate: template, ...rest } = await withIds(docker, spec);
  // Somebody's `docker service update --force` counts up here; another number restarts the task.
  const ForceUpdate = seen.Spec.TaskTemplate?.ForceUpdate ?? 0;
  const body = { ...rest, TaskTemplate: { ...template, ForceUpdate } };
  await docker.post(`${path}/update`, { query: { version }, body, timeoutMs: SERVICE_TIMEOUT_MS });
}

async function remove(docker: Docker, path: string): Promise<void> {
  try {
    await docker.delete(path);
  } catch (error) {
    if (!hasCode(error, 'NotFound')) throw error;
  }
}

// ── names to ids ─────────────────────────────────────────────────────────────────────────────

interface ServiceAnswer {
  readonly Spec: { readonly TaskTemplate?: { readonly ForceUpdate?: number } };
}

interface SecretReference {
  readonly SecretName: string;
}

/** Docker finds networks by name, but a name may be that of several; secrets it wants by id. */
async function withIds(docker: Docker, spec: ServiceSpecDesired): Promise<ServiceSpecDesired> {
  const { TaskTemplate: template } = spec;
  const references = (template.ContainerSpec['Secrets'] ?? []) as readonly SecretReference[];
  const networks = await Promise.all(
    template.Networks.map(async (network) => ({
      ...network,
      Target: await networkId(docker, network.Target),
    })),
  );
  const secrets = await Promise.all(
    references.map(async (reference) => ({
      ...reference,
      SecretID: await secretId(docker, reference.SecretName),
    })),
  );
  return {
    ...spec,
    TaskTemplate: {
      ...template,
      Networks: networks,
      ContainerSpec: { ...template.ContainerSpec, Secrets: secrets },
    },
  };
}

async function networkId(docker: Docker, name: string): Promise<string> {
  const query = { filters: { name: [name], scope: ['swarm'] } };
  const found = (await docker.get('/networks', { query })) as { Id: string; Name: string }[];
  return only(
    `network ${name}`,
    found.filter((each) => each.Name === name).map((each) => each.Id),
  );
}

async function secretId(docker: Docker, name: string): Promise<string> {
  const query = { filters: { name: [name] } };
  const found = (await docker.get('/secrets', { query })) as {
    ID: string;
    Spec: { Name: string };
  }[];
  return only(
    `secret ${name}`,
    found.filter((each) => each.Spec.Name === name).map((each) => each.ID),
  );
}

/** Docker's name filter also finds names that only begin so; the caller has kept the exact ones. */
function only(what: string, ids: readonly string[]): string {
  const [id, ...others] = ids;
  if (id !== undefined && others.length === 0) return id;
  const text = `There ${id === undefined ? 'is no' : 'is more than one'} ${what} in the Swarm.`;
  throw new OperatingError('stale', 'ReferenceMissing', text);
}
