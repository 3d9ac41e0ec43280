/** What pgswarm asks of Swarm, and what Swarm makes of it: DOCKER_HOST must name a manager. */
import { expect } from 'chai';
import { randomBytes } from 'node:crypto';
import { deriveSecrets, fingerprints } from '../../src/adapters/keys';
import { openDocker, requireManager, type Docker } from '../../src/adapters/swarm/docker';
import { createSwarm } from '../../src/adapters/swarm/swarm';
import { desiredObjects, type DesiredObjects } from '../../src/core/desired';
import { differences } from '../../src/core/diff';
import { CONTROL_NETWORK } from '../../src/core/names';
import { type ServiceSeen, type SwarmSeen, type TaskSeen } from '../../src/core/observation';
import { type ServiceDesired } from '../../src/core/steps';
import { type Swarm } from '../../src/core/ports';
import { spec } from '../support/swarm-objects';
import { eventually } from '../support/eventually';
import { failureOf } from '../support/failure';

describe('Swarm', function () {
  this.timeout(120_000);
  const cluster = `test-${randomBytes(3).toString('hex')}`;
  const secrets = deriveSecrets(randomBytes(32), cluster, 'uid');
  const declared = spec({
    cluster,
    network: { subnet: '10.213.77.0/24' },
    servers: [{ name: 'pg1', node: { hostname: 'any' }, port: 15_999 }],
  });
  let docker: Docker;
  let swarm: Swarm;
  let objects: DesiredObjects;
  let service: ServiceDesired;
  let isControlNetworkOurs = false;

  before(async function () {
    if (process.env['DOCKER_HOST'] === undefined) {
      console.log('    skipped: DOCKER_HOST names no Swarm manager');
      this.skip();
    }
    docker = openDocker();
    await requireManager(docker);
    const clock = { monotonicMs: () => performance.now(), now: () => new Date() };
    swarm = createSwarm(docker, clock, ({ purpose }) => secrets[purpose]);
    const { nodes, networks } = await swarm.observe(cluster);
    objects = desiredObjects(declared, {
      uid: 'uid',
      image: 'pgswarm:dev',
      nodeIds: { pg1: nodes[0]!.id },
      first: null,
      fingerprints: fingerprints(secrets),
    });
    service = objects.services[0]!;
    if (networks.some(({ name }) => name === CONTROL_NETWORK)) return;
    const body = { Name: CONTROL_NETWORK, Driver: 'overlay', Attachable: true };
    await docker.post('/networks/create', { body });
    isControlNetworkOurs = true;
  });

  after(async () => {
    const seen = await swarm.observe(cluster);
    for (const { id, name } of seen.services) {
      await swarm.apply({ kind: 'remove-service', id, name });
    }
    for (const { id, name } of seen.secrets) await swarm.apply({ kind: 'remove-secret', id, name });
    await removeVolumesWhereTheTaskRan();
    const ours = seen.networks.filter((each) => each.cluster === cluster);
    for (const { id, name } of ours) {
      await eventually(() => swarm.apply({ kind: 'remove-network', id, name }));
    }
    if (isControlNetworkOurs) {
      await eventually(() => docker.delete(`/networks/${CONTROL_NETWORK}`));
    }
  });

  /** A Docker without the image ran neither the task nor runs the job: there is nothing to remove. */
  async function removeVolumesWhereTheTaskRan(): Promise<void> {
    const { Volumes: left } = (await docker.get('/volumes')) as { Volumes: { Name: string }[] };
    const volumes = left.map(({ Name: name }) => name).filter((name) => name.includes(cluster));
    if (volumes.length === 0) return;
    const { id: nodeId } = (await swarm.observe(cluster)).nodes[0]!;
    const server = 'pg1';
    await swarm.apply({ kind: 'remove-volumes', server, nodeId, image: 'pgswarm:dev', volumes });
    const { Volumes: after } = (await docker.get('/volumes')) as { Volumes: { Name: string }[] };
    expect(after.map(({ Name: name }) => name)).to.not.include.members(volumes);
  }

  const seenService = async (): Promise<ServiceSeen> => (await swarm.observe(cluster)).services[0]!;
  const differencesNow = (seen: SwarmSeen): readonly string[] => {
    const ids = Object.fromEntries(seen.networks.map(({ name, id }) => [name, id]));
    return differences(service.spec, seen.services[0]!.spec, ids);
  };
  const update = async (spec: ServiceDesired['spec']): Promise<void> => {
    const { id, version } = await seenService();
    await swarm.apply({
      kind: 'update-service',
      service: { ...service, spec },
      id,
      version,
      differences: [],
    });
  };

  it('shows its nodes with an address', async () => {
    const { nodes } = await swarm.observe(cluster);
    expect(nodes).to.not.be.empty;
    for (const node of nodes) {
      expect(node).to.include({ state: 'ready', availability: 'active' });
      expect(node.address)
        .to.match(/^\d+\.\d+\.\d+\.\d+$/)
        .and.to.not.equal('0.0.0.0');
    }
  });

  it('refuses a service whose network and secrets are not there yet, as stale', async () => {
    const error = await failureOf(swarm.apply({ kind: 'create-service', service }));
    expect(error).to.include({ kind: 'stale', code: 'ReferenceMissing' });
  });

  it('makes the objects of a cluster, and then shows no differences', async () => {
    await swarm.apply({ kind: 'create-network', network: objects.network });
    for (const secret of objects.secrets) await swarm.apply({ kind: 'create-secret', secret });
    await swarm.apply({ kind: 'create-service', service });
    const seen = await swarm.observe(cluster);
    expect(seen.networks).to.deep.include.members([
      {
        id: seen.networks.find(({ name }) => name === objects.network.name)!.id,
        name: objects.network.name,
        cluster,
        driver: 'overlay',
        subnets: ['10.213.77.0/24'],
      },
    ]);
    expect(seen.secrets.map(({ name }) => name)).to.deep.equal(
      objects.secrets.map(({ name }) => name),
    );
    expect(differencesNow(seen)).to.deep.equal([]);
  });

  it('calls it stale when something is made for a second time', async () => {
    const again = [
      { kind: 'create-network', network: objects.network },
      { kind: 'create-secret', secret: objects.secrets[0]! },
      { kind: 'create-service', service },
    ] as const;
    for (const step of again) {
      expect(await failureOf(swarm.apply(step))).to.include({ kind: 'stale' });
    }
  });

  it('does not make a secret under a name that was decided for another value', async () => {
    const secret = { ...objects.secrets[0]!, name: `pgswarm.${cluster}.control.00000000` };
    const error = await failureOf(swarm.apply({ kind: 'create-secret', secret }));
    expect(error).to.include({ kind: 'stale', code: 'StaleSecret' });
  });

  it('shows the newest task with its node', async () => {
    const task = await taskWhere(({ nodeId }) => nodeId !== null);
    expect(task.service).to.equal(service.name);
  });

  it('restarts nothing when only a label of the service is put right', async () => {
    const before = (await taskWhere(() => true)).createdAt;
    await update({ ...service.spec, Labels: { ...service.spec.Labels, note: 'drift' } });
    expect(differencesNow(await swarm.observe(cluster))).to.deep.equal(['label note not wanted']);
    await update(service.spec);
    const seen = await swarm.observe(cluster);
    expect(differencesNow(seen)).to.deep.equal([]);
    const newest = seen.tasks.map(({ createdAt }) => createdAt).toSorted();
    const failed = seen.tasks.some(({ error }) => error !== null);
    if (!failed) expect(newest.at(-1)).to.equal(before);
  });

  it('refuses an update that was decided on an old version, as stale', async () => {
    const { id, version } = await seenService();
    const step = { kind: 'update-service', service, id, differences: [] } as const;
    const error = await failureOf(swarm.apply({ ...step, version: version - 1 }));
    expect(error).to.include({ kind: 'stale', code: 'StaleVersion' });
  });

  it('says why a task cannot run', async () => {
    const broken = structuredClone(service.spec) as { TaskTemplate: { Placement: object } };
    broken.TaskTemplate.Placement = { Constraints: ['node.id==nowhere'] };
    await update(broken as unknown as ServiceDesired['spec']);
    const task = await taskWhere(({ state, error }) => state === 'pending' && error !== null);
    expect(task.error).to.match(/no suitable node/);
  });

  it('announces changes', async () => {
    const seen = new Set<string>();
    const announced = new Promise<void>((resolve) => {
      const stop = swarm.watch(({ type, name }) => {
        seen.add(`${type} ${name}`);
        if (type === 'connection') void update({ ...service.spec, Labels: service.spec.Labels });
        if (!seen.has(`service ${service.name}`)) return;
        stop();
        resolve();
      });
    });
    await announced;
  });

  it('removes what is gone already without complaint', async () => {
    const { id, name } = await seenService();
    await swarm.apply({ kind: 'remove-service', id, name });
    await swarm.apply({ kind: 'remove-service', id, name });
    expect((await swarm.observe(cluster)).services).to.deep.equal([]);
  });

  async function taskWhere(predicate: (task: TaskSeen) => boolean): Promise<TaskSeen> {
    return eventually(async () => {
      const { tasks } = await swarm.observe(cluster);
      const task = tasks.find(predicate);
      if (task === undefined) throw new Error(`no such task in ${JSON.stringify(tasks)}`);
      return task;
    });
  }
});
