/**
 * Goal: a primary is replaced exactly when it is lost and harmless, and by nobody who lacks
 * something. Method: a healthy trio under leases with one thing changed, and the rule that decides.
 */
import { expect } from 'chai';
import { assignmentFor } from '../../src/core/assignment';
import { type VolumeRoom } from '../../src/core/budget';
import { judgeCandidates } from '../../src/core/candidates';
import { decide, RULES } from '../../src/core/decide';
import { type Grant, type TaskSeen } from '../../src/core/observation';
import { viewOf, type Situation } from '../../src/core/situation';
import { type ClusterState, type PromotionRequest } from '../../src/core/state';
import {
  afterRecord,
  NOW_MS,
  running,
  spec,
  stoppedReport,
  withReport,
  withSpec,
  withState,
  withSwarm,
} from '../support/world';

const automatic = {
  failover: { ...spec().failover, mode: 'automatic' },
  servers: ['pg1', 'pg2', 'pg3'].map((name, index) => ({
    name,
    node: { hostname: `n${index + 1}` },
    port: 5432,
  })),
} as const;

const granted = (situation: Situation, grants: readonly Grant[]): Situation => ({
  ...situation,
  observation: { ...situation.observation, grants, obeyingSinceMs: NOW_MS - 60_000 },
});
const restarting = (servers: readonly string[]): Partial<ClusterState> => ({
  restart: { id: 'r', servers, rollout: { because: 'x', primary: 'last' } },
});
const LEASED: readonly Grant[] = [{ taskId: 't1', endsAtMs: NOW_MS + 4000 }];
const OVER: readonly Grant[] = [{ taskId: 't1', endsAtMs: NOW_MS - 1 }];

const trio = granted(withReport(running(automatic), 'pg1', { taskId: 't1' }), LEASED);
const sync = { wanted: { number: 1, names: ['pg2', 'pg3'] }, barrier: null };
const synchronous = withState(trio, { sync: { ...sync, guaranteed: sync.wanted } });
const silent = withReport(trio, 'pg1', null);
const lost = granted(silent, OVER);
/** After `failover-begin`. */
const electing = afterRecord(lost);
const callId = electing.state!.change!.id;
const task = (state: string): TaskSeen => ({
  id: 't1',
  service: 'pgswarm-orders-pg1',
  nodeId: 'id-n1',
  state,
  desiredState: 'shutdown',
  error: null,
  createdAt: '',
});

const answering = (situation: Situation, server: string, postgres: object = {}): Situation => {
  const { report } = situation.observation.reports[server]!;
  return withReport(situation, server, {
    obeys: { ...report.obeys!, rollCall: callId },
    postgres: { ...report.postgres, ...postgres },
  });
};
const answered = answering(answering(electing, 'pg2'), 'pg3');
const withHarmless = (situation: Situation, harmless: string | null): Situation =>
  withState(situation, { change: { ...situation.state!.change!, harmless } });
const THREE = ['pg1', 'pg2', 'pg3'];
const withRoom = (situation: Situation, server: string, freeBytes: number): Situation => {
  const { postgres } = situation.observation.reports[server]!.report;
  return withReport(situation, server, { postgres: { ...postgres, freeBytes } as never });
};
const FULL: VolumeRoom = { sizeBytes: 1e9, freeBytes: 5e7, fullInMs: null, stage: 'full' };
const far = { receivedLsn: '0/9000000', replayedLsn: '0/9000000' };
const near = { receivedLsn: '0/3000100', replayedLsn: '0/3000100' };
/** The old primary is back, and stopped as the failover told it. */
const returned = (situation: Situation, endLsn: string): Situation => {
  const { report } = trio.observation.reports['pg1']!;
  const obeys = { ...report.obeys!, task: 'stop', rollCall: callId, contract: null } as const;
  const reports = {
    ...situation.observation.reports,
    pg1: {
      report: { ...report, obeys, postgres: stoppedReport('shut down', endLsn) },
      seenAtMs: NOW_MS,
    },
  };
  return { ...situation, observation: { ...situation.observation, reports } };
};
const request = (changes: Partial<PromotionRequest> = {}): PromotionRequest => ({
  to: 'pg2',
  at: '',
  by: 'ada',
  acceptsLoss: false,
  primaryIsDead: false,
  ...changes,
});
const override = {
  number: 1,
  declared: 'pg1',
  from: 'pg1',
  to: 'pg2',
  reason: 'its lease is over',
  at: '2026-01-01T00:00:00.000Z',
};

