/**
 * Goal: a standby that is late on purpose takes part in nothing that a failover or a commit relies
 * on, and is called ready by what it is there for. Method: a healthy trio whose third server is late,
 * beside the same trio with three of a kind.
 */
import { expect } from 'chai';
import { assignmentFor } from '../../src/core/assignment';
import { judgeCandidates } from '../../src/core/candidates';
import { contractOfNewPrimary, wantedContract } from '../../src/core/contract';
import { decide } from '../../src/core/decide';
import { type StandbyReport, type StreamingStandby, type Task } from '../../src/core/protocol';
import { switchoverObstacle } from '../../src/core/rules/request';
import { syncOfNewPrimary } from '../../src/core/rules/synchronous';
import { viewOf, type Situation, type View } from '../../src/core/situation';
import { type LateSpec, type Spec } from '../../src/core/spec';
import { statusOf } from '../../src/core/status';
import { NOW_MS, running, spec, withReport, withSpec, withState } from '../support/world';

const HOUR_MS = 3_600_000;
const SHIPPED: LateSpec = { replication: 'archive', hotStandby: true, applyDelayMs: 0 };
const DELAYED: LateSpec = { replication: 'streaming', hotStandby: true, applyDelayMs: HOUR_MS };
const BOTH: LateSpec = { ...SHIPPED, applyDelayMs: HOUR_MS };

const trioOf = (late: LateSpec | null): Partial<Spec> => ({
  failover: { ...spec().failover, mode: 'automatic' },
  servers: ['pg1', 'pg2', 'pg3'].map((name, index) => ({
    name,
    node: { hostname: `n${index + 1}` },
    port: 5432,
    ...(late !== null && name === 'pg3' ? { late } : {}),
  })),
});
const trio = (late: LateSpec | null): Situation => running(trioOf(late));
const view = (situation: Situation): View => viewOf(situation, situation.state!);
const serverOf = (seen: View, name: string) => seen.servers.find((each) => each.name === name)!;
const taskOf = (situation: Situation, name: string): Task => {
  const seen = view(situation);
  return assignmentFor(seen, serverOf(seen, name)).task;
};
const isFit = (situation: Situation, name: string): boolean =>
  judgeCandidates(view(situation)).fit.some(({ server }) => server.name === name);
const becauseOf = (situation: Situation, name: string): string | undefined =>
  judgeCandidates(view(situation)).rejected.find(({ server }) => server === name)?.because;
/** Of pg3, as a late one is judged in the status. */
const stateOf = (situation: Situation): string =>
  statusOf(view(situation), decide(situation)).servers.find(({ name }) => name === 'pg3')!.state;
const isReady = (situation: Situation): boolean =>
  statusOf(view(situation), decide(situation)).conditions.every(({ status }) => status === 'True');
const lateSince = (situation: Situation, agoMs: number): Situation => ({
  ...situation,
  observation: { ...situation.observation, lateSinceMs: { pg3: NOW_MS - agoMs } },
});
/** The primary sends to those alone. */
const withPrimary = (
  situation: Situation,
  isSentTo: (standby: StreamingStandby) => boolean,
): Situation => {
  const { postgres } = situation.observation.reports['pg1']!.report;
  if (postgres.state !== 'primary') throw new Error('pg1 is no primary');
  const standbys = postgres.standbys.filter(isSentTo);
  return withReport(situation, 'pg1', { postgres: { ...postgres, standbys } });
};
const unstreamed = (situation: Situation): Situation =>
  withPrimary(situation, ({ server }) => server !== 'pg3');
const asked = (situation: Situation, primaryIsDead: boolean): Situation =>
  withState(withReport(situation, 'pg1', null), {
    request: { to: 'pg3', at: '', by: 'ann', acceptsLoss: true, primaryIsDead },
  });

const KINDS: readonly { readonly name: string; readonly late: LateSpec }[] = [
  { name: 'fed from the archive', late: SHIPPED },
  { name: 'delayed', late: DELAYED },
  { name: 'delayed and fed from the archive', late: BOTH },
];

