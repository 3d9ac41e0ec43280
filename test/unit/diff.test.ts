import { expect } from 'chai';
import { differences } from '../../src/core/diff';
import { type ServiceSpecDesired } from '../../src/core/steps';
import { serviceSpec } from '../support/swarm-objects';

/** Values by path into the service that Docker shows; undefined takes a value away. */
type Edits = Readonly<Record<string, unknown>>;

interface Row {
  readonly name: string;
  readonly edits: Edits;
  readonly expected: readonly string[];
}

const CONTAINER = 'TaskTemplate.ContainerSpec';
const networkIds = { 'pgswarm-orders': 'id-of-cluster', pgswarm_control: 'id-of-control' };

const desired = serviceSpec();
const { Env: env, Mounts: mounts } = desired.TaskTemplate.ContainerSpec as {
  Env: readonly string[];
  Mounts: readonly unknown[];
};

/** What Docker 20.10 and 26.1 make of a service that is made from `desired`. */
const BY_DOCKER: Edits = {
  [`${CONTAINER}.Isolation`]: 'default',
  [`${CONTAINER}.DNSConfig`]: {},
  [`${CONTAINER}.Init`]: undefined,
  [`${CONTAINER}.Secrets.0.SecretID`]: 'id-of-secret',
  'TaskTemplate.Placement.Platforms': [{ Architecture: 'x86_64', OS: 'linux' }],
  'TaskTemplate.RestartPolicy.MaxAttempts': undefined,
  'TaskTemplate.Networks.0.Target': 'id-of-cluster',
  'TaskTemplate.Networks.1.Target': 'id-of-control',
  'TaskTemplate.Runtime': 'container',
  'TaskTemplate.ForceUpdate': 3,
  'UpdateConfig.FailureAction': 'pause',
};

const rows: readonly Row[] = [
  { name: 'nothing when the service has just been made', edits: {}, expected: [] },
  {
    name: 'another image',
    edits: { [`${CONTAINER}.Image`]: 'pgswarm:old' },
    expected: ['image pgswarm:old → pgswarm:dev'],
  },
  {
    name: 'nothing when a registry has added the digest to the image',
    edits: { [`${CONTAINER}.Image`]: 'pgswarm:dev@sha256:abc' },
    expected: [],
  },
  {
    name: 'a service that was scaled down',
    edits: { 'Mode.Replicated.Replicas': 0 },
    expected: ['replicas 0 → 1'],
  },
  {
    name: 'a variable that was taken away, and one that was added',
    edits: { [`${CONTAINER}.Env`]: [...env.filter((each) => !each.includes('SERVER')), 'DEBUG=1'] },
    expected: ['env DEBUG not wanted', 'env PGSWARM_SERVER missing'],
  },
  {
    name: 'nothing when the variables are in another order',
    edits: { [`${CONTAINER}.Env`]: env.toReversed() },
    expected: [],
  },
  {
    name: 'a missing mount as one difference, not one for each of its fields',
    edits: { [`${CONTAINER}.Mounts`]: mounts.toSpliced(1, 1) },
    expected: ['mount /var/lib/pgswarm/archive missing'],
  },
  {
    name: 'another volume',
    edits: { [`${CONTAINER}.Mounts.0.Source`]: 'other' },
    expected: ['mount /var/lib/pgswarm/data Source other → pgswarm.orders.pg1.data'],
  },
  {
    name: 'another node',
    edits: { 'TaskTemplate.Placement.Constraints': ['node.id==node7'] },
    expected: ['constraint node.id==node1 missing', 'constraint node.id==node7 not wanted'],
  },
  {
    name: 'another port',
    edits: { 'EndpointSpec.Ports.0.PublishedPort': 6000 },
    expected: ['port 5432 PublishedPort 6000 → 5432'],
  },
  {
    name: 'a secret with an old value',
    edits: { [`${CONTAINER}.Secrets.0.SecretName`]: 'pgswarm.orders.control.old' },
    expected: ['secret control SecretName pgswarm.orders.control.old → pgswarm.orders.control.c0'],
  },
  {
    name: 'labels of the service and of the container apart, and foreign ones',
    edits: {
      Labels: { ...desired.Labels, note: 'x', 'dev.pgswarm.server': 'pg9' },
      [`${CONTAINER}.Labels`]: undefined,
    },
    expected: [
      'container label dev.pgswarm.cluster missing',
      'container label dev.pgswarm.server missing',
      'label dev.pgswarm.server pg9 → pg1',
      'label note not wanted',
    ],
  },
  {
    name: 'a network that was taken away, and a foreign one',
    edits: { 'TaskTemplate.Networks.1.Target': 'foreign' },
    expected: ['network foreign not wanted', 'network pgswarm_control missing'],
  },
  {
    name: 'a shorter time to stop',
    edits: { [`${CONTAINER}.StopGracePeriod`]: 10_000_000_000 },
    expected: ['stop grace period 10000000000 → 60000000000'],
  },
];

describe('differences of a service', () => {
  for (const { name, edits, expected } of rows) {
    it(`reports ${name}`, () => {
      const seen = edited(shownByDocker(desired), edits);
      expect(differences(desired, seen, networkIds)).to.deep.equal(expected);
    });
  }

  it('finds every single value that pgswarm sets, when it is changed', () => {
    const paths = leafPaths(desired).filter(
      (path) => path !== 'Name' && BY_DOCKER[path] === undefined,
    );
    expect(paths.length).to.be.greaterThan(40);
    for (const path of paths) {
      const seen = edited(shownByDocker(desired), { [path]: 'changed' });
      expect(differences(desired, seen, networkIds), path).to.not.be.empty;
    }
  });

  it('reports everything when there is nothing to compare with', () => {
    expect(differences(desired, {}, networkIds).length).to.be.greaterThan(20);
  });
});

function shownByDocker(service: ServiceSpecDesired): unknown {
  return edited(service, BY_DOCKER);
}

type Tree = Record<string, unknown>;

function edited(original: unknown, edits: Edits): unknown {
  const copy = structuredClone(original) as Tree;
  for (const [path, value] of Object.entries(edits)) {
    const keys = keysOf(path);
    const parent = keys.slice(0, -1).reduce((tree, key) => tree[key] as Tree, copy);
    parent[keys.at(-1)!] = value;
  }
  return copy;
}

/** Labels are the only names with dots, and the last step of their path. */
function keysOf(path: string): readonly string[] {
  const [before, label] = path.split('.dev.pgswarm.');
  return [...before!.split('.'), ...(label === undefined ? [] : [`dev.pgswarm.${label}`])];
}

function leafPaths(value: unknown, path = ''): readonly string[] {
  if (typeof value !== 'object' || value === null) return [path];
  return Object.entries(value).flatMap(([key, each]) =>
    leafPaths(each, path === '' ? key : `${path}.${key}`),
  );
}