interface Case {
  readonly name: string;
  readonly situation: Situation;
  readonly rule: string;
  readonly because?: RegExp;
}

const CASES: readonly Case[] = [
  { name: 'all is well', situation: trio, rule: 'steady' },

  // ── lost, or not ──
  { name: 'silent, and its lease is running', situation: silent, rule: 'primary-silent' },
  { name: 'silent, and its lease is over', situation: lost, rule: 'failover-begin' },
  {
    name: 'silent, its lease is over, and every peer has promised to wait',
    situation: ['pg2', 'pg3'].reduce(
      (now, server) => withReport(now, server, { promiseLeftMs: 3000 }),
      lost,
    ),
    rule: 'primary-silent',
  },
  {
    name: 'silent, its lease is over, and one peer is free: the primary cannot have all promises',
    situation: withReport(lost, 'pg2', { promiseLeftMs: 3000 }),
    rule: 'failover-begin',
  },
  {
    name: 'silent, but perhaps without a lease',
    situation: withState(lost, { contract: null }),
    rule: 'primary-silent',
  },
  {
    name: 'silent, its lease is over, failover is manual',
    situation: withSpec(lost, { failover: { ...automatic.failover, mode: 'manual' } }),
    rule: 'contract-narrow',
  },
  {
    name: 'its lease is over, and the failover is to wait longer',
    situation: withSpec(lost, { failover: { ...automatic.failover, delayMs: 5000 } }),
    rule: 'primary-silent',
  },
  {
    name: 'silent, its lease is over, and the leader is new',
    situation: {
      ...lost,
      observation: { ...lost.observation, leadingSinceMs: NOW_MS - 1000 },
    },
    rule: 'primary-silent',
  },
  {
    name: 'kept stopped by a person',
    situation: withState(lost, { fenced: ['pg1'] }),
    rule: 'primary-fenced',
  },
  {
    name: 'its container has ended, by Swarm’s word, before the lease is over',
    situation: withSwarm(silent, { tasks: [task('failed')] }),
    rule: 'failover-begin',
    because: /container has ended/,
  },
  {
    name: 'its container is said to be ending',
    situation: withSwarm(silent, { tasks: [task('running')] }),
    rule: 'primary-silent',
  },
  {
    name: 'its container has ended, but another one may hold a lease, too',
    situation: granted(withSwarm(silent, { tasks: [task('failed')] }), [
      ...LEASED,
      { taskId: null, endsAtMs: NOW_MS + 1000 },
    ]),
    rule: 'primary-silent',
  },
  {
    name: 'its container has ended, and a new one reports',
    situation: withReport(withSwarm(trio, { tasks: [task('failed')] }), 'pg1', {
      taskId: 't2',
      postgres: { state: 'starting', recoveryBytes: null },
    }),
    rule: 'primary-silent',
  },
  {
    name: 'it recovers from a crash, for long, and every commit is elsewhere',
    situation: withReport(synchronous, 'pg1', {
      postgres: { state: 'starting', recoveryBytes: 4 * 1024 ** 3 },
    }),
    rule: 'failover-begin',
    because: /crash recovery/,
  },
  {
    name: 'it recovers from a crash, for long, and what it has may be nowhere else',
    situation: withReport(trio, 'pg1', {
      postgres: { state: 'starting', recoveryBytes: 4 * 1024 ** 3 },
    }),
    rule: 'primary-silent',
  },
  {
    name: 'it recovers from a crash, for a moment',
    situation: withReport(synchronous, 'pg1', {
      postgres: { state: 'starting', recoveryBytes: 1024 ** 2 },
    }),
    rule: 'primary-silent',
  },
  {
    name: 'it cannot be started, for long',
    situation: withReport(trio, 'pg1', { postgres: stoppedReport('in production') }),
    rule: 'failover-begin',
    because: /cannot run/,
  },
  {
    name: 'the same, while restarts wait for another server',
    situation: withState(
      withReport(trio, 'pg1', { postgres: stoppedReport('in production') }),
      restarting(['pg3', 'pg1']),
    ),
    rule: 'failover-begin',
  },
  {
    name: 'the same in its own restart, and it says why it does not start',
    situation: withState(
      withReport(trio, 'pg1', {
        postgres: stoppedReport('shut down'),
        problem: { reason: 'StartFailed', message: 'no memory' },
        restartedFor: 'r',
      }),
      restarting(['pg1']),
    ),
    rule: 'failover-begin',
    because: /cannot run: no memory/,
  },
  {
    name: 'it is stopped for its own restart',
    situation: withState(
      withReport(trio, 'pg1', { postgres: stoppedReport('shut down'), restartedFor: 'r' }),
      restarting(['pg1']),
    ),
    rule: 'restart-waits',
  },
  {
    name: 'it is back after a long silence, and has just been told to start',
    situation: {
      ...withReport(trio, 'pg1', { postgres: stoppedReport('in production') }),
      observation: {
        ...withReport(trio, 'pg1', { postgres: stoppedReport('in production') }).observation,
        obeyingSinceMs: NOW_MS - 1000,
      },
    },
    rule: 'primary-silent',
  },
  {
    name: 'nobody else is heard of',
    situation: withReport(
      withReport(withSwarm(silent, { tasks: [task('failed')] }), 'pg2', null),
      'pg3',
      null,
    ),
    rule: 'failover-impossible',
  },

  // ── the roll call ──
  {
    name: 'the lease is over, nobody has answered the roll call',
    situation: electing,
    rule: 'failover-await',
    because: /pg2: it has not answered the roll call/,
  },
  {
    name: 'one has answered, the other is about to',
    situation: answering(electing, 'pg2'),
    rule: 'failover-await',
  },
  { name: 'all have answered', situation: answered, rule: 'failover-promote' },
  {
    name: 'the furthest is promoted',
    situation: answering(answered, 'pg3', far),
    rule: 'failover-promote',
    because: /pg3 has received/,
  },
  {
    name: 'of equals, the one that the user prefers',
    situation: withSpec(answered, {
      failover: { ...automatic.failover, priorities: { pg3: 200 } },
    }),
    rule: 'failover-promote',
    because: /pg3 has received/,
  },
  {
    name: 'the old primary could write when they were asked, and still can',
    situation: granted(withHarmless(answered, null), LEASED),
    rule: 'failover-await',
    because: /may still accept writes/,
  },
  {
    name: 'the old primary could write when they were asked, and its lease is over now',
    situation: withHarmless(answered, null),
    rule: 'failover-count-again',
    because: /every lease of pg1 is over/,
  },
  {
    name: 'a lease has not ended yet, but the old primary has stopped as it was told',
    situation: granted(returned(withHarmless(answered, null), '0/3000000'), LEASED),
    rule: 'failover-count-again',
    because: /pg1 has stopped/,
  },
  {
    name: 'both have promised, and do not answer before that is over',
    situation: ['pg2', 'pg3'].reduce(
      (now, server) => withReport(now, server, { promiseLeftMs: 3000 }),
      electing,
    ),
    rule: 'failover-await',
    because: /pg3: it has promised/,
  },
  {
    name: 'the old primary is back with what nobody else has',
    situation: returned(answered, '0/A000000'),
    rule: 'failover-undo',
  },
  {
    name: 'a primary that could not run is back, and those who could take over are gone',
    situation: ['pg2', 'pg3'].reduce(
      (now, server) => withReport(now, server, null),
      withState(returned(answered, '0/3000000'), {
        change: { ...answered.state!.change!, reason: 'it cannot run: disk full' },
      }),
    ),
    rule: 'failover-undo',
  },
  {
    name: 'the old primary is back, and who should take over waits for it to run',
    situation: ['pg2', 'pg3'].reduce<Situation>(
      (now, server) => withReport(now, server, { postgres: stoppedReport('shut down') }),
      returned(answered, '0/3000000'),
    ),
    rule: 'failover-undo',
  },
  {
    name: 'the old primary is back, and who should take over never gets ready',
    situation: ['pg2', 'pg3'].reduce<Situation>(
      (now, server) =>
        withReport(now, server, { postgres: { state: 'starting', recoveryBytes: null } }),
      {
        ...returned(electing, '0/3000000'),
        observation: {
          ...returned(electing, '0/3000000').observation,
          phaseSinceMs: NOW_MS - 7000,
        },
      },
    ),
    rule: 'failover-undo',
  },
  {
    name: 'all are too far behind what the primary had written',
    situation: withState(answered, {
      change: { ...answered.state!.change!, knownLsn: '0/9000000' },
    }),
    rule: 'failover-no-candidate',
    because: /pg2: it is .* behind what the primary had written/,
  },
  {
    name: 'all are too far behind, and a person accepts it',
    situation: withState(answered, {
      change: { ...answered.state!.change!, knownLsn: '0/9000000' },
      request: request({ acceptsLoss: true }),
    }),
    rule: 'failover-promote',
    because: /pg2 has received/,
  },
  {
    name: 'commits may be on one of two, and only one has answered',
    situation: withReport(
      withState(answered, { sync: { ...sync, guaranteed: sync.wanted } }),
      'pg3',
      null,
    ),
    rule: 'failover-no-candidate',
    because: /pg3/,
  },
  {
    name: 'commits are to be synchronous, and nothing is guaranteed yet',
    situation: withState(answered, { sync: { ...sync, guaranteed: null } }),
    rule: 'failover-no-candidate',
  },
  {
    name: 'all synchronous standbys have answered, one is ahead',
    situation: answering(
      withState(answered, { sync: { ...sync, guaranteed: sync.wanted } }),
      'pg3',
      near,
    ),
    rule: 'failover-promote',
    because: /pg3 has received/,
  },
  {
    name: 'no one is on the timeline of the primary',
    situation: withState(answered, { timeline: 5 }),
    rule: 'failover-no-candidate',
    because: /on timeline 1, the primary was on 5/,
  },
  {
    name: 'the new primary dies before it was promoted',
    situation: granted(withReport(afterRecord(answered), 'pg2', null), OVER),
    rule: 'failover-begin',
    because: /pg2 is lost/,
  },

  // ── by hand ──
  {
    name: 'a person vouches for the death of a primary without a lease',
    situation: withState(
      withSpec(silent, { failover: { ...automatic.failover, mode: 'manual' } }),
      {
        contract: null,
        request: request({ primaryIsDead: true }),
      },
    ),
    rule: 'failover-begin',
    because: /asked for/,
  },
  {
    name: 'another primary than the declared one',
    situation: withState(withSpec(trio, { primary: 'pg2' }), {
      override: { ...override, declared: 'pg2', to: 'pg1' },
    }),
    rule: 'primary-diverged',
    because: /primary: pg1.*pgswarm promote orders pg2/,
  },
  {
    name: 'the spec names yet another primary',
    situation: withState(withSpec(trio, { primary: 'pg3' }), {
      override: { ...override, declared: 'pg2', to: 'pg1' },
    }),
    rule: 'override-over',
  },
  {
    name: 'the spec names the new primary, so that the old one can be asked for later',
    situation: withState(trio, { override: { ...override, declared: 'pg2', to: 'pg1' } }),
    rule: 'override-over',
    because: /pg1 is primary, as declared/,
  },
  {
    name: 'the spec named yet another primary before',
    situation: afterRecord(
      withState(withSpec(trio, { primary: 'pg3' }), {
        override: { ...override, declared: 'pg2', to: 'pg1' },
      }),
    ),
    rule: 'switchover-begin',
    because: /pg3/,
  },
  {
    name: 'the declared primary has been back for long enough',
    situation: {
      ...withState(
        withSpec(trio, {
          primary: 'pg2',
          failover: { ...automatic.failover, failback: 'auto' },
        }),
        { override: { ...override, declared: 'pg2', to: 'pg1' } },
      ),
      observation: { ...trio.observation, streamingSinceMs: { pg2: NOW_MS - 301_000 } },
    },
    rule: 'switchover-begin',
    because: /failback/,
  },
  {
    name: 'the container of the primary is to end',
    situation: withReport(trio, 'pg1', { isLeaving: true }),
    rule: 'switchover-begin',
    because: /is to end/,
  },
  {
    name: 'the primary has no room to write, and a standby has',
    situation: withRoom(withRoom(trio, 'pg1', 1024), 'pg3', 1024 ** 3),
    rule: 'switchover-begin',
    because: /pg3 .* the data volume of pg1 is full/,
  },
  {
    name: 'the primary refuses writes for lack of room, and a standby has some',
    situation: withReport(withRoom(trio, 'pg3', 1024 ** 3), 'pg1', { dataVolume: FULL }),
    rule: 'switchover-begin',
    because: /pg3 .* the data volume of pg1 is full/,
  },
  {
    name: 'the same, and the standby will soon be as full',
    situation: withReport(
      withReport(withRoom(trio, 'pg3', 1024 ** 3), 'pg1', { dataVolume: FULL }),
      'pg3',
      { dataVolume: { ...FULL, stage: 'short' } },
    ),
    rule: 'volume-full',
  },
  {
    name: 'nobody has room to write',
    situation: THREE.reduce((now, server) => withRoom(now, server, 1024), trio),
    rule: 'volume-full',
    because: /data on n1 is full \(1kB left\)/,
  },
  {
    name: 'a person asks for another primary',
    situation: withState(trio, { request: request({ to: 'pg3' }) }),
    rule: 'switchover-begin',
    because: /pg3 .* asked for by ada/,
  },
  {
    name: 'paused while the primary is lost',
    situation: withState(lost, { paused: { since: 'noon', by: 'ada' } }),
    rule: 'paused',
    because: /paused by ada/,
  },

  // ── what the record relies on ──
  {
    name: 'a peer is not in the spec any more',
    situation: withSpec(trio, { servers: automatic.servers.slice(0, 2) }),
    rule: 'contract-narrow',
  },
  {
    name: 'the primary has confirmed another peer',
    situation: withState(trio, { contract: { ttlMs: 5000, peers: ['pg2'] } }),
    rule: 'contract-widen',
  },
  {
    name: 'the primary has confirmed another peer for an earlier term',
    situation: withReport(withState(trio, { contract: { ttlMs: 5000, peers: ['pg2'] } }), 'pg1', {
      obeys: { ...trio.observation.reports['pg1']!.report.obeys!, term: 0 },
    }),
    rule: 'steady',
  },
  {
    name: 'a timeline that is not on record',
    situation: withState(trio, { timeline: null }),
    rule: 'record-timeline',
  },
  {
    name: 'a server has counted a loss',
    situation: withReport(trio, 'pg2', {
      divergence: {
        term: 1,
        timeline: 1,
        fromLsn: '0/3000000',
        toLsn: '0/3000100',
        bytes: 256,
        transactions: 2,
        firstCommitAt: null,
        lastCommitAt: null,
        keptIn: 'diverged/x',
      },
    }),
    rule: 'record-loss',
    because: /2 transactions/,
  },
];

