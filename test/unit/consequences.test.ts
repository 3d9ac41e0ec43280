import { expect } from 'chai';
import { consequencesOf } from '../../src/core/consequences';
import { type RetentionSpec, type Spec } from '../../src/core/spec';
import { spec } from '../support/world';

const DAY_MS = 86_400_000;

const texts = (before: Spec, after: Spec): readonly string[] =>
  consequencesOf(before, after).map(
    ({ isFinal, text }) => `${isFinal ? 'final' : 'mind'}: ${text}`,
  );

describe('what a change of the spec brings with it', () => {
  const retention: readonly {
    name: string;
    from: RetentionSpec;
    to: RetentionSpec;
    isFinal: boolean;
  }[] = [
    { name: 'the same', from: rules(3, null), to: rules(3, null), isFinal: false },
    { name: 'the first rule', from: rules(null, null), to: rules(3, null), isFinal: true },
    { name: 'fewer', from: rules(3, null), to: rules(2, null), isFinal: true },
    { name: 'more', from: rules(2, null), to: rules(3, null), isFinal: false },
    { name: 'no rule any more', from: rules(2, null), to: rules(null, null), isFinal: false },
    { name: 'one of two rules less', from: rules(2, DAY_MS), to: rules(2, null), isFinal: true },
    { name: 'one rule more', from: rules(2, null), to: rules(2, DAY_MS), isFinal: false },
    { name: 'a shorter time', from: rules(2, DAY_MS), to: rules(2, 1000), isFinal: true },
  ];
  for (const { name, from, to, isFinal } of retention) {
    it(`retention: ${name}`, () => {
      const of = (retention: RetentionSpec): Spec => spec({ backup: { retention, schedules: [] } });
      expect(consequencesOf(of(from), of(to)).map((each) => each.isFinal)).to.deep.equal(
        isFinal ? [true] : [],
      );
    });
  }

  it('nothing when nothing that matters changes', () =>
    expect(texts(spec(), spec({ primary: 'pg2' }))).to.deep.equal([]));

  it('synchronous replication given up', () => {
    const synchronous = { mode: 'any', number: 1, durability: 'required' } as const;
    const before = spec({ replication: { synchronous } });
    expect(texts(before, spec())).to.deep.equal([
      'mind: from then on a failover may lose commits that clients were told of',
    ]);
    expect(texts(spec(), before)).to.deep.equal([]);
  });

  it('a server that goes leaves its volumes', () => {
    const after = spec({ servers: spec().servers.slice(0, 1) });
    expect(texts(spec(), after)).to.deep.equal([
      'mind: the volumes of pg2 stay on its node until you remove them: pgswarm.orders.pg2.data and pgswarm.orders.pg2.archive',
    ]);
  });

  it('a server that moves leaves its data', () => {
    const servers = spec().servers.map((each) => ({ ...each, node: { hostname: 'n3' } }));
    expect(texts(spec(), spec({ servers }))).to.have.length(2);
  });
});

function rules(keep: number | null, maxAgeMs: number | null): RetentionSpec {
  return { keep, maxAgeMs };
}
