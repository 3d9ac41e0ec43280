import { expect } from 'chai';
import { LeaseBook } from '../../src/operator/lease-book';

describe('the book of leases', () => {
  let nowMs = 0;
  let book: LeaseBook;

  /** A leader takes over: for 5 s somebody may hold a lease that it does not know. */
  beforeEach(() => {
    nowMs = 1000;
    book = new LeaseBook(
      () => nowMs,
      () => undefined,
    );
    book.begin(5000);
  });

  afterEach(() => book.close());

  it('has one that nobody knows when a leader has taken over', () => {
    expect(book.grants).to.deep.equal([{ taskId: null, endsAtMs: 6000 }]);
  });

  it('knows whose that is as soon as PostgreSQL is seen to run as primary', () => {
    nowMs = 1500;
    book.granted('t1', 3000, true);
    expect(book.grants).to.deep.equal([{ taskId: 't1', endsAtMs: 6000 }]);
  });

  it('does not know it from one that is only about to start: another may still run', () => {
    nowMs = 1500;
    book.granted('t2', 5000, false);
    expect(book.grants).to.deep.equal([
      { taskId: null, endsAtMs: 6000 },
      { taskId: 't2', endsAtMs: 6500 },
    ]);
  });

  it('never shortens a lease', () => {
    book.granted('t1', 5000, true);
    nowMs = 1500;
    book.granted('t1', 100, true);
    expect(book.grants).to.deep.equal([{ taskId: 't1', endsAtMs: 6000 }]);
  });
});
