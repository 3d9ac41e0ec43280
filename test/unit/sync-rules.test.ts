/**
 * Goal: the synchronous set follows the spec and the standbys, quickly where commits wait and not at
 * all where nothing is known. Method: a healthy cluster of three with one thing changed, and the
 * rule that must decide. That the way itself is safe is shown in sync.test.ts.
 */
import { expect } from 'chai';
import { type PrimaryReport, type SyncSet } from '../../src/core/protocol';
import {
  JOIN_LAG_BYTES_MAX,
  RECONNECT_MS,
  synchronousRules,
  syncOfNewPrimary,
} from '../../src/core/rules/synchronous';
import { viewOf, type Situation } from '../../src/core/situation';
import { type SynchronousSpec } from '../../src/core/spec';
import { type ClusterState, type SyncState } from '../../src/core/state';
import { renderSyncNames } from '../../src/core/sync';
import { running, settle, spec, withReport, withSpec, withState } from '../support/world';

const LSN = '0/3000000';
const SERVERS = ['pg1', 'pg2', 'pg3'].map((name, index) => ({
  name,
  node: { hostname: `n${index + 1}` },
  port: 5432,
}));
const ANY: SynchronousSpec = { mode: 'any', number: 1, durability: 'preferred' };
const REQUIRED: SynchronousSpec = { ...ANY, durability: 'required' };
const BOTH: SyncSet = { number: 1, names: ['pg2', 'pg3'] };
const ONE: SyncSet = { number: 1, names: ['pg2'] };

const asynchronous = laterBy(60_000, running({ servers: SERVERS }));
const asked = withSynchronous(asynchronous, ANY);
const on = inForce(asked, { wanted: BOTH, guaranteed: BOTH, barrier: null });

function withSynchronous(situation: Situation, synchronous: SynchronousSpec | null): Situation {
  return withSpec(situation, { replication: { synchronous } });
}

function laterBy(milliseconds: number, situation: Situation): Situation {
  return {
    ...situation,
    now: new Date(Date.parse(situation.now) + milliseconds).toISOString(),
  };
}

const stateOf = ({ state }: Situation): ClusterState => state!;

function withPrimary(situation: Situation, changes: Partial<PrimaryReport>): Situation {
  const { postgres } = situation.observation.reports['pg1']!.report;
  return withReport(situation, 'pg1', { postgres: { ...(postgres as PrimaryReport), ...changes } });
}

/** The record says so, and PostgreSQL has it. */
function inForce(situation: Situation, sync: SyncState): Situation {
  return withPrimary(withState(situation, { sync }), { syncNames: renderSyncNames(sync.wanted) });
}

/** The primary sees only these, each flushed up to a position. */
function streaming(situation: Situation, flushed: Record<string, string>): Situation {
  return withPrimary(situation, {
    standbys: Object.entries(flushed).map(([server, lsn]) => ({
      server,
      state: 'streaming',
      sentLsn: lsn,
      flushedLsn: lsn,
      replayedLsn: lsn,
    })),
  });
}

interface Found {
  readonly rule: string | null;
  readonly because: string;
  readonly next: ClusterState | null;
  /** Of the rules that wait, up to the one that decides. */
  readonly reasons: readonly string[];
}

/** As `decide` reads the table: the first that has something to do, or else the first that waits. */
function decided(situation: Situation): Found {
  const view = viewOf(situation, stateOf(situation));
  const waiting: { rule: string; because: string }[] = [];
  const reasons: string[] = [];
  for (const { id, evaluate } of synchronousRules) {
    const outcome = evaluate(view);
    if (outcome === null) continue;
    const [step] = outcome.steps;
    const next = step?.kind === 'record' ? step.next : null;
    if (next !== null) return { rule: id, because: outcome.because, next, reasons };
    waiting.push({ rule: id, because: outcome.because });
    if (outcome.condition !== null) reasons.push(outcome.condition.reason);
  }
  return { rule: null, because: '', ...waiting[0], next: null, reasons };
}

