import { expect } from 'chai';
import { overviewChange, summaryOf, type Overview } from '../../src/core/overview';
import { detail, overviewOf } from '../page/sample';

const NOW = Date.parse('2026-01-01T12:00:00.000Z');

/** What the page's own script makes of a change; it is what browsers run. */
type Apply = (before: Overview | null, change: object) => Overview;
let applyChange: Apply;

describe('what the web page is told', () => {
  before(async () => {
    ({ applyChange } = (await import('../../src/page/stream.mjs')) as unknown as {
      applyChange: Apply;
    });
  });

  it('is everything at first', () => {
    const overview = overviewOf(detail(NOW), NOW);
    expect(overviewChange(null, overview)).to.deep.equal(overview);
  });

  it('is only the time when nothing has changed', () => {
    const change = overviewChange(
      overviewOf(detail(NOW), NOW),
      overviewOf(detail(NOW), NOW + 1000),
    );
    expect(change).to.deep.equal({ at: '2026-01-01T12:00:01.000Z', parts: {} });
  });

  it('is the part of a cluster that has changed', () => {
    const lease = { ttlMs: 5000, leftMs: 100, peers: [] };
    const change = overviewChange(
      overviewOf(detail(NOW), NOW),
      overviewOf(detail(NOW, { lease }), NOW),
    );
    expect(change.parts).to.deep.equal({ lease });
    expect(change).not.to.have.any.keys('cluster', 'clusters');
  });

  const none: Overview = { at: '2026-01-01T12:00:00.000Z', clusters: [], cluster: null };
  const other = overviewOf(detail(NOW, { cluster: 'billing', term: 9 }), NOW);
  const journey: readonly (readonly [string, Overview])[] = [
    ['none', none],
    ['the first one', overviewOf(detail(NOW), NOW)],
    ['in another phase', overviewOf(detail(NOW, { phase: 'Failover', steps: ['x'] }), NOW)],
    ['none again', none],
    ['another one', other],
    ['the first one again', overviewOf(detail(NOW), NOW)],
  ];
  for (const [index, [name, after]] of journey.entries()) {
    it(`leads a browser from ${journey.at(index - 1)?.[0] ?? ''} to ${name}`, () => {
      const before = journey.at(index - 1)?.[1] ?? none;
      expect(applyChange(before, overviewChange(before, after))).to.deep.equal(after);
    });
  }

  it('has a summary also of a cluster that was not looked at yet', () => {
    expect(summaryOf('orders', null)).to.include({ name: 'orders', phase: 'Creating' });
    const summary = summaryOf('orders', detail(NOW));
    expect(summary.servers.map(({ name }) => name)).to.deep.equal(['pg1', 'pg2', 'pg3']);
    expect(summary.troubles).to.deep.equal([]);
  });
});
