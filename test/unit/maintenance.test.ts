import { expect } from 'chai';
import { maintenanceRules } from '../../src/core/rules/maintenance';
import { type Outcome } from '../../src/core/rules/rule';
import { viewOf, type Situation } from '../../src/core/situation';
import { type ClusterState } from '../../src/core/state';
import {
  restartRequested,
  serverFenced,
  serverRestarted,
  serverUnfenced,
} from '../../src/core/transitions';
import { running, withReport, withSpec, withState } from '../support/world';

const pair = running();
const RESTART = { id: 'r1', servers: ['pg2', 'pg1'] } as const;
const asked = withState(pair, { restart: RESTART });
const last = withState(pair, { restart: { id: 'r1', servers: ['pg1'] } });

/** What the first rule that matches says, and the record that it writes. */
function judge(situation: Situation): (Outcome & { readonly rule: string }) | null {
  const view = viewOf(situation, situation.state!);
  for (const { id, evaluate } of maintenanceRules) {
    const outcome = evaluate(view);
    if (outcome !== null) return { ...outcome, rule: id };
  }
  return null;
}

const written = (situation: Situation): ClusterState | null => {
  const [step] = judge(situation)?.steps ?? [];
  return step?.kind === 'record' ? step.next : null;
};

const standby = pair.observation.reports['pg2']!.report.postgres;
const done = { restartedFor: 'r1' } as const;

interface Row {
  readonly name: string;
  readonly situation: Situation;
  readonly rule: string | null;
  readonly because?: RegExp;
  /** Those that are still to be restarted, when the rule writes. */
  readonly left?: readonly string[] | null;
}

const rows: readonly Row[] = [
  { name: 'nothing that was asked for', situation: pair, rule: null },
  {
    name: 'a standby that is told to restart',
    situation: asked,
    rule: 'restart-waits',
    because: /^pg2 is told to restart PostgreSQL; then pg1$/,
  },
  {
    name: 'a standby that was restarted for an earlier request',
    situation: withReport(asked, 'pg2', { restartedFor: 'r0' }),
    rule: 'restart-waits',
  },
  {
    name: 'a standby that is silent',
    situation: withReport(asked, 'pg2', null),
    rule: 'restart-waits',
    because: /^pg2 does not answer; then pg1$/,
  },
  {
    name: 'a standby that does not come up again',
    situation: withReport(asked, 'pg2', {
      ...done,
      postgres: { state: 'starting', recoveryBytes: null },
    }),
    rule: 'restart-waits',
    because: /^PostgreSQL on pg2 is starting; then pg1$/,
  },
  {
    name: 'a standby with a problem, in its words',
    situation: withReport(asked, 'pg2', {
      problem: { reason: 'StartFailed', message: 'out of shared memory' },
    }),
    rule: 'restart-waits',
    because: /^pg2: out of shared memory; then pg1$/,
  },
  {
    name: 'a standby that is up and does not stream yet, though the primary still says so',
    situation: withReport(asked, 'pg2', {
      ...done,
      postgres: { ...standby, receiver: null } as never,
    }),
    rule: 'restart-waits',
    because: /^pg2 has been restarted, and does not stream yet; then pg1$/,
  },
  {
    name: 'a standby that streams again',
    situation: withReport(asked, 'pg2', done),
    rule: 'restart-next',
    because: /^pg2 has been restarted and streams again; pg1 is next$/,
    left: ['pg1'],
  },
  {
    name: 'a standby that was taken out of the spec meanwhile',
    situation: withSpec(asked, { servers: pair.record.spec.servers.slice(0, 1) }),
    rule: 'restart-next',
    because: /^pg2 is not in the spec any more; pg1 is next$/,
    left: ['pg1'],
  },
  {
    name: 'the primary, last of all',
    situation: last,
    rule: 'restart-waits',
    because: /^pg1 is told to restart PostgreSQL$/,
  },
  {
    name: 'the primary that accepts writes again: the end',
    situation: withReport(last, 'pg1', done),
    rule: 'restart-next',
    because: /^pg1 has been restarted and accepts writes; it was the last one$/,
    left: null,
  },
  {
    name: 'a standby that is kept stopped',
    situation: withState(pair, { fenced: ['pg2'] }),
    rule: 'fenced-server',
    because: /^pg2 is kept stopped by `pgswarm fence`; pgswarm unfence orders pg2 ends it$/,
  },
  {
    name: 'the primary that is kept stopped',
    situation: withState(pair, { fenced: ['pg1'] }),
    rule: 'primary-fenced',
    because: /nobody accepts writes; pgswarm unfence orders pg1 ends it$/,
  },
];

describe('maintenance', () => {
  for (const { name, situation, rule, because, left } of rows) {
    it(`decides on ${name}`, () => {
      const outcome = judge(situation);
      expect(outcome?.rule ?? null).to.equal(rule);
      if (because !== undefined) expect(outcome?.because).to.match(because);
      if (left !== undefined) {
        expect(written(situation)?.restart?.servers ?? null).to.deep.equal(left);
      } else expect(outcome?.steps ?? []).to.deep.equal([]);
    });
  }

  it('passes over a server that is kept stopped, and says so', () => {
    const view = viewOf(withState(asked, { fenced: ['pg2'] }), {
      ...asked.state!,
      fenced: ['pg2'],
    });
    const outcomes = maintenanceRules.map(({ id, evaluate }) => [id, evaluate(view)?.because]);
    expect(Object.fromEntries(outcomes)).to.deep.include({
      'restart-next': 'pg2 is kept stopped; pg1 is next',
    });
  });

  it('restarts in the order that was asked for, once each', () => {
    const state = restartRequested(pair.state!, { id: 'r2', servers: ['pg3', 'pg2', 'pg1'] });
    const second = serverRestarted(state, 'pg3');
    expect(second.restart).to.deep.equal({ id: 'r2', servers: ['pg2', 'pg1'] });
    expect(serverRestarted(serverRestarted(second, 'pg2'), 'pg1').restart).to.equal(null);
    expect(serverRestarted(pair.state!, 'pg1')).to.equal(pair.state);
  });

  it('keeps the fenced servers sorted, each once', () => {
    const both = serverFenced(serverFenced(serverFenced(pair.state!, 'pg2'), 'pg1'), 'pg2');
    expect(both.fenced).to.deep.equal(['pg1', 'pg2']);
    expect(serverUnfenced(both, 'pg1').fenced).to.deep.equal(['pg2']);
  });
});
