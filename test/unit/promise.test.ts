import { expect } from 'chai';
import fc from 'fast-check';
import { TTL_MAX_MS } from '../../src/core/lease';
import {
  answerPromise,
  promisedUntil,
  promiseLeftMs,
  type PromisingSelf,
} from '../../src/core/promise';
import { type PromiseRequest } from '../../src/core/protocol';

const request: PromiseRequest = {
  cluster: 'orders',
  from: 'pg1',
  to: 'pg2',
  term: 4,
  forMs: 5000,
};
const standby: PromisingSelf = {
  cluster: 'orders',
  server: 'pg2',
  term: 4,
  task: 'standby',
  rollCall: null,
};

describe('a promise', () => {
  const given: readonly {
    readonly name: string;
    readonly self?: Partial<PromisingSelf>;
    readonly asked?: Partial<PromiseRequest>;
  }[] = [
    { name: 'a standby of the same term' },
    { name: 'one that waits', self: { task: 'wait' } },
    { name: 'one that has not heard of the term yet', self: { term: 3 } },
    { name: 'the primary of an earlier term', self: { term: 3, task: 'primary' } },
    { name: 'one that is asked for as long as a lease can be', asked: { forMs: TTL_MAX_MS } },
  ];
  for (const { name, self, asked } of given) {
    it(`is given by ${name}`, () => {
      const answer = answerPromise({ ...request, ...asked }, { ...standby, ...self });
      expect(answer).to.deep.equal({ promised: true });
    });
  }

  const refused: readonly {
    readonly because: string;
    readonly self?: Partial<PromisingSelf>;
    readonly asked?: Partial<PromiseRequest>;
  }[] = [
    {
      because: 'pg2 has just started and no leader has spoken to it',
      self: { term: 0, task: null },
    },
    {
      because: 'this is a server of orders, not of invoices',
      asked: { cluster: 'invoices' },
    },
    { because: 'this is pg2, not pg3', asked: { to: 'pg3' } },
    { because: 'pg2 cannot promise to itself', asked: { from: 'pg2' } },
    { because: 'pg2 has obeyed term 5; pg1 was primary in term 4', self: { term: 5 } },
    {
      because: 'pg2 has obeyed term 6; pg1 was primary in term 4',
      self: { term: 6, task: 'primary' },
    },
    { because: 'pg2 is itself told to be primary in term 4', self: { task: 'primary' } },
    {
      because: 'pg2 answers a roll call: a failover has begun',
      self: { rollCall: 'failover-1' },
    },
    ...[0, -1, TTL_MAX_MS + 1, Infinity, NaN].map((forMs) => ({
      because: `a promise is for more than 0 and at most 300000 ms, not for ${forMs}`,
      asked: { forMs },
    })),
  ];
  for (const { because, self, asked } of refused) {
    it(`is refused: ${because}`, () => {
      const answer = answerPromise({ ...request, ...asked }, { ...standby, ...self });
      expect(answer).to.deep.equal({ promised: false, because });
    });
  }

  it('keeps an instance from promotion until it is over, and not longer', () => {
    const untilMs = promisedUntil(null, 10_000, 5000);
    const leftAt = (nowMs: number) => promiseLeftMs(untilMs, 0, 5000, nowMs);
    expect([10_000, 14_999.5, 15_000].map(leftAt)).to.deep.equal([5000, 1, null]);
  });

  it('is presumed of the first lease after a start', () => {
    const leftAt = (nowMs: number) => promiseLeftMs(null, 1000, 5000, nowMs);
    expect([1000, 5999, 6000].map(leftAt)).to.deep.equal([5000, 1, null]);
  });

  it('is never shortened: by a later one, by a start, or by asking how long it lasts', () => {
    const durationMs = fc.integer({ min: 1, max: TTL_MAX_MS });
    const questions = fc.array(fc.record({ afterMs: fc.nat(20_000), forMs: durationMs }));
    const run = fc.property(questions, durationMs, fc.nat(400_000), (asked, ttlMs, waitedMs) => {
      let nowMs = 0;
      let untilMs: number | null = null;
      const ends: number[] = [ttlMs];
      for (const { afterMs, forMs } of asked) {
        nowMs += afterMs;
        untilMs = promisedUntil(untilMs, nowMs, forMs);
        ends.push(nowMs + forMs);
        const leftMs = promiseLeftMs(untilMs, 0, ttlMs, nowMs) ?? 0;
        expect(nowMs + leftMs).to.equal(Math.max(...ends));
      }
      nowMs += waitedMs;
      const isBound = ends.some((end) => end > nowMs);
      expect(promiseLeftMs(untilMs, 0, ttlMs, nowMs) !== null).to.equal(isBound);
    });
    fc.assert(run);
  });
});
