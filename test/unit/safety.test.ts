/**
 * Goal: no situation, however odd, makes the decision unsafe. Method: every combination of what a
 * pair may report, in every phase, is decided on (exhaustive, not sampled), and whatever is
 * decided is held against the invariants S1, S2, S4 and S5 of the design.
 */
import { expect } from 'chai';
import { assignmentFor } from '../../src/core/assignment';
import { decide } from '../../src/core/decide';
import { compareLsn } from '../../src/core/lsn';
import { type Report } from '../../src/core/protocol';
import { viewOf, type Situation } from '../../src/core/situation';
import { type ClusterState } from '../../src/core/state';
import { settle, stoppedReport, switchover, withReport, withState } from '../support/world';

const { pair, asked, checkpointing, stopping, promoting } = switchover();

const standby = pair.observation.reports['pg2']!.report.postgres;
const primary = pair.observation.reports['pg1']!.report.postgres;
const foreign = { kind: 'foreign', detail: 'something else' } as const;

const toldToRun = {
  leaderEpoch: 1,
  term: 1,
  task: 'primary',
  contract: null,
  rollCall: null,
} as const;
const toldToStop = {
  leaderEpoch: 1,
  term: 1,
  task: 'stop',
  contract: null,
  rollCall: '1.1',
} as const;

/** What one server may report: role, position, volume, silence. */
const REPORTS: Record<string, Partial<Report> | null> = {
  silent: null,
  primary: { postgres: primary },
  'primary, checkpointed': { postgres: primary, checkpointedFor: '1.1' },
  'standby, caught up': { postgres: standby },
  'standby, behind': { postgres: { ...standby, replayedLsn: '0/2FFFFF0' } as never },
  'standby, foreign': { postgres: { ...standby, systemIdentifier: '8' } as never },
  stopped: { postgres: stoppedReport('shut down'), obeys: toldToRun },
  'stopped further': { postgres: stoppedReport('shut down', '0/4000000'), obeys: toldToRun },
  crashed: { postgres: stoppedReport('in production'), obeys: toldToRun },
  'stopped in recovery': { postgres: stoppedReport('shut down in recovery') },
  'volume empty': {
    volume: { kind: 'empty' },
    postgres: { state: 'stopped', control: null, standbySignal: false },
  },
  'volume foreign': {
    volume: foreign,
    postgres: { state: 'stopped', control: null, standbySignal: false },
  },
  'stopped, told to': { postgres: stoppedReport('shut down'), obeys: toldToStop },
  'stopped further, told to': {
    postgres: stoppedReport('shut down', '0/4000000'),
    obeys: toldToStop,
  },
  'crashed, told to stop': { postgres: stoppedReport('in production'), obeys: toldToStop },
  starting: { postgres: { state: 'starting', recoveryBytes: null } },
};

const PHASES: Record<string, Situation> = {
  steady: pair,
  asked,
  checkpointing,
  stopping,
  promoting,
  'never initialised': withState(pair, {
    systemIdentifier: null,
    primary: null,
    term: 0,
    volumes: {},
  }),
};

interface World {
  readonly name: string;
  readonly situation: Situation;
}

function* worlds(): Generator<World> {
  for (const [phase, base] of Object.entries(PHASES)) {
    for (const [one, first] of Object.entries(REPORTS)) {
      for (const [two, second] of Object.entries(REPORTS)) {
        for (const aged of [0, 11_000]) {
          const { observation } = base;
          const phaseSinceMs = base.nowMs - aged;
          const situation = withReport(
            withReport({ ...base, observation: { ...observation, phaseSinceMs } }, 'pg1', first),
            'pg2',
            second,
          );
          yield { name: `${phase}: pg1 ${one}, pg2 ${two}, phase ${aged} ms old`, situation };
        }
      }
    }
  }
}

/** The state after each of the decision's writes. */
function written(situation: Situation): ClusterState[] {
  return decide(situation).steps.flatMap((step) => (step.kind === 'record' ? [step.next] : []));
}