describe('a standby that is late on purpose', () => {
  it('would be a candidate, a peer and a member of the set if it were not', () => {
    const plain = trio(null);
    const some = withSpec(plain, {
      replication: { synchronous: { mode: 'any', number: 1, durability: 'required' } },
    });
    expect(isFit(withReport(plain, 'pg1', null), 'pg3')).to.equal(true);
    expect(wantedContract(view(plain))?.peers).to.deep.equal(['pg2', 'pg3']);
    expect(syncOfNewPrimary(view(some), 'pg1').wanted?.names).to.deep.equal(['pg2', 'pg3']);
  });

  for (const { name, late } of KINDS) {
    describe(`and ${name}`, () => {
      const cluster = trio(late);
      const lost = withReport(cluster, 'pg1', null);

      it('is no candidate, and the reason is its own', () => {
        expect(isFit(lost, 'pg2')).to.equal(true);
        const { rejected } = judgeCandidates(view(lost));
        expect(rejected.map(({ server }) => server)).to.deep.equal(['pg3']);
        expect(rejected[0]?.because).to.match(/from the archive alone|delayed by 1h on purpose/);
      });

      it('gives no promises', () => {
        expect(wantedContract(view(cluster))?.peers).to.deep.equal(['pg2']);
        expect(contractOfNewPrimary(view(cluster), 'pg2')?.peers).to.deep.equal(['pg1']);
      });

      it('is in no synchronous set, not even when there is nobody else', () => {
        const asking = withSpec(cluster, {
          replication: { synchronous: { mode: 'any', number: 1, durability: 'required' } },
        });
        expect(syncOfNewPrimary(view(asking), 'pg1').wanted?.names).to.deep.equal(['pg2']);
        const preferring = withSpec(cluster, {
          replication: { synchronous: { mode: 'any', number: 1, durability: 'preferred' } },
        });
        const seen = decide(withPrimary(preferring, ({ server }) => server !== 'pg2'));
        expect(seen.steps).to.deep.equal([]);
        const alone = withReport(asking, 'pg2', null);
        expect(syncOfNewPrimary(view(alone), 'pg1').wanted?.names).to.deep.equal(['pg2']);
      });

      it('is refused as the target of a switchover, with what to do', () => {
        const seen = view(cluster);
        const obstacle = switchoverObstacle(seen, serverOf(seen, 'pg3'));
        expect(obstacle?.reason).to.equal('TargetLate');
        expect(obstacle?.because).to.match(/take .* out of the entry of pg3 under spec.servers/);
      });

      it('takes over only when a person accepts the loss and vouches for the primary’s death', () => {
        expect(isFit(asked(cluster, false), 'pg3')).to.equal(false);
        expect(isFit(asked(cluster, true), 'pg3')).to.equal(true);
        expect(decide(asked(cluster, true)).rule).to.equal('failover-begin');
      });

      it('keeps no slots for others', () => {
        expect(taskOf(cluster, 'pg3')).to.deep.include({ kind: 'standby', slots: [] });
        expect(taskOf(cluster, 'pg2')).to.deep.include({ kind: 'standby' });
      });

      it('is ready while it gets to where the archive was in time', () => {
        const allowedMs = late.applyDelayMs + 60_000;
        const quiet = unstreamed(cluster);
        expect(isReady(lateSince(quiet, allowedMs))).to.equal(true);
        expect(isReady(lateSince(quiet, allowedMs + 1))).to.equal(false);
        expect(stateOf(lateSince(quiet, allowedMs + 1))).to.equal('behind the archive');
        expect(decide(lateSince(quiet, allowedMs + 1)).because).to.include('pg3 should have');
      });

      it('takes a backup only when it is named', () => {
        const alone = withReport(cluster, 'pg2', null);
        const busy = withState(alone, { contract: wantedContract(view(alone)) });
        const takerOf = (server: string | null): string | undefined => {
          const order = { method: 'base', format: 'tar', incremental: false } as const;
          const request = { ...order, bytesPerSecondMax: null, at: '', by: 'ann', server };
          const [step] = decide(withState(busy, { backup: { request, begun: null } })).steps;
          return step?.kind === 'record' ? step.next.backup?.begun?.server : undefined;
        };
        expect(takerOf(null)).to.equal('pg1');
        expect(takerOf('pg3')).to.equal('pg3');
      });
    });
  }

  it('has a slot on the primary and on the others when it streams, and none when it does not', () => {
    const slotsOf = (late: LateSpec): unknown => {
      const task = taskOf(trio(late), 'pg1');
      return task.kind === 'primary' ? task.slots : null;
    };
    expect(slotsOf(DELAYED)).to.deep.equal(['pgswarm_pg2', 'pgswarm_pg3']);
    expect(slotsOf(SHIPPED)).to.deep.equal(['pgswarm_pg2']);
    expect(taskOf(trio(SHIPPED), 'pg3')).to.have.nested.property('upstream.slot', null);
  });

  it('goes on streaming until no commit can be waiting for it any more', () => {
    const wanted = { number: 1, names: ['pg2', 'pg3'] };
    const sync = { wanted, guaranteed: wanted, barrier: null };
    const leaving = withState(trio(SHIPPED), { sync });
    expect(taskOf(leaving, 'pg3')).to.have.nested.property('upstream.slot', 'pgswarm_pg3');
    expect(taskOf(leaving, 'pg1')).to.deep.include({ slots: ['pgswarm_pg2', 'pgswarm_pg3'] });
  });

  it('is not late as long as it is primary', () => {
    const settingsOf = (situation: Situation): object => {
      const seen = view(situation);
      return assignmentFor(seen, serverOf(seen, 'pg3')).settings;
    };
    expect(settingsOf(trio(BOTH))).to.deep.include({ late: BOTH });
    expect(settingsOf(withState(trio(BOTH), { primary: 'pg3' }))).to.not.have.property('late');
  });

  it('says so in its state', () => {
    expect(stateOf(trio(DELAYED))).to.equal('streaming, delayed by 1h on purpose');
    expect(stateOf(unstreamed(trio(SHIPPED)))).to.equal('from the archive');
    expect(stateOf(unstreamed(trio(BOTH)))).to.equal('from the archive, delayed by 1h on purpose');
  });

  it('is not promoted where it accepts no connections', () => {
    const warm = trio({ ...SHIPPED, hotStandby: false });
    const { postgres } = warm.observation.reports['pg3']!.report;
    const unanswering = withReport(asked(warm, true), 'pg3', {
      postgres: { ...(postgres as StandbyReport), isWarm: true },
    });
    expect(isFit(unanswering, 'pg3')).to.equal(false);
    expect(becauseOf(unanswering, 'pg3')).to.include('hotStandby');
  });
});
