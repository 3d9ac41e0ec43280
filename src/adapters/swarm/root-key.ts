/**
 * Brings the root key into the operators' containers. The leading operator makes it, as a Docker
 * secret, and adds it to its own service: an update that restarts the operators once. The same
 * heals the service after a `docker stack deploy`, which takes the secret away again because the
 * stack file does not know it. Nobody has to prepare a secret before installing.
 */
import { randomBytes } from 'node:crypto';
import { hostname } from 'node:os';
import { OperatingError } from '../../core/errors';
import { ROOT_KEY_SECRET } from '../../core/names';
import { type Docker } from './docker';
import { hasCode } from './errors';

const KEY_BYTES = 32;
/** Readable for root only; the operator runs as root, because of Docker's socket. */
const FILE = { Name: ROOT_KEY_SECRET, UID: '0', GID: '0', Mode: 0o400 };
const ATTEMPTS_MAX = 5;

export type Mounted = 'mounted' | 'was mounted already';

/** Call it only while leading, and only when the key's file is missing. */
export async function mountRootKey(
  docker: Docker,
  containerId: string = hostname(),
): Promise<Mounted> {
  const service = await ownService(docker, containerId);
  const secretId = await ensureSecret(docker);
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await addToService(docker, service, secretId);
    } catch (error) {
      const isStale = error instanceof OperatingError && error.kind === 'stale';
      if (!isStale || attempt === ATTEMPTS_MAX) throw error;
    }
  }
}

/** Image and name of the service that this program runs in; null outside of Swarm. */
export async function ownImage(
  docker: Docker,
  containerId: string = hostname(),
): Promise<string | null> {
  try {
    const name = await ownService(docker, containerId);
    const service = (await docker.get(`/services/${name}`)) as ServiceAnswer;
    return service.Spec.TaskTemplate.ContainerSpec.Image;
  } catch (error) {
    if (hasCode(error, 'NotFound') || hasCode(error, 'NotInService')) return null;
    throw error;
  }
}

interface SecretReference {
  readonly SecretID: string;
  readonly SecretName: string;
  readonly File: unknown;
}

interface ServiceAnswer {
  readonly ID: string;
  readonly Version: { readonly Index: number };
  readonly Spec: {
    readonly TaskTemplate: {
      readonly ContainerSpec: {
        readonly Image: string;
        readonly Secrets?: readonly SecretReference[] | null;
      };
    };
  };
}

/** Swarm labels every container with its service; a container's host name is its short id. */
async function ownService(docker: Docker, containerId: string): Promise<string> {
  const container = (await docker.get(`/containers/${containerId}/json`)) as {
    Config: { Labels?: Readonly<Record<string, string>> | null };
  };
  const name = container.Config.Labels?.['com.docker.swarm.service.name'];
  if (name !== undefined) return name;
  const text = `The container ${containerId} belongs to no Swarm service. Run the operator as one: docker stack deploy -c manifests/pgswarm.yaml pgswarm.`;
  throw new OperatingError('refused', 'NotInService', text);
}

async function ensureSecret(docker: Docker): Promise<string> {
  const existing = await findSecret(docker);
  if (existing !== null) return existing;
  const data = Buffer.from(randomBytes(KEY_BYTES).toString('hex')).toString('base64');
  try {
    const body = { Name: ROOT_KEY_SECRET, Data: data };
    const { ID: id } = (await docker.post('/secrets/create', { body })) as { ID: string };
    return id;
  } catch (error) {
    // Somebody was faster; theirs is as good.
    const other = hasCode(error, 'AlreadyExists') ? await findSecret(docker) : null;
    if (other === null) throw error;
    return other;
  }
}

async function findSecret(docker: Docker): Promise<string | null> {
  const query = { filters: { name: [ROOT_KEY_SECRET] } };
  const found = (await docker.get('/secrets', { query })) as {
    ID: string;
    Spec: { Name: string };
  }[];
  return found.find(({ Spec: { Name: name } }) => name === ROOT_KEY_SECRET)?.ID ?? null;
}

async function addToService(docker: Docker, name: string, secretId: string): Promise<Mounted> {
  const service = (await docker.get(`/services/${name}`)) as ServiceAnswer;
  const { TaskTemplate: template } = service.Spec;
  const others = (template.ContainerSpec.Secrets ?? []).filter(
    ({ SecretName: secret }) => secret !== ROOT_KEY_SECRET,
  );
  const own = { SecretID: secretId, SecretName: ROOT_KEY_SECRET, File: FILE };
  const isThere = template.ContainerSpec.Secrets?.some(({ SecretID: id }) => id === secretId);
  if (isThere === true) return 'was mounted already';
  const container = { ...template.ContainerSpec, Secrets: [...others, own] };
  const body = { ...service.Spec, TaskTemplate: { ...template, ContainerSpec: container } };
  const query = { version: service.Version.Index };
  await docker.post(`/services/${service.ID}/update`, { query, body });
  return 'mounted';
}
