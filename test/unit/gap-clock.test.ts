import { expect } from 'chai';
import { GapClock } from '../../src/operator/gap-clock';
import { switchover, withReport } from '../support/world';

const { promoting } = switchover();
const newPrimary = promoting.observation.reports['pg2']!.report;

describe('the clock of the write gap', () => {
  let nowMs = 0;
  const clock = (): GapClock => new GapClock(() => nowMs);

  it('runs from the order to stop until the new primary reports', () => {
    const gap = clock();
    nowMs = 1_000;
    gap.toldToStop();
    nowMs = 1_050;
    gap.toldToStop(); // Told again with the next report: the gap began before.
    nowMs = 1_120;
    gap.reported(newPrimary, promoting.state);
    nowMs = 2_000;
    gap.reported(newPrimary, promoting.state);
    expect(gap.measuredMs).to.equal(120);
  });

  it('says nothing for a leader that did not see the beginning', () => {
    const gap = clock();
    gap.reported(newPrimary, promoting.state);
    expect(gap.measuredMs).to.equal(null);
  });

  it('is not stopped by a report of the target that is still a standby', () => {
    const gap = clock();
    gap.toldToStop();
    const standby = withReport(promoting, 'pg2', {
      postgres: { state: 'starting', recoveryBytes: null },
    });
    gap.reported(standby.observation.reports['pg2']!.report, promoting.state);
    expect(gap.measuredMs).to.equal(null);
  });

  it('begins anew with every change', () => {
    const gap = clock();
    gap.toldToStop();
    gap.reported(newPrimary, { ...promoting.state!, change: null });
    nowMs += 500;
    gap.reported(newPrimary, promoting.state);
    expect(gap.measuredMs).to.equal(null);
  });
});