interface Case {
  readonly name: string;
  readonly situation: Situation;
  readonly rule: string | null;
  readonly because?: RegExp;
  readonly sync?: SyncState;
  readonly reasons?: readonly string[];
}

const begun: SyncState = { wanted: BOTH, guaranteed: null, barrier: null };
const leaving: SyncState = { wanted: ONE, guaranteed: BOTH, barrier: null };

const CASES: readonly Case[] = [
  { name: 'asynchronous, as declared', situation: asynchronous, rule: null, reasons: [] },
  { name: 'synchronous, as declared', situation: on, rule: null, reasons: [] },

  // From asynchronous to synchronous.
  {
    name: 'it is declared: the record first',
    situation: asked,
    rule: 'sync-change',
    because: /waits for no standby, and is to wait for 1 of pg2, pg3/,
    sync: begun,
  },
  {
    name: 'PostgreSQL has not reloaded yet',
    situation: withState(asked, { sync: begun }),
    rule: 'sync-changing',
    because: /when pg1 has confirmed that they wait for it; until then a failover needs a person/,
    reasons: ['SyncChanging'],
  },
  {
    name: 'it has just reloaded',
    situation: withPrimary(inForce(asked, begun), { syncNames: null }),
    rule: 'sync-changing',
  },
  {
    name: 'a checkpoint is busy',
    situation: withPrimary(inForce(asked, begun), { isSyncInForce: false }),
    rule: 'sync-changing',
  },
  {
    name: 'it is in force: the barrier',
    situation: inForce(asked, begun),
    rule: 'sync-barrier',
    because: /ends at 0\/3000000/,
    sync: { ...begun, barrier: LSN },
  },
  {
    name: 'nobody has flushed the barrier',
    situation: streaming(inForce(asked, { ...begun, barrier: LSN }), {
      pg2: '0/2FFFFFF',
      pg3: '0/2FFFFFF',
    }),
    rule: 'sync-changing',
    because: /as soon as pg2 or pg3 has caught up/,
    reasons: ['SyncChanging'],
  },
  {
    name: 'one has: enough',
    situation: streaming(inForce(asked, { ...begun, barrier: LSN }), {
      pg2: LSN,
      pg3: '0/2FFFFFF',
    }),
    rule: 'sync-guarantee',
    because: /every acknowledged commit is on 1 of pg2, pg3/,
    sync: { wanted: BOTH, guaranteed: BOTH, barrier: null },
  },
  {
    name: 'a laggard does not join',
    situation: streaming(
      withPrimary(asked, { lsn: `0/${(0x3000000 + JOIN_LAG_BYTES_MAX).toString(16)}` }),
      { pg2: '0/3000001', pg3: LSN },
    ),
    rule: 'sync-change',
    sync: { ...begun, wanted: ONE },
  },
  {
    name: 'preferred, and nobody streams: nothing to wait for',
    situation: streaming(asked, {}),
    rule: 'sync-reduced',
    because: /waits for no standby, 1 is declared: a failover may lose/,
    reasons: ['SyncReduced'],
  },
  {
    name: 'required, and nobody streams: writes are to wait',
    situation: streaming(withSynchronous(asynchronous, REQUIRED), {}),
    rule: 'sync-change',
    sync: begun,
  },

  // Standbys come and go.
  {
    name: 'a connection blinks while the other standby streams',
    situation: streaming(on, { pg2: LSN }),
    rule: null,
    reasons: [],
  },
  {
    name: 'a standby is gone',
    situation: withReport(streaming(on, { pg2: LSN }), 'pg3', null),
    rule: 'sync-change',
    sync: leaving,
  },
  {
    name: 'it comes back before the smaller set is guaranteed',
    situation: inForce(asked, leaving),
    rule: 'sync-change',
    sync: { wanted: BOTH, guaranteed: BOTH, barrier: null },
  },
  {
    name: 'commits wait: who does not stream leaves at once',
    situation: streaming(inForce(asked, { wanted: ONE, guaranteed: ONE, barrier: null }), {
      pg3: LSN,
    }),
    rule: 'sync-change',
    sync: { wanted: { number: 1, names: ['pg3'] }, guaranteed: BOTH, barrier: null },
  },
  {
    name: 'preferred, the last one is gone: writes go on',
    situation: streaming(on, {}),
    rule: 'sync-change',
    because: /is to wait for no standby/,
    sync: { wanted: null, guaranteed: null, barrier: null },
  },
  {
    name: 'required, the last one is gone: writes wait',
    situation: streaming(withSynchronous(on, REQUIRED), {}),
    rule: 'sync-standby-missing',
    because: /writes wait: 1 of pg2, pg3 must have each commit, and pg2 and pg3 do not stream/,
    reasons: ['SyncStandbyMissing'],
  },
  {
    name: 'preferred, fewer than declared',
    situation: withSynchronous(
      streaming(inForce(asked, { wanted: ONE, guaranteed: ONE, barrier: null }), { pg2: LSN }),
      { ...ANY, number: 2 },
    ),
    rule: 'sync-reduced',
    because: /waits for pg2, 2 are declared/,
    reasons: ['SyncReduced'],
  },

  // The spec changes.
  {
    name: 'it is not declared any more',
    situation: withSynchronous(on, null),
    rule: 'sync-change',
    sync: { wanted: null, guaranteed: null, barrier: null },
  },
  {
    name: 'another mode: the one of highest priority',
    situation: withSpec(withSynchronous(on, { ...ANY, mode: 'first' }), {
      failover: { ...spec().failover, priorities: { pg3: 200 } },
    }),
    rule: 'sync-change',
    sync: { wanted: { number: 1, names: ['pg3'] }, guaranteed: BOTH, barrier: null },
  },
  {
    name: 'another number',
    situation: withSynchronous(on, { ...ANY, number: 2 }),
    rule: 'sync-change',
    sync: { wanted: { ...BOTH, number: 2 }, guaranteed: BOTH, barrier: null },
  },
  {
    name: 'a server is removed that still streams',
    situation: withSpec(on, { servers: SERVERS.slice(0, 2) }),
    rule: 'sync-change',
    sync: leaving,
  },

  // When nothing may be decided.
  {
    name: 'the last change has not reached PostgreSQL',
    situation: withPrimary(withReport(streaming(on, {}), 'pg3', null), {
      syncNames: renderSyncNames(ONE),
    }),
    rule: 'sync-standby-missing',
  },
  {
    name: 'the primary is silent',
    situation: withReport(asked, 'pg1', null),
    rule: 'sync-reduced',
  },
  {
    name: 'the primary has not heard of this term',
    situation: withState(asked, { term: stateOf(asked).term + 1 }),
    rule: 'sync-reduced',
  },
  {
    name: 'the primary has been told to stop',
    situation: withReport(asked, 'pg1', {
      obeys: { ...asked.observation.reports['pg1']!.report.obeys!, task: 'stop' },
    }),
    rule: 'sync-reduced',
  },
  {
    name: 'a change of role is under way',
    situation: withState(streaming(on, {}), {
      change: {
        id: '1.1',
        kind: 'switchover',
        from: 'pg1',
        to: 'pg2',
        phase: 'checkpointing',
        reason: 'test',
        harmless: null,
        knownLsn: null,
        generation: 1,
        startedAt: on.now,
        shutdownLsn: null,
      },
    }),
    rule: null,
  },
];

