/** What a restore in place must never do, whatever comes in between. */
import { expect } from 'chai';
import { knownEnd } from '../../src/core/candidates';
import { type RestoreTask, type RestoreWish } from '../../src/core/restore/task';
import { viewOf } from '../../src/core/situation';
import {
  beginFailover,
  promoteRestored,
  restoreDecided,
  restoreRequested,
} from '../../src/core/transitions';
import { stoppedReport, switchover, withReport, withState } from '../support/world';

const { pair } = switchover();
const state = pair.state!;
const wish: Omit<RestoreWish, 'id'> = {
  target: { point: { kind: 'latest' }, isExclusive: false, timeline: 'latest', action: 'promote' },
  backup: null,
  by: 'ann',
  at: '2026-01-01T00:00:00Z',
};
const current: RestoreWish = { ...wish, id: 'r1' };
const task: RestoreTask = { server: 'pg1', wanted: null, current, decision: null };
const failover = {
  ...{ generation: 1, at: wish.at, reason: 'its lease is over', harmless: null, knownLsn: null },
};

describe('a restore in place', () => {
  it('is accepted once: a second word does not restore again over what was written since', () => {
    const accepted = { ...state, restore: { ...task, decision: 'accepted' as const } };
    expect(restoreDecided(accepted, 'accept')).to.equal(accepted);
    expect(restoreDecided(accepted, 'undo')).to.equal(accepted);
  });

  it('that is only asked for goes with the primary whose data it is about', () => {
    const asked = restoreRequested(state, wish);
    expect(asked.restore?.wanted).to.include({ by: 'ann' });
    expect(beginFailover(asked, failover).restore).to.equal(null);
  });

  it('makes nobody primary but the server that was primary when it began', () => {
    const elsewhere = { ...state, primary: 'pg2', restore: task };
    const next = { contract: null, sync: state.sync };
    expect(() => promoteRestored(elsewhere, next, wish.at)).to.throw();
    expect(promoteRestored({ ...state, restore: task }, next, wish.at)).to.deep.include({
      term: state.term + 1,
      primary: 'pg1',
      timeline: null,
    });
  });

  it('leaves it open how far the data goes that is set aside', () => {
    const restored = { id: 'r1', state: 'reached', lsn: '0/1', lastCommitAt: null } as const;
    const copy = { postgres: stoppedReport('shut down', '0/F000000'), restored };
    const situation = withReport(withState(pair, { restore: task }), 'pg1', copy);
    const own = withReport(pair, 'pg1', { postgres: stoppedReport('shut down', '0/F000000') });
    expect(knownEnd(viewOf(own, own.state!))).to.equal('0/F000000');
    expect(knownEnd(viewOf(situation, situation.state!))).to.not.equal('0/F000000');
  });
});
