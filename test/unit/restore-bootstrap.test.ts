/** A cluster that begins with another one's data: what its spec says, and what follows from it. */
import { expect } from 'chai';
import { validate } from '../../src/adapters/files/documents';
import { assignmentIn } from '../../src/core/assignment';
import { decide } from '../../src/core/decide';
import { desiredObjects } from '../../src/core/desired';
import { type RestoreOrder } from '../../src/core/restore/bootstrap';
import { viewOf, type Situation } from '../../src/core/situation';
import { isSuperseded } from '../../src/instance/next-action';
import { surroundings, spec as plainSpec } from '../support/swarm-objects';
import { afterRecord, empty, settle, withSpec } from '../support/world';

const TARGET = { time: '2026-11-21T17:14:59Z' };
const ORDER: RestoreOrder = {
  volume: 'pgswarm.shop.pg1.archive',
  target: {
    point: { kind: 'time', time: '2026-11-21T17:14:59Z' },
    isExclusive: false,
    timeline: 'latest',
    action: 'promote',
  },
  backup: null,
};
const SOURCE = {
  Type: 'volume',
  Source: 'pgswarm.shop.pg1.archive',
  Target: '/var/lib/pgswarm/source',
  ReadOnly: true,
};
const bootstrap = { restore: ORDER };

const documentWith = (restore: unknown): unknown => ({
  apiVersion: 'pgswarm.dev/v1',
  kind: 'PostgresCluster',
  metadata: { name: 'orders' },
  spec: {
    postgres: { version: 17 },
    network: { subnet: '10.0.200.0/24' },
    primary: 'pg1',
    servers: [{ name: 'pg1', node: { hostname: 'n1' } }],
    bootstrap: { restore },
  },
});

const mountsOf = (service: { readonly spec: unknown }): readonly unknown[] =>
  (service.spec as { TaskTemplate: { ContainerSpec: { Mounts: readonly unknown[] } } }).TaskTemplate
    .ContainerSpec.Mounts;

describe('spec.bootstrap.restore', () => {
  it('names an archive by cluster and server, or by its volume', () => {
    const byName = validate(documentWith({ from: 'shop', server: 'pg1', target: TARGET }));
    expect(byName.findings.filter(({ path }) => path.includes('bootstrap'))).to.deep.equal([]);
    expect(byName.spec?.bootstrap).to.deep.equal(bootstrap);
    const { volume } = ORDER;
    const byVolume = validate(documentWith({ volume, target: TARGET, backup: '20261121T020000Z' }));
    const backup = '20261121T020000Z';
    expect(byVolume.spec?.bootstrap).to.deep.equal({ restore: { ...ORDER, backup } });
  });

  const wrong: readonly {
    readonly name: string;
    readonly restore: unknown;
    readonly path: string;
    readonly message: RegExp;
  }[] = [
    {
      name: 'no archive',
      restore: { target: TARGET },
      path: '',
      message: /does not say whose archive/,
    },
    {
      name: 'a cluster without its server',
      restore: { from: 'shop', target: TARGET },
      path: '',
      message: /does not say whose archive/,
    },
    {
      name: 'two archives',
      restore: { from: 'shop', server: 'pg1', volume: 'backup', target: TARGET },
      path: '',
      message: /names an archive twice/,
    },
    {
      name: 'itself',
      restore: { from: 'orders', server: 'pg9', target: TARGET },
      path: '.from',
      message: /"orders" is this cluster itself/,
    },
    {
      name: 'its own volume',
      restore: { volume: 'pgswarm.orders.pg1.archive', target: TARGET },
      path: '.volume',
      message: /is this cluster itself/,
    },
    {
      name: 'no point',
      restore: { from: 'shop', server: 'pg1', target: {} },
      path: '.target',
      message: /does not say to which point/,
    },
    {
      name: 'two points',
      restore: { from: 'shop', server: 'pg1', target: { ...TARGET, xid: 731 } },
      path: '.target',
      message: /names 2 points: time, xid/,
    },
    {
      name: 'a time without its zone',
      restore: { from: 'shop', server: 'pg1', target: { time: '2026-11-21 17:14' } },
      path: '.target.time',
      message: /has no time zone/,
    },
    {
      name: 'an action, which is always promote',
      restore: { from: 'shop', server: 'pg1', target: { ...TARGET, action: 'pause' } },
      path: '.target.action',
      message: /no field "action"/,
    },
  ];
  for (const { name, restore, path, message } of wrong) {
    it(`is refused with ${name}`, () => {
      const { spec, findings } = validate(documentWith(restore));
      expect(spec).to.equal(null);
      expect(findings).to.have.lengthOf(1);
      expect(findings[0]!.path).to.equal(`spec.bootstrap.restore${path}`);
      expect(findings[0]!.message).to.match(message);
    });
  }
});

