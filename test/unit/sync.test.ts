/**
 * Goal: no acknowledged commit is lost by a failover, whatever set commits wait for, and whenever
 * the primary dies on the way to another one (S3). Method: tables for the decisions, and for the way
 * every state of a small world (support/sync-world.ts), for clusters of two to five servers. Each
 * rule of the way is broken once, to see that the exploration finds it.
 */
import { expect } from 'chai';
import { type SyncSet } from '../../src/core/protocol';
import { type SynchronousSpec } from '../../src/core/spec';
import { initialState } from '../../src/core/state';
import {
  ASYNCHRONOUS,
  describeSet,
  failoverQuorum,
  firstSet,
  isInSyncSet,
  isSameSet,
  nextSyncStep,
  renderSyncNames,
  syncOfTerm,
  targetSet,
  type SyncCandidate,
  type SyncSeen,
} from '../../src/core/sync';
import {
  allPairs,
  allSets,
  explore,
  PROTOCOL,
  settledOn,
  type Protocol,
} from '../support/sync-world';

/** `1 of pg2 pg3` */
function set(text: string): SyncSet {
  const [number, names] = text.split(' of ') as [string, string];
  return { number: Number(number), names: names.split(' ') };
}

describe('synchronous_standby_names', () => {
  it('is empty for an asynchronous cluster, and quotes every name', () => {
    expect(renderSyncNames(null)).to.equal('');
    expect(renderSyncNames(set('1 of any pg-2'))).to.equal('ANY 1 ("any", "pg-2")');
  });

  it('is told to people in their words', () => {
    expect(describeSet(null)).to.equal('no standby');
    expect(describeSet(set('1 of pg2'))).to.equal('pg2');
    expect(describeSet(set('2 of pg2 pg3'))).to.equal('pg2 and pg3');
    expect(describeSet(set('1 of pg2 pg3'))).to.equal('1 of pg2, pg3');
  });
});

describe('a server that is removed', () => {
  const state = (wanted: SyncSet | null, guaranteed: SyncSet | null) => ({
    ...initialState('orders', 'uid', 1),
    sync: { wanted, guaranteed, barrier: null },
  });

  it('counts until it is in neither set', () => {
    expect(isInSyncSet(state(null, null), 'pg2')).to.equal(false);
    expect(isInSyncSet(state(set('1 of pg2'), null), 'pg2')).to.equal(true);
    expect(isInSyncSet(state(set('1 of pg3'), set('1 of pg2 pg3')), 'pg2')).to.equal(true);
    expect(isInSyncSet(state(set('1 of pg3'), set('1 of pg3')), 'pg2')).to.equal(false);
  });
});

describe('the quorum of a failover', () => {
  const CASES: { guaranteed: SyncSet | null; answered: string[]; missing: string }[] = [
    { guaranteed: set('1 of pg2'), answered: ['pg2'], missing: '' },
    { guaranteed: set('1 of pg2 pg3'), answered: ['pg2', 'pg3', 'pg4'], missing: '' },
    { guaranteed: set('2 of pg2 pg3'), answered: ['pg3'], missing: '' },
    { guaranteed: set('2 of pg2 pg3 pg4'), answered: ['pg4', 'pg2'], missing: '' },
    {
      guaranteed: null,
      answered: ['pg2', 'pg3'],
      missing: 'no standby is known to have every commit yet',
    },
    {
      guaranteed: set('1 of pg2'),
      answered: ['pg3'],
      missing: 'every commit is on pg2, so pg2 must answer first; missing: pg2',
    },
    {
      guaranteed: set('1 of pg2 pg3'),
      answered: ['pg3'],
      missing:
        'a commit may be on no more than 1 of pg2, pg3, so pg2 and pg3 must answer first; missing: pg2',
    },
    {
      guaranteed: set('2 of pg2 pg3 pg4'),
      answered: ['pg3', 'pg5'],
      missing:
        'a commit may be on no more than 2 of pg2, pg3, pg4, so 2 of pg2, pg3, pg4 must answer first; missing: pg2, pg4',
    },
    {
      guaranteed: set('2 of pg2 pg3'),
      answered: [],
      missing:
        'every commit is on pg2 and pg3, so 1 of pg2, pg3 must answer first; missing: pg2, pg3',
    },
  ];
  for (const { guaranteed, answered, missing } of CASES) {
    const name = `${describeSet(guaranteed)}, and ${answered.join(', ') || 'nobody'} answers`;
    it(`${name}: ${missing || 'enough'}`, () => {
      expect(failoverQuorum(guaranteed, answered)).to.deep.equal({
        isEnough: missing === '',
        missing,
      });
    });
  }

  it('is never nobody, even for a set that can acknowledge nothing', () => {
    expect(failoverQuorum(set('3 of pg2'), []).isEnough).to.equal(false);
  });
});