describe('the rules of synchronous replication', () => {
  for (const { name, situation, rule, because, sync, reasons } of CASES) {
    it(`${name}: ${rule ?? 'nothing'}`, () => {
      const found = decided(situation);
      expect(found.rule).to.equal(rule);
      if (because !== undefined) expect(found.because).to.match(because);
      expect(found.next?.sync).to.deep.equal(sync);
      if (reasons !== undefined) expect(found.reasons).to.deep.equal(reasons);
    });
  }

  it('are all reached', () => {
    const reached = new Set(CASES.map(({ rule }) => rule));
    for (const { id } of synchronousRules) expect(reached, id).to.include(id);
  });

  it('write an event for what people should know, and none for a barrier', () => {
    const messages = (situation: Situation): readonly string[] =>
      decided(situation)
        .next!.events.slice(stateOf(situation).events.length)
        .map(({ message }) => message);
    expect(messages(asked)).to.deep.equal([
      'commits are to wait for 1 of pg2, pg3, before for no standby',
    ]);
    expect(messages(inForce(asked, begun))).to.deep.equal([]);
    expect(messages(inForce(asked, { ...begun, barrier: LSN }))).to.deep.equal([
      'every acknowledged commit is on 1 of pg2, pg3',
    ]);
  });

  it('lead from any declaration to its guarantee, and then rest', () => {
    for (const synchronous of [ANY, REQUIRED, { ...ANY, number: 2 }, null]) {
      const { situation } = settle(withSynchronous(on, synchronous));
      const { wanted, guaranteed, barrier } = stateOf(situation).sync;
      expect(wanted?.number ?? null).to.equal(synchronous?.number ?? null);
      expect(guaranteed).to.deep.equal(wanted);
      expect(barrier).to.equal(null);
      expect(decided(situation)).to.deep.include({ rule: null, reasons: [] });
    }
  });
});

