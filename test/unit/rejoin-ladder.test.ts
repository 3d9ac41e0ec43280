import { expect } from 'chai';
import { type Upstream } from '../../src/core/protocol';
import {
  afterComparison,
  beforeStart,
  isOfNote,
  nextRung,
  rejoinOf,
  type LadderFacts,
  type Rejoin,
  type RungName,
  type Standing,
} from '../../src/instance/rejoin/ladder';

const DIVERGED: Standing = { kind: 'diverged', fork: { timeline: 1, endLsn: '0/3000060' } };
const OUTRUN: Standing = { kind: 'outrun', segment: '000000010000000000000003' };
const UPSTREAM: Upstream = {
  ...{ server: 'pg2', host: 'pg2', port: 5432, slot: 'pgswarm_pg1', systemIdentifier: '7' },
};

const facts = (changes: Partial<LadderFacts>): LadderFacts => ({
  ...{ upstream: 'pg2', isHalfRewound: false, standing: { kind: 'aligned' }, failed: {} },
  ...changes,
});

const rows: readonly {
  readonly name: string;
  readonly facts: Partial<LadderFacts>;
  readonly rung: RungName;
  readonly because: string;
}[] = [
  { name: 'nothing of its own: starts as it is', facts: {}, rung: 'start', because: '' },
  {
    name: 'WAL of its own: rewound',
    facts: { standing: DIVERGED },
    rung: 'rewind',
    because: 'its WAL goes on beyond 0/3000060, where pg2 left timeline 1',
  },
  {
    name: 'WAL of its own, and the rewind has failed: cloned again, for both reasons',
    facts: { standing: DIVERGED, failed: { rewind: 'pg_rewind: no' } },
    rung: 'reclone',
    because: 'its WAL goes on beyond 0/3000060, where pg2 left timeline 1; pg_rewind: no',
  },
  {
    name: 'rewound by half: cloned again, whatever is known besides',
    facts: { isHalfRewound: true, standing: DIVERGED },
    rung: 'reclone',
    because:
      'a rewind was cut short, so that the data directory cannot be started; ' +
      'it cannot be rewound again either',
  },
  {
    name: 'WAL that the upstream has not any more: cloned again',
    facts: { standing: OUTRUN },
    rung: 'reclone',
    because:
      'pg2 does not have the WAL segment 000000010000000000000003 any more; ' +
      'a rewind would not change that',
  },
  {
    name: 'nothing of its own, but it could not follow: cloned again',
    facts: { failed: { start: 'not in this history' } },
    rung: 'reclone',
    because: 'not in this history; a rewind would not change that',
  },
  {
    name: 'a rewind that failed before does not keep it from starting',
    facts: { failed: { rewind: 'pg_rewind: no' } },
    rung: 'start',
    because: '',
  },
];

describe('the rejoin ladder', () => {
  for (const { name, facts: changes, rung, because } of rows) {
    it(name, () => {
      expect(nextRung(facts(changes))).to.deep.equal({ name: rung, because });
    });
  }

  it('never starts what has WAL of its own or was rewound by half, whatever has failed', () => {
    const standings: readonly Standing[] = [DIVERGED, OUTRUN, { kind: 'aligned' }];
    const failures: readonly Rejoin['failed'][] = [
      ...[{}, { start: 's' }, { rewind: 'r' }, { start: 's', rewind: 'r' }],
    ];
    for (const standing of standings) {
      for (const failed of failures) {
        for (const isHalfRewound of [false, true]) {
          const { name } = nextRung(facts({ standing, failed, isHalfRewound }));
          if (name === 'start') expect([standing.kind, isHalfRewound]).to.eql(['aligned', false]);
          if (name === 'rewind') expect([standing.kind, isHalfRewound]).to.eql(['diverged', false]);
          if (name !== 'reclone') expect(failed[name]).to.equal(undefined);
        }
      }
    }
  });
});

describe('what is known of the way back', () => {
  const known: Rejoin = {
    ...{ upstream: UPSTREAM, standing: null, suspicion: 'removed', isAcquitted: false },
    failed: { rewind: 'no' },
  };

  it('is of one upstream only', () => {
    expect(rejoinOf(known, { ...UPSTREAM, slot: 'another' })).to.equal(known);
    expect(rejoinOf(known, { ...UPSTREAM, server: 'pg3' })).to.deep.include({
      ...{ suspicion: null, failed: {} },
    });
    expect(rejoinOf(null, UPSTREAM).standing).to.equal(null);
  });

  it('a suspicion without a reason is believed the second time', () => {
    const once = afterComparison(known, { kind: 'aligned' });
    expect(once).to.deep.include({ suspicion: null, isAcquitted: true, failed: known.failed });
    const twice = afterComparison({ ...once, suspicion: 'again' }, { kind: 'aligned' });
    expect(twice.failed).to.deep.equal({ rewind: 'no', start: 'again' });
  });

  it('a suspicion with a reason is left to the ladder', () => {
    expect(afterComparison(known, OUTRUN)).to.deep.equal({ ...known, standing: OUTRUN });
  });

  it('is nothing of note when a server starts for the first time', () => {
    const first = afterComparison(rejoinOf(null, UPSTREAM), { kind: 'aligned' });
    expect(isOfNote(first)).to.equal(true);
    expect(isOfNote(beforeStart(first))).to.equal(false);
    expect(isOfNote(beforeStart(known))).to.equal(true);
  });
});
