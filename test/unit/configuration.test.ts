/**
 * Goal: what is declared anew reaches every server, in an order in which nobody is without what it
 * needs. Method: rows for the single decisions, and walks through the model from a spec to its end.
 */
import { expect } from 'chai';
import { assignmentIn } from '../../src/core/assignment';
import { decide } from '../../src/core/decide';
import { afterStep } from '../../src/core/model';
import { afterNewParameters, effectOf } from '../../src/core/parameter-changes';
import { type LoadTask } from '../../src/core/backup/load';
import { ROLLOUTS_MAX } from '../../src/core/rules/configuration';
import { viewOf, type Situation } from '../../src/core/situation';
import { type Spec } from '../../src/core/spec';
import { type ClusterState } from '../../src/core/state';
import { running, settle, withReport, withSpec, withState } from '../support/world';

const pair = running();
const server = (number: number): Spec['servers'][number] => ({
  name: `pg${number}`,
  node: { hostname: `n${number}` },
  port: 5432,
});
const three = running({ servers: [1, 2, 3].map(server) });
const alone = running({ servers: [server(1)] });
const supervised = (situation: Situation): Situation =>
  withSpec(situation, { update: { primary: 'supervised' } });

type Parameters = Readonly<Record<string, string>>;

/** With other parameters in the spec, as the servers see it once they have been told. */
function told(situation: Situation, parameters: Parameters): Situation {
  const { postgres } = situation.record.spec;
  const changed = withSpec(situation, { postgres: { ...postgres, parameters } });
  return afterNewParameters(changed, postgres.parameters);
}

const MORE = { max_connections: '200' };
const LESS = { max_connections: '50' };
const waiting = told(pair, MORE);
const begun = (situation: Situation): ClusterState => {
  const [step] = decide(situation).steps;
  if (step?.kind !== 'record') throw new Error(`nothing begins: ${decide(situation).because}`);
  return step.next;
};
const REFUSED = { heldBack: [], refused: { reason: 'SettingsRolledBack', message: 'too much' } };
const LOAD: LoadTask = {
  request: { backup: 'd1', database: 'app', replace: false, by: 'grace', at: pair.now },
  begun: { server: 'pg1', bootId: 'model' },
};
const imaged = (situation: Situation): Situation => withSpec(situation, { image: 'pgswarm:next' });
const SYNCHRONOUS = { synchronous: { mode: 'any', number: 1, durability: 'required' } } as const;

interface Row {
  readonly name: string;
  readonly situation: Situation;
  readonly rule: string;
  readonly because?: RegExp;
}

