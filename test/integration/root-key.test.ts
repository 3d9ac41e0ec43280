/** The root key's way into a service's own containers. DOCKER_HOST must name a manager with the image. */
import { expect } from 'chai';
import { randomBytes } from 'node:crypto';
import { type Docker, openDocker, requireManager } from '../../src/adapters/swarm/docker';
import { mountRootKey, ownImage } from '../../src/adapters/swarm/root-key';
import { ROOT_KEY_SECRET } from '../../src/core/names';
import { eventually } from '../support/eventually';

const IMAGE = 'pgswarm:dev';

interface Container {
  readonly Id: string;
  readonly Created: number;
}

describe('the root key in Swarm', function () {
  this.timeout(120_000);
  const name = `test-root-key-${randomBytes(3).toString('hex')}`;
  let docker: Docker;

  before(async function () {
    if (process.env['DOCKER_HOST'] === undefined) {
      console.log('    skipped: DOCKER_HOST names no Swarm manager');
      this.skip();
    }
    docker = openDocker();
    await requireManager(docker);
    const images = (await docker.get('/images/json', {
      query: { filters: { reference: [IMAGE] } },
    })) as unknown[];
    if (images.length === 0) {
      console.log(`    skipped: this Docker has no image ${IMAGE}`);
      this.skip();
    }
    await docker.post('/services/create', { body: sleepingOperator(name) });
  });

  after(async () => {
    await docker.delete(`/services/${name}`).catch(() => undefined);
  });

  /** The newest running container of the service, as the operator in it would know itself. */
  const container = async (): Promise<string> => {
    const filters = { label: [`com.docker.swarm.service.name=${name}`], status: ['running'] };
    const found = (await docker.get('/containers/json', { query: { filters } })) as Container[];
    const newest = found.toSorted((a, b) => a.Created - b.Created).at(-1);
    if (newest === undefined) throw new Error('it does not run yet');
    return newest.Id.slice(0, 12);
  };

  const mounts = async (): Promise<readonly string[]> => {
    const service = (await docker.get(`/services/${name}`)) as {
      Spec: { TaskTemplate: { ContainerSpec: { Secrets?: { SecretName: string }[] } } };
    };
    const { Secrets: secrets = [] } = service.Spec.TaskTemplate.ContainerSpec;
    return secrets.map(({ SecretName: secret }) => secret);
  };

  it('is made and mounted once, and the operator restarts with it', async () => {
    const first = await eventually(container);
    expect(await ownImage(docker, first)).to.equal(IMAGE);
    expect(await mountRootKey(docker, first)).to.equal('mounted');
    expect(await mountRootKey(docker, first)).to.equal('was mounted already');
    expect(await mounts()).to.deep.equal([ROOT_KEY_SECRET]);
    await eventually(async () => {
      expect(await container()).to.not.equal(first);
    });
  });

  it('comes back when a deployment has taken it away', async () => {
    const { Version, Spec } = (await docker.get(`/services/${name}`)) as {
      Version: { Index: number };
      Spec: object;
    };
    expect(Spec).to.not.equal(undefined);
    const body = sleepingOperator(name);
    await docker.post(`/services/${name}/update`, { query: { version: Version.Index }, body });
    expect(await mounts()).to.deep.equal([]);
    await mountRootKey(docker, await eventually(container));
    expect(await mounts()).to.deep.equal([ROOT_KEY_SECRET]);
  });

  it('is refused outside of a service, with what to do', async () => {
    const body = { Image: IMAGE, Entrypoint: ['sleep', '60'] };
    const made = (await docker.post('/containers/create', { body })) as { Id: string };
    try {
      let message = '';
      await mountRootKey(docker, made.Id).catch((error: unknown) => (message = String(error)));
      expect(message).to.match(/belongs to no Swarm service.*docker stack deploy/);
      expect(await ownImage(docker, made.Id)).to.equal(null);
    } finally {
      await docker.delete(`/containers/${made.Id}`);
    }
  });
});

function sleepingOperator(name: string): unknown {
  return {
    Name: name,
    TaskTemplate: {
      ContainerSpec: { Image: IMAGE, Command: ['sleep', '3600'], StopGracePeriod: 1 },
      Placement: { Constraints: ['node.role==manager'] },
      RestartPolicy: { Condition: 'any', Delay: 1_000_000 },
    },
    Mode: { Global: {} },
  };
}
