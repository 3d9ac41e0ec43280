import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { expectationsOf, type Fault } from '../../src/core/expectations';
import { type ServerSpec, type Spec } from '../../src/core/spec';
import { spec } from '../support/world';

const GIGABYTE = 1024 ** 3;

function automatic(changes: Partial<Spec> = {}, failover: Partial<Spec['failover']> = {}): Spec {
  const base = spec(changes);
  return { ...base, failover: { ...base.failover, mode: 'automatic', ...failover } };
}

function withParameters(parameters: Readonly<Record<string, string>>): Spec {
  const base = automatic();
  return { ...base, postgres: { ...base.postgres, parameters } };
}

const outage = (of: Spec, fault: Fault): readonly number[] => {
  const found = expectationsOf(of).outages.find((each) => each.fault === fault);
  return found === undefined ? [] : [found.bestMs, found.typicalMs, found.worstMs];
};

describe('what a spec promises: times without writes', () => {
  const rows: readonly { name: string; spec: Spec; node: readonly number[] }[] = [
    { name: 'the default lease', spec: automatic(), node: [4000, 4800, 6500] },
    {
      name: 'a longer lease',
      spec: automatic({}, { ttlMs: 30_000 }),
      node: [29_000, 29_800, 31_500],
    },
    { name: 'a delay', spec: automatic({}, { delayMs: 2_000 }), node: [6000, 6800, 8500] },
    { name: 'by hand', spec: spec(), node: [] },
    { name: 'nobody else', spec: automatic({ servers: servers('n1') }), node: [] },
    { name: 'one node', spec: automatic({ servers: servers('n1', 'n1') }), node: [] },
    {
      name: 'nobody who may',
      spec: automatic({}, { priorities: { pg2: 0 } }),
      node: [],
    },
  ];
  for (const row of rows) {
    it(row.name, () => expect(outage(row.spec, 'node')).to.deep.equal(row.node));
  }

  it('on one node a dead container is still replaced', () => {
    const onOne = automatic({ servers: servers('n1', 'n1') });
    expect(outage(onOne, 'container')).to.deep.equal([400, 1000, 6500]);
    expect(expectationsOf(onOne).caveat).to.match(/node of pg1/);
  });

  it('a delay longer than Swarm needs is what a dead container costs', () => {
    expect(outage(automatic({}, { delayMs: 3_000 }), 'container')[0]).to.equal(3000);
  });
});

function servers(...nodes: readonly string[]): readonly ServerSpec[] {
  return nodes.map((hostname, index) => ({
    name: `pg${index + 1}`,
    node: { hostname },
    port: 5432 + index,
  }));
}

describe('what a spec promises, against what was measured', () => {
  // Columns of the benchmark's page: fault, cluster, n, gap: median, min, max.
  const page = readFileSync(join(__dirname, '../../docs/reference/failover-figures.md'), 'utf8');
  const measured = page
    .split('\n')
    .map((line) => line.split('|').map((cell) => cell.trim()))
    .filter((cells) => cells.length === 13);
  const faults: readonly (readonly [start: string, fault: Fault])[] = [
    ['container SIGKILL', 'container'],
    ['node killed, both', 'node'],
    ['node frozen', 'node'],
    ['node killed that led', 'swarmLeader'],
  ];
  for (const [start, fault] of faults) {
    it(start, () => {
      const rows = measured.filter(([, what]) => what?.startsWith(start) === true);
      expect(rows, 'rows of the page').to.have.length(2);
      const [best = 0, , worst = 0] = outage(automatic(), fault);
      for (const row of rows) {
        const [least, most] = [Number(row[5]) * 1000, Number(row[6]) * 1000];
        // A heartbeat has its own way.
        expect(least).to.be.at.least(best - 100);
        expect(most).to.be.at.most(worst);
      }
    });
  }
});

describe('what a spec promises: loss', () => {
  const synchronous = (durability: 'required' | 'preferred'): Spec =>
    automatic({ replication: { synchronous: { mode: 'any', number: 1, durability } } });

  it('none where every commit waits', () =>
    expect(expectationsOf(synchronous('required')).loss.bytesMax).to.equal(0));
  it('no number where commits may cease to wait', () => {
    const { bytesMax, because } = expectationsOf(synchronous('preferred')).loss;
    expect(bytesMax).to.equal(null);
    expect(because).to.match(/^each commit waits for a standby while one streams; .*16MB/);
  });
  it('no number without synchronous replication', () =>
    expect(expectationsOf(automatic()).loss.bytesMax).to.equal(null));
  it('none by itself where a person decides', () =>
    expect(expectationsOf(spec()).loss.bytesMax).to.equal(0));
});

describe('what a spec promises: room for WAL', () => {
  const wal = (of: Spec, volumeBytes: number | null = null): number | null =>
    expectationsOf(of, volumeBytes).wal.bytesMax;

  const rows: readonly { name: string; bytes: number | null; expected: number | null }[] = [
    { name: 'an unknown volume', bytes: null, expected: null },
    { name: 'a quarter of a large one', bytes: 40 * GIGABYTE, expected: 10 * GIGABYTE },
    { name: 'a small one: at least max_wal_size', bytes: GIGABYTE, expected: GIGABYTE },
  ];
  for (const { name, bytes, expected } of rows) {
    it(name, () => expect(wal(automatic(), bytes)).to.equal(expected));
  }
  it('as the user says', () => {
    const limited = withParameters({ max_slot_wal_keep_size: '2048', max_wal_size: '512MB' });
    expect(wal(limited)).to.equal(2 * GIGABYTE);
  });
  it('without a bound', () => {
    const unlimited = withParameters({ max_slot_wal_keep_size: '-1' });
    expect(wal(unlimited)).to.equal(null);
    expect(expectationsOf(unlimited).wal.because).to.match(/without a bound/);
  });
});