describe('a cluster with spec.bootstrap.restore', () => {
  it('has the archive of the other one beside its first server, read only', () => {
    const { services } = desiredObjects(plainSpec({ bootstrap }), {
      ...surroundings,
      first: 'pg1',
    });
    expect(services.map((each) => mountsOf(each).includes(SOURCE))).to.deep.equal([false, false]);
    expect(mountsOf(services[0]!)).to.deep.include(SOURCE);
    expect(mountsOf(services[1]!)).to.not.deep.include(SOURCE);
  });

  it('restores its first server, and clones the others from it', () => {
    const begun = afterRecord(heard());
    expect(assignment(begun, 'pg1')).to.deep.include({ kind: 'initialise', restore: ORDER });
    expect(assignment(begun, 'pg2')).to.deep.include({ kind: 'wait' });
    const { situation } = settle(begun);
    expect(situation.state?.primary).to.equal('pg1');
    const messages = situation.state?.events.map(({ message }) => message).join('\n');
    expect(messages).to.match(
      /pg1 has been restored from pgswarm\.shop\.pg1\.archive, to 2026-11-21T17:14:59Z, .* no backup yet: pgswarm backup orders/,
    );
  });

  it('restarts nobody when the archive is not needed any more, whoever is primary', () => {
    const { situation } = settle(empty({ bootstrap }));
    const services = situation.observation.swarm?.services ?? [];
    expect(services.map(({ spec }) => mountsOf({ spec }).length)).to.deep.equal([4, 3]);
    for (const changes of [{}, { primary: 'pg2' }]) {
      const rules: string[] = [];
      settle(withSpec(situation, changes), (_, { rule }) => rules.push(rule));
      expect(rules).to.not.include('service-update');
    }
    const withoutIt = { ...situation.record.spec };
    delete (withoutIt as { bootstrap?: unknown }).bootstrap;
    const record = { ...situation.record, spec: withoutIt };
    expect(decide({ ...situation, record }).rule).to.not.equal('service-update');
  });

  it('lets go of it when the service is updated anyway', () => {
    const { situation } = settle(empty({ bootstrap }));
    const { steps, rule } = decide({ ...situation, image: 'pgswarm:newer' });
    expect(rule).to.equal('service-update');
    const services = steps.flatMap((step) =>
      step.kind === 'update-service' ? [step.service] : [],
    );
    expect(services.flatMap(mountsOf)).to.not.deep.include(SOURCE);
  });

  it('takes another volume before it has data', () => {
    const other = { restore: { ...ORDER, volume: 'another' } };
    expect(decide(withSpec(heard(), { bootstrap: other })).rule).to.equal('service-update');
  });

  it('stays where it began, whoever is declared meanwhile', () => {
    const begun = withSpec(afterRecord(heard()), { primary: 'pg2' });
    const [pg1, pg2] = viewOf(begun, begun.state!).desired?.services.map(mountsOf) ?? [];
    expect(pg1).to.deep.include(SOURCE);
    expect(pg2).to.not.deep.include(SOURCE);
  });

  it('breaks a restore off when another point is wanted', () => {
    const task = { kind: 'initialise', volumeId: 'v1', restore: ORDER } as const;
    expect(isSuperseded(task, structuredClone(task))).to.equal(false);
    const later = { ...ORDER, backup: 'b2' };
    expect(isSuperseded(task, { ...task, restore: later })).to.equal(true);
  });
});

/** Every server has said that its volume is empty. */
function heard(): Situation {
  const found: Situation[] = [];
  settle(empty({ bootstrap }), (situation, { rule }) => {
    if (rule === 'initialise') found.push(situation);
  });
  return found[0]!;
}

function assignment(situation: Situation, server: string): unknown {
  const { state } = situation;
  return state === null ? undefined : assignmentIn(viewOf(situation, state), server)?.task;
}
