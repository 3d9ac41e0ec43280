import { expect } from 'chai';
import { type Report } from '../../src/core/protocol';
import { LateClock } from '../../src/operator/late-clock';
import { running, withReport } from '../support/world';

const pair = running();
const primary = (endLsn: string | null): Report => {
  const last = endLsn === null ? null : { file: '', at: '', endLsn };
  const archive = {
    last,
    failure: null,
    waiting: 0,
    pausedLeftMs: null,
    room: null,
    window: null,
  };
  return withReport(pair, 'pg1', { archive }).observation.reports['pg1']!.report;
};
const standby = (replayedLsn: string): Report => {
  const { report } = pair.observation.reports['pg2']!;
  return { ...report, postgres: { ...report.postgres, replayedLsn } as Report['postgres'] };
};

describe('the clock of the late standbys', () => {
  it('says nothing while nothing has been archived', () => {
    const clock = new LateClock();
    clock.reported(primary(null), 0);
    clock.reported(standby('0/3000000'), 1);
    expect(clock.sinceMs).to.deep.equal({});
  });

  it('begins anew whenever the standby gets to where the archive was, however much comes', () => {
    const clock = new LateClock();
    for (let second = 1; second < 10; second += 1) {
      clock.reported(primary(`0/${second}000000`), second * 1000);
      clock.reported(standby(`0/${second}000000`), second * 1000 + 500);
    }
    expect(clock.sinceMs).to.deep.equal({ pg2: 9500 });
  });

  it('goes on for one that does not move, and for one that moves too slowly', () => {
    const clock = new LateClock();
    clock.reported(primary('0/5000000'), 1000);
    clock.reported(standby('0/2000000'), 1500);
    clock.reported(primary('0/9000000'), 2000);
    clock.reported(standby('0/2000000'), 2500);
    clock.reported(standby('0/4FFFFFF'), 60_000);
    expect(clock.sinceMs).to.deep.equal({ pg2: 1500 });
    clock.reported(standby('0/5000000'), 61_000);
    expect(clock.sinceMs).to.deep.equal({ pg2: 61_000 });
  });

  it('forgets what a former primary has archived', () => {
    const clock = new LateClock();
    clock.reported(primary('0/9000000'), 1000);
    clock.reported(standby('0/2000000'), 1500);
    clock.reported({ ...primary('0/3000000'), server: 'pg3' }, 2000);
    expect(clock.sinceMs).to.deep.equal({});
    clock.reported(standby('0/3000000'), 2500);
    clock.reported(standby('0/3000000'), 3500);
    expect(clock.sinceMs).to.deep.equal({ pg2: 3500 });
  });
});