describe('after a change of primary', () => {
  const since = (milliseconds: number): Situation => {
    const at = new Date(Date.parse(on.now) - milliseconds).toISOString();
    const { lastChange } = stateOf(on);
    return streaming(withState(on, { lastChange: { ...lastChange!, at } }), {});
  };

  it('the standbys are given time to connect to the new one', () => {
    expect(decided(since(0)).rule).to.equal('sync-standby-missing');
    expect(decided(since(RECONNECT_MS - 1)).rule).to.equal('sync-standby-missing');
    expect(decided(since(RECONNECT_MS)).rule).to.equal('sync-change');
  });

  it('a clock that was put back does not give them for ever', () => {
    expect(decided(since(-60_000)).rule).to.equal('sync-change');
  });
});

describe('the set that a new primary begins with', () => {
  const change = (kind: 'switchover' | 'failover', situation = on): SyncState => {
    const stopped = withReport(situation, 'pg1', {
      postgres: { state: 'stopped', control: null, standbySignal: false },
    });
    const under = withState(stopped, {
      change: {
        id: '1.1',
        kind,
        from: 'pg1',
        to: 'pg2',
        phase: kind === 'switchover' ? 'stopping' : 'electing',
        reason: 'test',
        harmless: null,
        knownLsn: null,
        generation: 1,
        startedAt: on.now,
        shutdownLsn: null,
      },
    });
    return syncOfNewPrimary(viewOf(under, stateOf(under)), 'pg2');
  };
  const begins = (...names: string[]): SyncState => ({
    wanted: { number: 1, names },
    guaranteed: null,
    barrier: null,
  });

  it('has the old primary of a switchover, which comes right back', () => {
    expect(change('switchover')).to.deep.equal(begins('pg1', 'pg3'));
  });

  it('has not the old primary of a failover', () => {
    expect(change('failover')).to.deep.equal(begins('pg3'));
  });

  it('is empty when nobody is left and it is only preferred', () => {
    expect(change('failover', withReport(on, 'pg3', null)).wanted).to.equal(null);
  });

  it('waits for anybody when nobody is left and it is required', () => {
    const situation = withReport(withSynchronous(on, REQUIRED), 'pg3', null);
    expect(change('failover', situation)).to.deep.equal(begins('pg1', 'pg3'));
  });
});