/** `pg2` streams; `~` is too far behind to join; `?` runs, but does not stream; `-` is gone; `*0` priority. */
function candidates(text: string): SyncCandidate[] {
  return text.split(' ').map((word) => {
    const [, name = '', mark = '', priority = '100'] = /^(\w+)([~?-]?)(?:\*(\d+))?$/.exec(word)!;
    const isStreaming = mark === '' || mark === '~';
    return {
      name,
      priority: Number(priority),
      isStreaming,
      isClose: mark === '',
      isRunning: mark !== '-',
    };
  });
}

describe('the set that the spec calls for', () => {
  const any = (number: number): SynchronousSpec => ({
    mode: 'any',
    number,
    durability: 'preferred',
  });
  const first = (number: number): SynchronousSpec => ({ ...any(number), mode: 'first' });
  const required = (spec: SynchronousSpec): SynchronousSpec => ({
    ...spec,
    durability: 'required',
  });

  interface Case {
    readonly name: string;
    readonly spec: SynchronousSpec | null;
    readonly standbys: string;
    readonly now?: string;
    readonly wants: string | null;
  }

  const CASES: readonly Case[] = [
    { name: 'asynchronous', spec: null, standbys: 'pg2', now: '1 of pg2', wants: null },
    { name: 'any: all that stream', spec: any(1), standbys: 'pg2 pg3', wants: '1 of pg2 pg3' },
    { name: 'sorted', spec: any(1), standbys: 'pg3 pg2', wants: '1 of pg2 pg3' },
    { name: 'any: a laggard stays out', spec: any(1), standbys: 'pg2 pg3~', wants: '1 of pg2' },
    {
      name: 'any: a member may lag',
      spec: any(1),
      standbys: 'pg2 pg3~',
      now: '1 of pg2 pg3',
      wants: '1 of pg2 pg3',
    },
    {
      name: 'any: a member that blinks stays while commits do not wait for it',
      spec: any(1),
      standbys: 'pg2 pg3?',
      now: '1 of pg2 pg3',
      wants: '1 of pg2 pg3',
    },
    {
      name: 'any: a member that would not answer a roll call leaves',
      spec: any(1),
      standbys: 'pg2 pg3-',
      now: '1 of pg2 pg3',
      wants: '1 of pg2',
    },
    {
      name: 'any: who does not stream leaves when commits wait',
      spec: any(2),
      standbys: 'pg2 pg3? pg4',
      now: '2 of pg2 pg3',
      wants: '2 of pg2 pg4',
    },
    {
      name: 'any, preferred: fewer when there are fewer',
      spec: any(2),
      standbys: 'pg2 pg3-',
      now: '2 of pg2 pg3',
      wants: '1 of pg2',
    },
    {
      name: 'any, preferred: more again',
      spec: any(2),
      standbys: 'pg2 pg3',
      now: '1 of pg2',
      wants: '2 of pg2 pg3',
    },
    {
      name: 'preferred: none is left',
      spec: any(1),
      standbys: 'pg2? pg3-',
      now: '1 of pg2 pg3',
      wants: null,
    },
    {
      name: 'a standby that runs without streaming does not join',
      spec: any(1),
      standbys: 'pg2 pg3?',
      wants: '1 of pg2',
    },
    {
      name: 'who is never promoted is left out',
      spec: any(1),
      standbys: 'pg2 pg3*0',
      wants: '1 of pg2',
    },
    {
      name: 'who is never promoted must do when there are not enough others',
      spec: any(2),
      standbys: 'pg2 pg3*0',
      wants: '2 of pg2 pg3',
    },
    {
      name: 'first: highest priority',
      spec: first(1),
      standbys: 'pg2 pg3*200 pg4',
      wants: '1 of pg3',
    },
    {
      name: 'first: then the name',
      spec: first(2),
      standbys: 'pg4 pg3 pg2',
      wants: '2 of pg2 pg3',
    },
    {
      name: 'first: the next one steps in',
      spec: first(1),
      standbys: 'pg2? pg3',
      now: '1 of pg2',
      wants: '1 of pg3',
    },
    {
      name: 'first: and out again, once the better one is close',
      spec: first(1),
      standbys: 'pg2 pg3',
      now: '1 of pg3',
      wants: '1 of pg2',
    },
    {
      name: 'first: but not before',
      spec: first(1),
      standbys: 'pg2~ pg3',
      now: '1 of pg3',
      wants: '1 of pg3',
    },
    {
      name: 'required, nobody streams yet: writes wait for any of all',
      spec: required(any(1)),
      standbys: 'pg2? pg3-',
      wants: '1 of pg2 pg3',
    },
    {
      name: 'required: the names stay when too few stream',
      spec: required(any(2)),
      standbys: 'pg2 pg3- pg4-',
      now: '2 of pg2 pg3',
      wants: '2 of pg2 pg3',
    },
    {
      name: 'required: another one steps in',
      spec: required(any(1)),
      standbys: 'pg2- pg3',
      now: '1 of pg2',
      wants: '1 of pg3',
    },
    {
      name: 'required: never fewer than declared',
      spec: required(any(2)),
      standbys: 'pg2 pg3-',
      now: '1 of pg2',
      wants: '2 of pg2 pg3',
    },
    {
      name: 'required: a server that is not declared any more does not stay',
      spec: required(any(1)),
      standbys: 'pg2- pg3-',
      now: '1 of pg9',
      wants: '1 of pg2 pg3',
    },
    {
      name: 'required, first: those that run before those that do not',
      spec: required(first(1)),
      standbys: 'pg2- pg3?',
      wants: '1 of pg3',
    },
    {
      name: 'required: from any to first although nobody streams',
      spec: required(first(1)),
      standbys: 'pg2- pg3-',
      now: '1 of pg2 pg3',
      wants: '1 of pg2',
    },
  ];

  for (const { name, spec, standbys, now, wants } of CASES) {
    it(`${name}: ${standbys}${now === undefined ? '' : `, now ${now}`}`, () => {
      const target = targetSet(spec, candidates(standbys), now === undefined ? null : set(now));
      expect(target).to.deep.equal(wants === null ? null : set(wants));
    });
  }

  it('once reached is called for again: all of the table', () => {
    for (const { spec, standbys, now } of CASES) {
      const all = candidates(standbys);
      const once = targetSet(spec, all, now === undefined ? null : set(now));
      expect(targetSet(spec, all, once), standbys).to.deep.equal(once);
    }
  });

  it('has for a new primary those that run, though none streams from it yet', () => {
    expect(firstSet(any(1), candidates('pg1- pg3?'))).to.deep.equal(set('1 of pg3'));
    expect(firstSet(any(1), candidates('pg1- pg3-'))).to.equal(null);
    expect(firstSet(required(any(1)), candidates('pg1- pg3-'))).to.deep.equal(set('1 of pg1 pg3'));
    expect(firstSet(required(first(1)), candidates('pg1- pg3?'))).to.deep.equal(set('1 of pg3'));
    expect(firstSet(null, candidates('pg3?'))).to.equal(null);
  });
});

