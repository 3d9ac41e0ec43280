import { expect } from 'chai';
import fc from 'fast-check';
import {
  checkLease,
  driftMs,
  HEARTBEATS_MISSED_MAX,
  leaseTimes,
  STOP_BUDGET_MS,
  TTL_MAX_MS,
  ttlNeededMs,
} from '../../src/core/lease';
import { HEARTBEAT_MS } from '../../src/core/protocol';

describe('lease', () => {
  it('shows the sum of a lease that is too short', () => {
    expect(checkLease('spec.failover.ttl', 1000)).to.deep.equal([
      {
        path: 'spec.failover.ttl',
        severity: 'error',
        message:
          'a lease of 1s cannot hold: 2 missed heartbeats 2s + stop 1s + kill 0.5s + drift 0.1s = 3.6s',
        hint: 'use 4s or more; the default is 5s',
      },
    ]);
  });

  for (const { name, ttlMs, findings } of [
    { name: 'nothing', ttlMs: 0, findings: 1 },
    { name: 'one millisecond too little', ttlMs: 3599, findings: 1 },
    { name: 'just enough', ttlMs: 3600, findings: 0 },
    { name: 'the default', ttlMs: 5000, findings: 0 },
    { name: 'the most', ttlMs: TTL_MAX_MS, findings: 0 },
    { name: 'more than the most', ttlMs: TTL_MAX_MS + 1, findings: 1 },
  ]) {
    it(`${name}: ${findings === 0 ? 'holds' : 'is found'}`, () =>
      expect(checkLease('ttl', ttlMs)).to.have.length(findings));
  }

  it('of the default length begins to stop after 3.4 s', () => {
    expect(leaseTimes(5000)).to.deep.equal({
      stopAtMs: 3400,
      quitAtMs: 4400,
      killAtMs: 4650,
      goneAtMs: 4900,
      endMs: 5000,
    });
  });

  it('that is accepted survives the missed heartbeats, and is over before its end on any clock', () => {
    // The instance's clock may be slow by what the allowance says, and the leader's exact.
    const slow = 1 - 0.001;
    fc.assert(
      fc.property(fc.integer({ min: 1, max: TTL_MAX_MS }), (ttlMs) => {
        fc.pre(checkLease('ttl', ttlMs).length === 0);
        const times = leaseTimes(ttlMs);
        expect(times.stopAtMs).to.be.at.least(HEARTBEATS_MISSED_MAX * HEARTBEAT_MS);
        expect(times.quitAtMs - times.stopAtMs).to.equal(STOP_BUDGET_MS);
        expect(times.quitAtMs).to.be.below(times.killAtMs);
        expect(times.killAtMs).to.be.below(times.goneAtMs);
        expect(times.goneAtMs / slow).to.be.below(times.endMs);
      }),
    );
  });

  it('accepts exactly the lengths that have room for what is needed', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: TTL_MAX_MS }), (ttlMs) => {
        const holds = leaseTimes(ttlMs).stopAtMs >= HEARTBEATS_MISSED_MAX * HEARTBEAT_MS;
        expect(checkLease('ttl', ttlMs).length === 0).to.equal(holds);
        expect(ttlMs >= ttlNeededMs(ttlMs)).to.equal(holds);
      }),
    );
  });

  it('allows more drift for a longer lease', () => {
    expect(driftMs(5000)).to.equal(100);
    expect(driftMs(TTL_MAX_MS)).to.equal(600);
  });
});
