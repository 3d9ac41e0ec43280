import { expect } from 'chai';
import { desiredObjects } from '../../src/core/desired';
import { serviceSpec, spec, surroundings } from '../support/swarm-objects';

describe('desired objects', () => {
  it('has one network, three secrets, and a service for each server', () => {
    const objects = desiredObjects(spec(), surroundings);
    expect(objects.network).to.deep.equal({
      name: 'pgswarm-orders',
      cluster: 'orders',
      subnet: '10.0.200.0/24',
    });
    expect(objects.secrets.map(({ name }) => name)).to.deep.equal([
      'pgswarm.orders.control.c0',
      'pgswarm.orders.owner.o0',
      'pgswarm.orders.replication.r0',
    ]);
    expect(objects.services.map(({ name, server }) => [name, server])).to.deep.equal([
      ['pgswarm-orders-pg1', 'pg1'],
      ['pgswarm-orders-pg2', 'pg2'],
    ]);
  });

  it('leaves out a server whose node is not known', () => {
    const { services } = desiredObjects(spec(), { ...surroundings, nodeIds: { pg2: 'node2' } });
    expect(services.map(({ server }) => server)).to.deep.equal(['pg2']);
  });

  it('does not depend on who is primary: a change of role replaces no container', () => {
    const before = desiredObjects(spec({ primary: 'pg1' }), surroundings);
    const after = desiredObjects(spec({ primary: 'pg2' }), surroundings);
    expect(after).to.deep.equal(before);
  });

  it('ties a server to its node, its volumes and its port', () => {
    const { TaskTemplate, EndpointSpec } = serviceSpec();
    expect(TaskTemplate.Placement.Constraints).to.deep.equal(['node.id==node1']);
    expect(TaskTemplate.ContainerSpec['Mounts']).to.deep.include({
      Type: 'volume',
      Source: 'pgswarm.orders.pg1.data',
      Target: '/var/lib/pgswarm/data',
      VolumeOptions: {
        Labels: { 'dev.pgswarm.cluster': 'orders', 'dev.pgswarm.server': 'pg1' },
      },
    });
    expect(EndpointSpec['Ports']).to.deep.equal([
      { Protocol: 'tcp', TargetPort: 5432, PublishedPort: 5432, PublishMode: 'host' },
    ]);
  });

  const images = [
    { name: 'the operator’s own image when the spec names none', image: null, uses: 'pgswarm:dev' },
    { name: 'the image that the spec names', image: 'mine:1', uses: 'mine:1' },
  ];
  for (const { name, image, uses } of images) {
    it(`uses ${name}`, () => {
      expect(serviceSpec({ image }).TaskTemplate.ContainerSpec['Image']).to.equal(uses);
    });
  }
});