describe('from one synchronous set to another', () => {
  const A = set('1 of pg2');
  const B = set('1 of pg3 pg4');
  const seen = (inForce: SyncSet | null, flushed: Record<string, string> = {}): SyncSeen => ({
    syncNames: renderSyncNames(inForce),
    isSyncInForce: true,
    lsn: '0/50',
    standbys: Object.entries(flushed).map(([server, lsn]) => ({
      server,
      state: 'streaming',
      sentLsn: lsn,
      flushedLsn: lsn,
      replayedLsn: lsn,
    })),
  });
  const on = settledOn(A);
  const changed = { wanted: B, guaranteed: set('1 of pg2 pg3 pg4'), barrier: null };
  const barred = { ...changed, barrier: '0/50' };

  it('writes the union, the barrier, the new guarantee, and then rests', () => {
    expect(nextSyncStep(on, B, seen(A))).to.deep.equal({ kind: 'change', next: changed });
    expect(nextSyncStep(changed, B, seen(A))).to.deep.equal({ kind: 'await-reload' });
    expect(nextSyncStep(changed, B, seen(B))).to.deep.equal({ kind: 'barrier', next: barred });
    expect(nextSyncStep(barred, B, seen(B, { pg3: '0/4F' }))).to.deep.equal({
      kind: 'await-flush',
      behind: ['pg3', 'pg4'],
    });
    expect(nextSyncStep(barred, B, seen(B, { pg4: '0/50' }))).to.deep.equal({
      kind: 'guarantee',
      next: settledOn(B),
    });
    expect(nextSyncStep(settledOn(B), B, seen(B))).to.deep.equal({ kind: 'steady' });
  });

  it('takes the smaller number on the way', () => {
    const { next } = nextSyncStep(settledOn(set('2 of pg2 pg3')), A, seen(set('2 of pg2 pg3'))) as {
      next: unknown;
    };
    expect(next).to.deep.include({ guaranteed: set('1 of pg2 pg3') });
  });

  it('gives up every guarantee at once on the way to asynchronous', () => {
    expect(nextSyncStep(on, null, seen(A))).to.deep.equal({ kind: 'change', next: ASYNCHRONOUS });
  });

  it('has no guarantee on the way from asynchronous, nor at the begin of a term', () => {
    const begun = syncOfTerm(B);
    expect(begun).to.deep.equal({ wanted: B, guaranteed: null, barrier: null });
    expect(nextSyncStep(ASYNCHRONOUS, B, seen(null))).to.deep.equal({
      kind: 'change',
      next: begun,
    });
    expect(nextSyncStep(begun, B, seen(B))).to.deep.include({ kind: 'barrier' });
  });

  it('waits while processes of PostgreSQL may still have the old settings', () => {
    const reloading = { ...seen(B), syncNames: null };
    const checkpointing = { ...seen(B), isSyncInForce: false };
    expect(nextSyncStep(changed, B, reloading)).to.deep.equal({ kind: 'await-reload' });
    expect(nextSyncStep(changed, B, checkpointing)).to.deep.equal({ kind: 'await-reload' });
  });

  it('does not change again what PostgreSQL does not have yet', () => {
    expect(nextSyncStep(changed, A, seen(A))).to.deep.equal({ kind: 'await-reload' });
  });

  it('may change again before the barrier is reached, with an ever wider guarantee', () => {
    const C = set('2 of pg3 pg5');
    expect(nextSyncStep(barred, C, seen(B))).to.deep.equal({
      kind: 'change',
      next: { wanted: C, guaranteed: set('1 of pg2 pg3 pg4 pg5'), barrier: null },
    });
  });

  it('does not count a standby that is not streaming', () => {
    const catchingUp = seen(B, { pg3: '0/60' });
    const standbys = catchingUp.standbys.map((row) => ({ ...row, state: 'catchup' as const }));
    expect(nextSyncStep(barred, B, { ...catchingUp, standbys }).kind).to.equal('await-flush');
  });
});

