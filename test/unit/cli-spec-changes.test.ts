import { expect } from 'chai';
import { specChanges, type SpecChange } from '../../src/cli/spec-changes';
import { type Spec } from '../../src/core/spec';
import { spec } from '../support/world';

const BASE = spec({});

interface Row {
  readonly name: string;
  readonly after: Partial<Spec>;
  readonly expected: readonly SpecChange[];
}

const change = (path: string, from: string | null, to: string | null): SpecChange => ({
  path,
  from,
  to,
});

const rows: readonly Row[] = [
  { name: 'nothing in the same spec', after: {}, expected: [] },
  {
    name: 'another primary',
    after: { primary: 'pg2' },
    expected: [change('spec.primary', 'pg1', 'pg2')],
  },
  {
    name: 'a server that came and one that went, by their names',
    after: {
      servers: [
        { name: 'pg1', node: { hostname: 'n1' }, port: 5432 },
        { name: 'pg3', node: { labels: { rack: 'c', room: '1' } }, port: 5440 },
      ],
    },
    expected: [
      change('spec.servers.pg3.node', null, 'rack=c, room=1'),
      change('spec.servers.pg3.port', null, '5440'),
      change('spec.servers.pg2.node', 'n2', null),
      change('spec.servers.pg2.port', '5432', null),
    ],
  },
  {
    name: 'sizes and durations as the user writes them',
    after: { switchover: { lagBytesMax: 1024 ** 2, timeoutMs: 2_500 } },
    expected: [
      change('spec.switchover.maxLag', '16MB', '1MB'),
      change('spec.switchover.timeout', '10s', '2.5s'),
    ],
  },
  {
    name: 'a parameter and the image',
    after: { image: 'pgswarm:2', postgres: { ...BASE.postgres, parameters: { work_mem: '8MB' } } },
    expected: [
      change('spec.image', 'the operator’s own', 'pgswarm:2'),
      { ...change('spec.postgres.parameters.work_mem', null, '8MB'), effect: 'reload' },
    ],
  },
  {
    name: 'who may take over, and when',
    after: {
      failover: {
        ...BASE.failover,
        mode: 'automatic',
        delayMs: 10_000,
        priorities: { pg2: 0 },
        failback: 'auto',
        failbackAfterMs: 60_000,
      },
    },
    expected: [
      change('spec.failover.mode', 'manual', 'automatic'),
      change('spec.failover.delay', '0s', '10s'),
      change('spec.failover.priorities.pg2', null, '0'),
      change('spec.failover.failback', 'hold', 'auto'),
      change('spec.failover.failbackAfter', '5m', '1m'),
    ],
  },
  {
    name: 'synchronous replication',
    after: { replication: { synchronous: { mode: 'any', number: 1, durability: 'required' } } },
    expected: [
      change('spec.replication.synchronous.mode', null, 'any'),
      change('spec.replication.synchronous.number', null, '1'),
      change('spec.replication.synchronous.durability', null, 'required'),
    ],
  },
];

describe('what changes in a spec', () => {
  for (const { name, after, expected } of rows) {
    it(`is ${name}`, () => {
      expect(specChanges(BASE, { ...BASE, ...after })).to.deep.equal(expected);
    });
  }

  // A field that is not compared would make `apply` say "unchanged", and nothing would be changed.
  const synchronous = { mode: 'any', number: 1, durability: 'required' } as const;
  const full = spec({
    replication: { synchronous },
    failover: { ...BASE.failover, priorities: { pg2: 0 } },
    postgres: { ...BASE.postgres, parameters: { jit: 'off' }, hba: ['local all all trust'] },
  });
  for (const { path, changed } of oneFieldChanged(full)) {
    it(`is noticed in ${path}`, () => {
      expect(specChanges(full, changed as Spec)).to.have.length.above(0);
    });
  }
});

/** For every single value below `value`, the same with that one value changed. */
function oneFieldChanged(value: unknown): { readonly path: string; readonly changed: unknown }[] {
  if (typeof value !== 'object' || value === null) return [{ path: '', changed: otherThan(value) }];
  return Object.entries(value)
    .filter(([name]) => name !== 'cluster')
    .flatMap(([name, inner]) =>
      oneFieldChanged(inner).map(({ path, changed }) => ({
        path: `.${name}${path}`,
        changed: Array.isArray(value)
          ? value.map((each: unknown, index) => (String(index) === name ? changed : each))
          : { ...value, [name]: changed },
      })),
    );
}

function otherThan(value: unknown): unknown {
  if (typeof value === 'number') return value + 1;
  return typeof value === 'string' ? `${value}x` : 'x';
}