const rows: readonly Row[] = [
  {
    name: 'a parameter that needs a restart',
    situation: waiting,
    rule: 'restart-begin',
    because: /^max_connections must take effect: pg2 and pg1 must be restarted$/,
  },
  {
    name: 'a standby that does not stream when others are to be restarted',
    situation: withReport(told(three, MORE), 'pg3', null),
    rule: 'restart-pending',
    because: /it waits: pg3 does not follow the primary/,
  },
  {
    name: 'a dump that is being loaded',
    situation: withState(waiting, { load: LOAD }),
    rule: 'restart-pending',
    because: /it waits: a dump is being loaded/,
  },
  {
    name: 'a standby that has not been told: it may need the restart, too, and come first',
    situation: withReport(waiting, 'pg2', {
      settings: { heldBack: [], refused: null, generation: waiting.record.generation - 1 },
    }),
    rule: 'restart-pending',
    because: /it waits: pg2 has not been told the settings yet/,
  },
  {
    name: 'a primary whose only successor is kept stopped by a person',
    situation: withState(waiting, { fenced: ['pg2'] }),
    rule: 'restart-pending',
    because:
      /it waits: pg2 could take over meanwhile.*pgswarm unfence orders pg2; pgswarm restart orders pg1 restarts/,
  },
  {
    name: 'the standby that is not, and not the primary after it',
    situation: withState(
      withSpec(told(three, MORE), {
        failover: { ...three.record.spec.failover, priorities: { pg3: 0 } },
      }),
      { fenced: ['pg2'] },
    ),
    rule: 'restart-begin',
    because: /: pg3 must be restarted$/,
  },
  {
    name: 'a primary for which another standby stands in',
    situation: withState(told(three, MORE), { fenced: ['pg2'] }),
    rule: 'restart-begin',
    because: /: pg3 and pg1 must be restarted$/,
  },
  {
    name: 'a primary whose only standby is kept stopped, and never takes over',
    situation: withState(
      withSpec(waiting, {
        failover: { ...pair.record.spec.failover, priorities: { pg2: 0 } },
      }),
      { fenced: ['pg2'] },
    ),
    rule: 'restart-begin',
    because: /: pg1 must be restarted$/,
  },
  {
    name: 'a service of the primary, whose only successor is kept stopped by a person',
    situation: withState(
      withSpec(settle(supervised(imaged(pair))).situation, { update: pair.record.spec.update }),
      { fenced: ['pg2'] },
    ),
    rule: 'update-pending',
    because: /is to be updated: .*; pg2 could take over.*pgswarm unfence orders pg2/,
  },
  {
    name: 'the only standby of commits that must wait for one',
    situation: told(running({ replication: SYNCHRONOUS }), MORE),
    rule: 'restart-pending',
    because: /without pg2 there are 0; pgswarm restart orders pg2 does it all the same/,
  },
  {
    name: 'rounds that have not brought it into force',
    situation: withState(waiting, {
      rollouts: {
        generation: waiting.record.generation,
        since: waiting.now,
        count: ROLLOUTS_MAX,
      },
    }),
    rule: 'restart-pending',
    because: /4 rounds of restarts have not brought it into force/,
  },
  {
    name: 'more rounds than that, an hour after the first: each waits longer than the one before',
    situation: withState(waiting, {
      rollouts: {
        generation: waiting.record.generation,
        since: '2025-12-31T23:00:00.000Z',
        count: ROLLOUTS_MAX + 1,
      },
    }),
    rule: 'restart-pending',
    because: /5 rounds of restarts have not brought it into force/,
  },
  {
    name: 'the next round, when it has waited for its time',
    situation: withState(waiting, {
      rollouts: {
        generation: waiting.record.generation,
        since: '2025-12-31T23:00:00.000Z',
        count: ROLLOUTS_MAX,
      },
    }),
    rule: 'restart-begin',
  },
  {
    name: 'rounds for an earlier generation',
    situation: withState(waiting, {
      rollouts: { generation: 1, since: waiting.now, count: ROLLOUTS_MAX },
    }),
    rule: 'restart-begin',
  },
  {
    name: 'settings that PostgreSQL refused when they were tried',
    situation: withReport(pair, 'pg1', {
      problem: { reason: 'ParameterRefused', message: 'no such parameter' },
    }),
    rule: 'settings-refused',
    because: /^pg1: no such parameter$/,
  },
  {
    name: 'a restarted standby that runs with its settings from before',
    situation: withReport(withState(waiting, begun(waiting)), 'pg2', {
      settings: REFUSED,
      restartedFor: begun(waiting).restart!.id,
    }),
    rule: 'restart-rolled-back',
    because: /^pg2: too much$/,
  },
  {
    name: 'settings that were rolled back: nothing is begun again',
    situation: withReport(waiting, 'pg2', { settings: REFUSED }),
    rule: 'settings-refused',
  },
  {
    name: 'a primary whose turn it is, and nobody left to relieve it',
    situation: withState(pair, {
      fenced: ['pg2'],
      restart: { id: 'r', servers: ['pg1'], rollout: { because: 'x', primary: 'relieved' } },
    }),
    rule: 'restart-in-place',
  },
  {
    name: 'a service of the primary that is not as declared, after all the others',
    situation: imaged(alone),
    rule: 'update-begin',
  },
  {
    name: 'the same, where a person decides on the primary',
    situation: supervised(imaged(alone)),
    rule: 'update-pending',
    because: /pg1 is the primary and waits for a person.*pgswarm restart orders pg1 restarts it/,
  },
];