describe('every state on the way', () => {
  /** The first loss that is found on any way between two sets. */
  const lossWith = (protocol: Partial<Protocol>, max = 3): string | null => {
    for (const { standbys, a, b } of allPairs(max)) {
      const { loss } = explore({ standbys, from: settledOn(a), targets: [b], protocol });
      if (loss !== null) return `${describeSet(a)} → ${describeSet(b)}: ${loss}`;
    }
    return null;
  };

  it('keeps every acknowledged commit, for two to five servers and all pairs of sets', () => {
    for (const { standbys, a, b } of allPairs(4)) {
      const way = `${describeSet(a)} → ${describeSet(b)}`;
      const found = explore({ standbys, from: settledOn(a), targets: [b] });
      expect(found.loss, way).to.equal(null);
      expect(found.records, `${way} arrives`).to.deep.include(settledOn(b));
    }
  }).timeout(20_000);

  it('keeps it at the begin of a term, with old commits on the new primary alone', () => {
    for (const { standbys, a, b } of allPairs(3)) {
      if (a !== null || b === null) continue;
      const found = explore({ standbys, from: syncOfTerm(b), targets: [b] });
      expect(found.loss).to.equal(null);
      expect(found.records).to.deep.include(settledOn(b));
    }
  });

  it('keeps it while the target changes at any moment and reports come late', () => {
    const standbys = ['pg2', 'pg3'];
    const targets = allSets(standbys);
    const found = explore({ standbys, from: ASYNCHRONOUS, targets, areReportsLate: true });
    expect(found.loss).to.equal(null);
    for (const each of targets) {
      expect(found.records, describeSet(each)).to.deep.include(settledOn(each));
    }
  }).timeout(20_000);

  it('needs the whole union: any smaller number of it may be all that have a commit', () => {
    for (const { standbys, a, b } of allPairs(3)) {
      if (a === null || b === null) continue;
      const number = Math.min(a.number, b.number);
      const { holders } = explore({ standbys, from: settledOn(a), targets: [b] });
      const fewest = holders.filter(({ length }) => length === number);
      const combinations = allSubsets(standbys).filter(({ length }) => length === number);
      expect(fewest, `${describeSet(a)} → ${describeSet(b)}`).to.have.deep.members(combinations);
    }
  });

  const MUTANTS: Record<string, Partial<Protocol>> = {
    'PostgreSQL is told before the record is written': {
      told: (_, target) => target,
      next: (sync, target, seen) => {
        const isBehind = !isSameSet(target, sync.wanted);
        if (isBehind && seen.syncNames !== renderSyncNames(target)) return { kind: 'await-reload' };
        return nextSyncStep(sync, target, {
          ...seen,
          syncNames: isBehind ? renderSyncNames(sync.wanted) : seen.syncNames,
        });
      },
    },
    'the new set is guaranteed with the first write': {
      next: (sync, target, seen) => {
        const step = nextSyncStep(sync, target, seen);
        return step.kind === 'change' ? { ...step, next: settledOn(target) } : step;
      },
    },
    'the larger number is guaranteed on the way': {
      next: (sync, target, seen) => {
        const step = nextSyncStep(sync, target, seen);
        if (step.kind !== 'change' || step.next.guaranteed === null) return step;
        const number = Math.max(sync.guaranteed?.number ?? 0, target?.number ?? 0);
        return { ...step, next: { ...step.next, guaranteed: { ...step.next.guaranteed, number } } };
      },
    },
    'the weaker set is guaranteed on the way, when the other implies it': {
      next: (sync, target, seen) => {
        const step = nextSyncStep(sync, target, seen);
        if (step.kind !== 'change' || step.next.guaranteed === null) return step;
        const [a, b] = [sync.guaranteed!, target!];
        const guaranteed = implies(a, b) ? b : implies(b, a) ? a : step.next.guaranteed;
        return { ...step, next: { ...step.next, guaranteed } };
      },
    },
    'the new set is guaranteed without a barrier': {
      next: (sync, target, seen) => {
        const step = nextSyncStep(sync, target, seen);
        return step.kind === 'barrier' ? { kind: 'guarantee', next: settledOn(target) } : step;
      },
    },
    'one standby less has to reach the barrier': {
      next: (sync, target, seen) => {
        const step = nextSyncStep(sync, target, seen);
        return step.kind === 'await-flush' && sync.wanted!.names.length > step.behind.length
          ? { kind: 'guarantee', next: settledOn(sync.wanted) }
          : step;
      },
    },
    'the walsenders are not waited for': {
      report: (file, { checkpointer }) => ({
        syncNames: renderSyncNames(file),
        isSyncInForce: checkpointer,
      }),
    },
    'the checkpointer is not waited for': {
      report: (file, all) => ({ ...PROTOCOL.report(file, all), isSyncInForce: true }),
    },
    'a failover asks one server less': {
      quorum: (guaranteed, answered) =>
        failoverQuorum(guaranteed && { ...guaranteed, number: guaranteed.number + 1 }, answered),
    },
  };

  for (const [name, mutant] of Object.entries(MUTANTS)) {
    it(`loses a commit when ${name}`, () => {
      expect(lossWith(mutant)).to.be.a('string');
    });
  }

  it('loses a commit when a set is changed again before PostgreSQL has it', () => {
    const hasty: Partial<Protocol> = {
      next: (sync, target, seen) =>
        isSameSet(sync.wanted, target)
          ? nextSyncStep(sync, target, seen)
          : nextSyncStep(sync, target, { ...seen, syncNames: renderSyncNames(sync.wanted) }),
    };
    expect(lossWith(hasty), 'a single change shows nothing').to.equal(null);
    const [from, other] = [set('1 of pg2'), set('1 of pg3')];
    const standbys = ['pg2', 'pg3'];
    const found = explore({
      standbys,
      from: settledOn(from),
      targets: [from, other],
      protocol: hasty,
    });
    expect(found.loss).to.be.a('string');
  });
});

/** Whether having `a` means having `b`. */
const implies = (a: SyncSet, b: SyncSet): boolean =>
  a.number - a.names.filter((name) => !b.names.includes(name)).length >= b.number;

const allSubsets = (names: readonly string[]): readonly (readonly string[])[] =>
  names.reduce<readonly (readonly string[])[]>(
    (subsets, name) => subsets.flatMap((subset) => [subset, [...subset, name]]),
    [[]],
  );