function tasks(situation: Situation): string[] {
  const view = viewOf(situation, situation.state!);
  return view.servers.map((server) => assignmentFor(view, server).task.kind);
}

describe('safety in every small world', function () {
  this.timeout(20_000);

  it('enumerates them', () => {
    expect([...worlds()]).to.have.length(6 * 16 * 16 * 2);
  });

  it('S1: at most one server is told to be primary, and only the recorded one', () => {
    for (const { name, situation } of worlds()) {
      const view = viewOf(situation, situation.state!);
      for (const server of view.servers) {
        const { task } = assignmentFor(view, server);
        if (task.kind === 'primary') expect(server.name, name).to.equal(situation.state!.primary);
      }
    }
  });

  it('S1, S5: a new primary is named only when the old one has stopped and the new one has all of it', () => {
    let named = 0;
    for (const { name, situation } of worlds()) {
      for (const next of written(situation)) {
        const before = situation.state!;
        if (before.primary === null || next.primary === before.primary) continue;
        named += 1;
        const { postgres: from, obeys } = situation.observation.reports[before.primary]!.report;
        expect(obeys?.task, `${name}: the old primary may start again`).to.equal('stop');
        const to = situation.observation.reports[next.primary!]!.report.postgres;
        if (from.state !== 'stopped') return expect.fail(name);
        if (to.state !== 'standby') return expect.fail(name);
        expect(from.control!.clusterState, name).to.equal('shut down');
        expect(compareLsn(to.replayedLsn, from.control!.endLsn), name).to.be.at.least(0);
      }
    }
    expect(named, 'worlds in which a primary is named').to.be.greaterThan(0);
  });

  it('S2: the term grows exactly when the primary changes', () => {
    for (const { name, situation } of worlds()) {
      for (const next of written(situation)) {
        const before = situation.state!;
        expect(next.term - before.term, name).to.equal(next.primary === before.primary ? 0 : 1);
      }
    }
  });

  it('S4: nothing is initialised or cloned over a volume that is known, or was not seen empty', () => {
    let filled = 0;
    for (const { name, situation } of worlds()) {
      const view = viewOf(situation, situation.state!);
      for (const server of view.servers) {
        const { task } = assignmentFor(view, server);
        if (task.kind !== 'initialise' && task.kind !== 'clone') continue;
        filled += 1;
        expect(server.volume?.kind, name).to.equal('empty');
        expect(situation.state!.volumes[server.name], name).to.equal(undefined);
      }
      for (const next of written(situation)) {
        if (next.initialising === null) continue;
        for (const server of view.servers) expect(server.volume?.kind, name).to.equal('empty');
      }
    }
    expect(filled).to.equal(0);
  });

  it('never waits without saying for what', () => {
    for (const { name, situation } of worlds()) {
      expect(decide(situation).because, name).to.not.equal('');
    }
  });
});

describe('an operator that dies', () => {
  const successor = (situation: Situation, epoch: number): Situation => ({
    ...withState(situation, { leaderEpoch: epoch }),
    leaderEpoch: epoch,
  });

  it('at any step of a switchover is replaced by one that finishes it', () => {
    const visited: Situation[] = [];
    settle(asked, (situation) => visited.push(situation));
    expect(visited.map(({ state }) => state?.change?.phase)).to.include.members([
      'checkpointing',
      'stopping',
      'promoting',
    ]);
    for (const [index, situation] of visited.entries()) {
      const { decision, situation: end } = settle(successor(situation, 2 + index));
      expect(decision.rule).to.equal('steady');
      expect(end.state).to.deep.include({ primary: 'pg2', change: null, term: 2 });
      expect(tasks(end)).to.deep.equal(['standby', 'primary']);
    }
  });

  it('at any step of the first start is replaced by one that goes on', () => {
    const visited: Situation[] = [];
    settle({ ...pair, state: null, observation: { ...pair.observation, reports: {} } }, (each) =>
      visited.push(each),
    );
    for (const situation of visited.filter(({ state }) => state !== null)) {
      expect(settle(successor(situation, 9)).decision.rule).to.be.oneOf([
        'steady',
        'await-servers',
      ]);
    }
  });
});
