/** A dump that is loaded into the primary: begun once, and never by somebody who does not know. */
import { expect } from 'chai';
import { assignmentIn } from '../../src/core/assignment';
import { keptName, type LoadRequest } from '../../src/core/backup/load';
import { decide } from '../../src/core/decide';
import { viewOf, type Situation } from '../../src/core/situation';
import { loadRequested } from '../../src/core/transitions';
import { afterRecord, running, switchover, withReport, withState } from '../support/world';

const REQUEST: LoadRequest = {
  backup: '20261121T050000Z',
  database: 'app',
  replace: true,
  by: 'grace',
  at: '2026-11-21T18:00:00.000Z',
};
const ORDER = { id: REQUEST.at, backup: REQUEST.backup, database: 'app', replace: true };

const wanted = (situation: Situation): Situation =>
  withState(situation, { load: loadRequested(situation.state!, REQUEST).load });
const begun = (): Situation => afterRecord(wanted(running()));
const told = (situation: Situation, server: string): unknown =>
  assignmentIn(viewOf(situation, situation.state!), server)?.load;
const working = (state: 'running' | 'done' | 'failed', words: string): Situation =>
  withReport(begun(), 'pg1', { load: { id: REQUEST.at, state, words } });

describe('loading a dump', () => {
  it('is begun by the primary, and by nobody else', () => {
    expect(decide(wanted(running())).rule).to.equal('load-begin');
    expect(begun().state?.load?.begun).to.deep.equal({ server: 'pg1', bootId: 'model' });
    expect(told(begun(), 'pg1')).to.deep.equal(ORDER);
    expect(told(begun(), 'pg2')).to.equal(null);
  });

  it('waits while the primary changes', () => {
    for (const situation of [switchover().stopping, switchover().promoting]) {
      const { findings } = decide(wanted(situation));
      expect(findings.map(({ rule }) => rule)).to.not.include('load-begin');
      expect(told(wanted(situation), 'pg1')).to.equal(null);
    }
  });

  it('says how far it is', () => {
    const { rule, because } = decide(working('running', 'pg_restore writes it'));
    expect(rule).to.equal('load-waits');
    expect(because).to.equal(
      'pg1 loads database app from backup 20261121T050000Z: pg_restore writes it',
    );
  });

  for (const [state, words, problem] of [
    ['done', 'loaded', null],
    ['failed', 'no such role', 'no such role'],
  ] as const) {
    it(`ends when it is ${state}`, () => {
      const { state: after } = afterRecord(working(state, words));
      expect(after?.load).to.equal(null);
      expect(after?.lastLoad).to.deep.equal({ id: REQUEST.at, server: 'pg1', problem });
    });
  }

  it('is not begun again by a manager that was started anew: people may have written since', () => {
    const anew = withReport(begun(), 'pg1', { bootId: 'another', load: null });
    expect(told(anew, 'pg1')).to.equal(null);
    const { lastLoad } = afterRecord(anew).state!;
    expect(lastLoad?.problem).to.match(
      /started anew; how far it got is not known: .*pgswarm_kept_20261121t180000000z, that is what it was before/,
    );
  });

  it('is not begun again by another primary', () => {
    const situation = withState(begun(), { primary: 'pg2' });
    expect(told(situation, 'pg1')).to.equal(null);
    expect(told(situation, 'pg2')).to.equal(null);
    expect(afterRecord(situation).state?.lastLoad?.problem).to.include('not the primary any more');
  });

  it('is not ended by silence', () => {
    const silent = withReport(begun(), 'pg1', null);
    expect(decide(silent).findings.map(({ rule }) => rule)).to.not.include('load-end');
  });

  it('keeps what is replaced under a name that PostgreSQL can have', () => {
    expect(keptName(REQUEST.at)).to.match(/^[a-z0-9_]{1,63}$/);
  });
});