/** The rules that decide on the way to rest, each once in a row. */
function wayOf(situation: Situation): { readonly way: string[]; readonly end: Situation } {
  const way: string[] = [];
  const { situation: end, decision } = settle(situation, (now, { rule, steps }) => {
    const on = now.state?.restart?.servers.join(' ') ?? '';
    const line = steps.length === 0 ? '' : `${rule} ${on}`.trim();
    if (line !== '' && line !== way.at(-1)) way.push(line);
  });
  way.push(decision.rule);
  return { way, end };
}

const SWITCHOVER = ['switchover-begin', 'switchover-stop', 'switchover-promote'];
const switchedOver = (on: string): string[] =>
  [...SWITCHOVER, 'promotion-finish'].map((rule) => `${rule} ${on}`.trim());

describe('configuration', () => {
  for (const { name, situation, rule, because } of rows) {
    it(`${rule}: ${name}`, () => {
      const decision = decide(situation);
      expect(decision.rule, decision.because).to.equal(rule);
      if (because !== undefined) expect(decision.because).to.match(because);
    });
  }

  it('restarts the standbys, has one take over, and gives the role back', () => {
    const { way, end } = wayOf(told(three, MORE));
    expect(way).to.deep.equal([
      'restart-begin',
      'restart-next pg2 pg3 pg1',
      'restart-next pg3 pg1',
      ...switchedOver('pg1'),
      'restart-next pg1',
      ...switchedOver(''),
      'steady',
    ]);
    expect(end.state).to.include({ primary: 'pg1', override: null, restart: null });
  });

  it('lowers a limit on the primary first, in place', () => {
    const { way, end } = wayOf(told(three, LESS));
    expect(way).to.deep.equal([
      'restart-begin',
      'restart-next pg1 pg2 pg3',
      'restart-next pg2 pg3',
      'restart-next pg3',
      'steady',
    ]);
    expect(end.state?.term).to.equal(three.state?.term);
  });

  it('restarts a standby for a lower limit only when it has replayed that the primary has it', () => {
    const restart = {
      id: 'r',
      servers: ['pg2'],
      rollout: { because: '', primary: 'first' },
    } as const;
    const lowered = withState(pair, { restart });
    const orderWith = (heldBack: readonly string[]): unknown => {
      const told = withReport(lowered, 'pg2', { settings: { heldBack, refused: null } });
      const task = assignmentIn(viewOf(told, told.state!), 'pg2')?.task;
      return task !== undefined && 'restartFor' in task ? task.restartFor : undefined;
    };
    expect(orderWith(['max_connections'])).to.equal(null);
    expect(orderWith([])).to.equal('r');
  });

  it('raises one and lowers another: what standbys need for themselves comes first', () => {
    const { way } = wayOf(told(pair, { ...LESS, shared_buffers: '256MB' }));
    expect(way).to.deep.equal([
      'restart-begin',
      'restart-next pg2',
      'restart-begin',
      'restart-next pg1 pg2',
      'restart-next pg2',
      'steady',
    ]);
  });

  it('restarts a server that is alone in place', () => {
    expect(wayOf(told(alone, MORE)).way).to.deep.equal([
      'restart-begin',
      'restart-next pg1',
      'steady',
    ]);
  });

  it('leaves the primary to a person where that is declared', () => {
    const { way, end } = wayOf(supervised(told(three, MORE)));
    expect(way).to.deep.equal([
      'restart-begin',
      'restart-next pg2 pg3',
      'restart-next pg3',
      'restart-pending',
    ]);
    const { because, findings } = decide(end);
    expect(because).to.match(/^pg1 needs a restart for max_connections; pg1 is the primary/);
    expect(because).to.match(/pgswarm promote orders pg2 lets pg2 take over first$/);
    expect(findings[0]?.condition).to.deep.equal({ type: 'UpToDate', reason: 'RestartPending' });
  });

  it('brings a new image to the standbys, and to the primary when it has been relieved', () => {
    const { way, end } = wayOf(imaged(three));
    expect(way).to.deep.equal([
      'service-update',
      'update-begin',
      ...switchedOver('pg1'),
      'service-update pg1',
      'restart-next pg1',
      ...switchedOver(''),
      'steady',
    ]);
    expect(end.state?.primary).to.equal('pg1');
  });

  it('replaces the primary’s container where a person has asked for its restart', () => {
    const waits = supervised(imaged(alone));
    const restart = { id: 'r', servers: ['pg1'] };
    expect(wayOf(withState(waits, { restart })).way).to.deep.equal([
      'service-update pg1',
      'restart-next pg1',
      'steady',
    ]);
  });

  it('restarts a standby that lacks a higher limit of the primary, whoever else is away', () => {
    const changed = withReport(told(three, MORE), 'pg3', null);
    const { postgres } = changed.observation.reports['pg1']!.report;
    const raised = { ...postgres, pendingRestart: [] } as unknown as typeof postgres;
    const decision = decide(withReport(changed, 'pg1', { postgres: raised }));
    expect(decision.because).to.equal('max_connections must take effect: pg2 must be restarted');
    const other = told(three, { shared_buffers: '1GB' });
    const away = withReport(withReport(other, 'pg3', null), 'pg1', { postgres: raised });
    expect(decide(away).rule).to.equal('restart-pending');
  });

  it('says of the declared primary that it takes over after the restarts', () => {
    const restart = begun(told(three, MORE)).restart;
    const asked = withSpec(withState(three, { restart }), { primary: 'pg2' });
    const { findings } = decide(withReport(asked, 'pg3', null));
    expect(findings.map(({ condition }) => condition)).to.deep.include({
      type: 'PrimaryAsDeclared',
      reason: 'RestartUnderWay',
    });
  });

  it('replaces no second container while the first one is about to go', () => {
    const changed = imaged(three);
    const [step] = decide(changed).steps;
    const { nowMs, observation } = changed;
    const went = (atMs: number, bootId: string): Situation => {
      const updates = { pg2: { atMs, bootId } };
      return afterStep({ ...changed, observation: { ...observation, updates } }, step!);
    };
    expect(step?.kind).to.equal('update-service');
    expect(decide(went(nowMs, 'model')).rule).not.to.equal('service-update');
    expect(decide(went(nowMs, 'another')).rule).to.equal('service-update');
    expect(decide(went(nowMs - 10_000, 'model')).rule).to.equal('service-update');
    const leaving = withReport(went(nowMs, 'another'), 'pg2', { isLeaving: true });
    expect(decide(leaving).rule).not.to.equal('service-update');
  });

  it('is not done with a server whose old container has been started and is about to go', () => {
    const restart = { id: 'r', servers: ['pg2'] };
    const started = withReport(withState(pair, { restart }), 'pg2', { restartedFor: 'r' });
    const updated = (bootId: string): Situation => ({
      ...started,
      observation: {
        ...started.observation,
        updates: { pg2: { atMs: started.nowMs, bootId } },
      },
    });
    expect(decide(updated('another')).rule).to.equal('restart-next');
    expect(decide(updated('model')).rule).to.equal('restart-waits');
  });

  it('restarts nobody while the container of another is about to go', () => {
    const leaving = withReport(told(three, MORE), 'pg3', { isLeaving: true });
    expect(decide(leaving).because).to.match(/it waits: the container of pg3 is being replaced/);
  });

  it('replaces the container of a primary that is the first in its turn', () => {
    const restart = {
      id: 'r',
      servers: ['pg1', 'pg2'],
      rollout: { because: 'x', primary: 'first' },
    } as const;
    const { way, end } = wayOf(withState(imaged(pair), { restart }));
    expect(way).to.include('service-update pg1 pg2');
    expect(end.state?.restart).to.equal(null);
  });

  it('keeps the primary that a person has asked for in the midst of the restarts', () => {
    const request = {
      to: 'pg2',
      at: pair.now,
      by: 'grace',
      acceptsLoss: false,
      primaryIsDead: false,
    };
    const restart = {
      id: 'r',
      servers: ['pg3', 'pg1'],
      rollout: { because: 'x', primary: 'relieved' },
    } as const;
    const { end } = wayOf(withState(three, { restart, request }));
    expect(end.state).to.include({ primary: 'pg2', restart: null });
    expect(end.state?.override).to.include({ declared: 'pg1', to: 'pg2' });
  });

  // Nobody has asked for another primary: `failback: hold` is not for a relief of a minute.
  const held = withSpec(three, { failover: { ...three.record.spec.failover, failback: 'hold' } });

  it('gives the role back where a failover would keep it', () => {
    expect(wayOf(told(held, MORE)).end.state).to.include({ primary: 'pg1', override: null });
  });

  it('gives the role to the primary that is declared in the midst of the restarts', () => {
    const restart = begun(told(held, MORE)).restart;
    const { end } = wayOf(withSpec(withState(told(held, MORE), { restart }), { primary: 'pg3' }));
    expect(end.state).to.include({ primary: 'pg3', override: null, restart: null });
  });

  it('does not undo a failover', () => {
    const override: ClusterState['override'] = {
      ...{ number: 1, declared: 'pg1', from: 'pg1', to: 'pg2' },
      ...{ reason: 'its lease was over', at: held.now },
    };
    const restart = {
      id: 'r',
      servers: ['pg2'],
      rollout: { because: 'x', primary: 'relieved' },
    } as const;
    const { priorities } = held.record.spec.failover;
    const failover = { ...held.record.spec.failover, priorities: { ...priorities, pg3: 200 } };
    const over = withSpec(settle(withSpec(held, { primary: 'pg2' })).situation, {
      primary: 'pg1',
      failover,
    });
    const { end } = wayOf(withState(over, { override, restart }));
    expect(end.state).to.include({ primary: 'pg3', restart: null });
    expect(end.state?.override).to.include({ number: 2, declared: 'pg1', to: 'pg3' });
  });

  it('tells nobody to restart beside a change of role, nor the primary before it is relieved', () => {
    const restart = { id: 'r', servers: ['pg1'], rollout: { because: '', primary: 'relieved' } };
    const orderOf = (state: Partial<ClusterState>): unknown => {
      const situation = withState(pair, state);
      const task = assignmentIn(viewOf(situation, situation.state!), 'pg1')?.task;
      return task !== undefined && 'restartFor' in task ? task.restartFor : undefined;
    };
    expect(orderOf({ restart } as never)).to.equal(null);
    const last = { ...restart, rollout: { because: '', primary: 'last' } } as const;
    expect(orderOf({ restart: last })).to.equal('r');
    const paused = { since: pair.now, by: 'grace' };
    expect(orderOf({ restart: last, paused }), 'paused').to.equal(null);
    const change = begun(withSpec(pair, { primary: 'pg2' })).change;
    expect(orderOf({ restart: last, change })).to.equal(null);
  });

  it('goes on with the others when a failover has changed the roles in the midst', () => {
    const restart = {
      id: 'r',
      servers: ['pg3', 'pg1'],
      rollout: { because: '', primary: 'relieved' },
    } as const;
    const promoted = withState(three, { primary: 'pg3', restart });
    const task = assignmentIn(viewOf(promoted, promoted.state!), 'pg1')?.task;
    expect(task).to.include({ kind: 'standby' });
    expect(wayOf(promoted).end.state?.restart).to.equal(null);
  });

  const effects: readonly (readonly [string, Parameters, Parameters, string])[] = [
    ['work_mem', {}, { work_mem: '8MB' }, 'reload'],
    ['shared_buffers', {}, { shared_buffers: '1GB' }, 'restart, the standbys first'],
    ['max_connections', {}, MORE, 'restart, the standbys first'],
    ['max_connections', {}, LESS, 'restart, the primary first'],
    ['Max_Connections', { Max_Connections: '300' }, MORE, 'restart, the primary first'],
    ['max_connections', MORE, {}, 'restart, the primary first'],
    ['pg_stat_statements.max', {}, {}, 'reload; restart where its extension asks for one'],
  ];
  for (const [name, before, after, effect] of effects) {
    it(`says of ${name} from ${before[name] ?? 'nothing'} to ${after[name] ?? 'nothing'}: ${effect}`, () => {
      expect(effectOf(name, before, after)).to.equal(effect);
    });
  }
});