/** The rules that this file is about. */
const SUBJECT = [
  'volume-full',
  'failover-',
  'contract-',
  'record-loss',
  'record-timeline',
  'primary-diverged',
  'override-over',
];

describe('failover', () => {
  for (const { name, situation, rule, because } of CASES) {
    it(`${name}: ${rule}`, () => {
      const decision = decide(situation);
      expect(decision.rule, decision.because).to.equal(rule);
      if (because !== undefined) expect(decision.because).to.match(because);
    });
  }

  it('has a case for every rule', () => {
    const ids = RULES.map(({ id }) => id).filter((id) => SUBJECT.some((s) => id.startsWith(s)));
    const missing = ids.filter((id) => CASES.every(({ rule }) => rule !== id));
    expect(missing).to.deep.equal([]);
  });

  it('grants nothing and stops the old primary from the first write on', () => {
    const view = viewOf(electing, electing.state!);
    const tasks = view.servers.map((server) => assignmentFor(view, server));
    expect(tasks.map(({ task: { kind } }) => kind)).to.deep.equal(['stop', 'standby', 'standby']);
    expect(tasks.map(({ rollCall }) => rollCall)).to.deep.equal([callId, callId, callId]);
  });

  it('gives the new primary its contract, its term and the override in one write', () => {
    const { state } = afterRecord(answered);
    expect(state).to.deep.include({ term: 2, primary: 'pg2' });
    expect(state!.contract).to.deep.equal({ ttlMs: 5000, peers: ['pg1', 'pg3'] });
    expect(state!.override).to.deep.include({ declared: 'pg1', to: 'pg2', number: 1 });
  });

  it('says of every server why it would not take over', () => {
    const situation = withReport(withState(trio, { fenced: ['pg3'] }), 'pg2', { isLeaving: true });
    const { fit, rejected } = judgeCandidates(viewOf(situation, situation.state!));
    expect(fit).to.deep.equal([]);
    expect(rejected.map(({ server, because }) => `${server}: ${because}`)).to.deep.equal([
      'pg2: its container is being stopped',
      'pg3: it is kept stopped by `pgswarm fence`',
    ]);
  });
});
