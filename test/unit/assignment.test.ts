import { expect } from 'chai';
import { assignmentIn } from '../../src/core/assignment';
import { type Upstream } from '../../src/core/protocol';
import { viewOf, type Situation } from '../../src/core/situation';
import { running, withReport } from '../support/world';

const upstreamIn = (situation: Situation): Upstream | null => {
  const task = assignmentIn(viewOf(situation, situation.state!), 'pg2')?.task;
  return task?.kind === 'standby' ? task.upstream : null;
};

describe('the upstream of a standby', () => {
  const pair = running();
  const known = withReport(pair, 'pg1', { address: '10.0.200.3' });

  it('has no address before the primary has said it', () => {
    expect(upstreamIn(pair)).to.include({ host: 'pg1' }).and.not.have.property('address');
  });

  it('is where the primary says that it is', () => {
    expect(upstreamIn(known)).to.include({ host: 'pg1', address: '10.0.200.3' });
  });

  it('is still there when the primary has been silent for long: nothing else is known', () => {
    expect(upstreamIn({ ...known, nowMs: known.nowMs + 60_000 })?.address).to.equal('10.0.200.3');
  });
});
