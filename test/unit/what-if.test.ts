/**
 * Goal: what is foretold is what the rules would do. Method: a healthy trio under leases, one loss a
 * row; and who is foretold to take over is whom the judgement of a real failover names.
 */
import { expect } from 'chai';
import { type NodeSeen } from '../../src/core/observation';
import { type SynchronousSpec } from '../../src/core/spec';
import { viewOf, type Situation } from '../../src/core/situation';
import { findLost, type Lost } from '../../src/core/what-if/lost';
import { whatIf, type Outcome, type WhatIf } from '../../src/core/what-if/what-if';
import { running, spec, withReport, withState, withSwarm } from '../support/world';

const servers = ['pg1', 'pg2', 'pg3'].map((name, index) => ({
  name,
  node: { hostname: `n${index + 1}` },
  port: 5432,
}));
const failover = { ...spec().failover, mode: 'automatic' } as const;
const trio = running({ failover, servers });
const pair = running({ failover, servers: servers.slice(0, 2) });
const byHand = running({ servers });
const synchronous = (durability: SynchronousSpec['durability'], number = 1): Situation =>
  running({
    failover,
    servers,
    replication: { synchronous: { mode: 'any', number, durability } },
  });

function lostIn(situation: Situation, names: readonly string[]): Lost {
  const found = findLost(viewOf(situation, situation.state!), names);
  if (found.kind === 'problem') throw new Error(found.message);
  return found.lost;
}

const foretell = (situation: Situation, names: string, leadingNode: string | null = null): WhatIf =>
  whatIf(situation, situation.state!, lostIn(situation, names.split(',')), { leadingNode });

const behind = (situation: Situation, server: string, receivedLsn: string): Situation => {
  const { postgres } = situation.observation.reports[server]!.report;
  const report = { ...postgres, receivedLsn, replayedLsn: receivedLsn } as typeof postgres;
  return withReport(situation, server, { postgres: report });
};

/** Other managers than one for each of the three nodes. */
const withManagers = (situation: Situation, managers: readonly string[]): Situation =>
  withSwarm(situation, {
    nodes: situation.observation.swarm!.nodes.map((node): NodeSeen => ({
      ...node,
      isManager: managers.includes(node.hostname),
    })),
  });

const swarmLedBy = (situation: Situation, leader: string): Situation =>
  withSwarm(situation, {
    nodes: situation.observation.swarm!.nodes.map((node): NodeSeen => ({
      ...node,
      isSwarmLeader: node.hostname === leader,
    })),
  });

interface Row {
  readonly name: string;
  readonly in: Situation;
  readonly lose: string;
  readonly leadingNode?: string;
  readonly outcome: Outcome;
  readonly successor?: string;
  readonly because?: RegExp;
}

const rows: readonly Row[] = [
  { name: 'the primary’s node', in: trio, lose: 'n1', outcome: 'promoted', successor: 'pg2' },
  { name: 'the primary’s container', in: trio, lose: 'pg1', outcome: 'promoted', successor: 'pg2' },
  { name: 'a standby', in: trio, lose: 'n2', outcome: 'goes-on' },
  {
    name: 'the primary; one standby is further',
    in: behind(trio, 'pg2', '0/2FFFFF0'),
    lose: 'n1',
    outcome: 'promoted',
    successor: 'pg3',
  },
  {
    name: 'the primary; every standby lacks too much',
    in: behind(behind(trio, 'pg2', '0/1000000'), 'pg3', '0/1000000'),
    lose: 'n1',
    outcome: 'waits',
    because: /more than failover\.maxLag/,
  },
  {
    name: 'the primary and a standby; the only manager stays',
    in: withManagers(trio, ['n3']),
    lose: 'n1,n2',
    outcome: 'promoted',
    successor: 'pg3',
  },
  {
    name: 'the primary and a standby, and with them the majority',
    in: trio,
    lose: 'n1,n2',
    outcome: 'waits',
    because: /1 of 3 managers is left, and Swarm needs 2/,
  },
  {
    name: 'both standbys, and with them the majority',
    in: trio,
    lose: 'n2,n3',
    outcome: 'stops',
    because: /pg2 and pg3 cannot promise/,
  },
  {
    name: 'the only manager, which has no server',
    in: withManagers(pair, ['n3']),
    lose: 'n3',
    outcome: 'goes-on',
    because: /pg2 can promise to wait/,
  },
  {
    name: 'the majority, where a person decides: no lease',
    in: byHand,
    lose: 'n2,n3',
    outcome: 'goes-on',
    because: /without a lease/,
  },
  {
    name: 'the primary, where a person decides',
    in: byHand,
    lose: 'n1',
    outcome: 'waits',
  },
  {
    name: 'a standby beside the leading operator',
    in: trio,
    lose: 'n2',
    leadingNode: 'n2',
    outcome: 'pauses',
    because: /pg2 cannot promise/,
  },
  {
    name: 'a standby beside Swarm’s leader',
    in: swarmLedBy(trio, 'n2'),
    lose: 'n2',
    outcome: 'pauses',
  },
  {
    name: 'a standby that commits wait for',
    in: synchronous('required', 2),
    lose: 'n2',
    outcome: 'commits-wait',
  },
  { name: 'one of two', in: synchronous('required'), lose: 'n2', outcome: 'goes-on' },
  {
    name: 'all that commits prefer',
    in: synchronous('preferred', 2),
    lose: 'n2',
    outcome: 'goes-on',
  },
  {
    name: 'the primary of a synchronous cluster',
    in: synchronous('required'),
    lose: 'pg1',
    outcome: 'promoted',
    successor: 'pg2',
  },
  {
    name: 'the primary, with a standby that commits must wait for then',
    in: synchronous('required', 2),
    lose: 'pg1',
    outcome: 'promoted',
    successor: 'pg2',
    because: /then every commit waits for/,
  },
  {
    name: 'the primary and one who may be all that has a commit',
    in: synchronous('required'),
    lose: 'pg1,pg2',
    outcome: 'waits',
    because: /must answer first; missing: pg2/,
  },
];

describe('what if it were lost', () => {
  for (const row of rows) {
    it(row.name, () => {
      const found = foretell(row.in, row.lose, row.leadingNode);
      expect(found.outcome, found.because).to.equal(row.outcome);
      expect(found.successor).to.equal(row.successor ?? null);
      if (row.because !== undefined) expect(found.because).to.match(row.because);
    });
  }

  it('what is known to be missing is named', () => {
    const found = foretell(behind(pair, 'pg2', '0/2FFFC00'), 'pg1');
    expect(found.outcome).to.equal('promoted');
    expect(found.loss?.knownBytes).to.equal(1024);
  });

  it('with synchronous replication nothing is lost', () => {
    expect(foretell(synchronous('required'), 'pg1').loss?.because).to.match(
      /^nothing: every acknowledged commit is on/,
    );
  });

  it('the times are those of what is lost with the primary', () => {
    const faults = [
      foretell(trio, 'pg1'),
      foretell(trio, 'n1'),
      foretell(trio, 'n1', 'n1'),
      foretell(swarmLedBy(trio, 'n1'), 'n1', 'n1'),
    ].map(({ outage }) => outage?.fault);
    expect(faults).to.deep.equal(['container', 'node', 'operatorLeader', 'swarmLeader']);
  });

  it('the story is told by the rules', () => {
    const rules = foretell(trio, 'n1').story.map(({ rule }) => rule);
    expect(rules).to.include.members(['failover-begin', 'failover-promote', 'promotion-finish']);
  });

  it('a paused cluster gets no steps', () => {
    const paused = withState(trio, { paused: { since: '2026-01-01T00:00:00Z', by: 'ada' } });
    const found = foretell(paused, 'n1');
    expect([found.outcome, found.story]).to.deep.equal(['waits', []]);
    expect(found.because).to.match(/paused by ada/);
  });
});

describe('what is supposed to be lost', () => {
  const find = (name: string, situation = trio): ReturnType<typeof findLost> =>
    findLost(viewOf(situation, situation.state!), [name]);

  it('a node, with its server', () =>
    expect(lostIn(trio, ['n2'])).to.deep.equal({ servers: ['pg2'], nodes: ['id-n2'] }));
  it('a server alone', () =>
    expect(lostIn(trio, ['pg2'])).to.deep.equal({ servers: ['pg2'], nodes: [] }));
  it('a name that is neither', () =>
    expect(find('pg4')).to.deep.equal({
      kind: 'problem',
      message:
        'There is no server and no node pg4. Did you mean pg1? There are: pg1, pg2, pg3, n1, n2, n3.',
    }));
  it('a name that is both', () => {
    const named = servers.map((each, index) => (index === 0 ? { ...each, name: 'n1' } : each));
    const twins = running({ failover, servers: named, primary: 'n1' });
    expect(find('n1', twins)).to.have.property('kind', 'problem');
    expect(lostIn(twins, ['server:n1'])).to.deep.equal({ servers: ['n1'], nodes: [] });
    expect(lostIn(twins, ['node:n1']).nodes).to.deep.equal(['id-n1']);
  });
});
