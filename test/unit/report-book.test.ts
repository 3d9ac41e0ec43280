import { expect } from 'chai';
import { ReportBook } from '../../src/operator/report-book';
import { running } from '../support/world';

const base = running().observation.reports['pg1']!.report;
const report = (bootId: string, sequence: number, more = {}): typeof base => ({
  ...base,
  bootId,
  sequence,
  ...more,
});

describe('the book of reports', () => {
  it('takes a newer one, and says whether more than a position has changed', () => {
    const book = new ReportBook();
    expect(book.enter(report('a', 1), 10)).to.equal('news');
    const moved = { ...base.postgres, lsn: '0/9999999' };
    expect(book.enter(report('a', 2, { postgres: moved }), 20)).to.equal('same');
    expect(book.enter(report('a', 3, { busy: 'cloning' }), 30)).to.equal('news');
    expect(book.all()['pg1']).to.deep.include({ seenAtMs: 30 });
  });

  it('ignores one that is played again or was overtaken', () => {
    const book = new ReportBook();
    book.enter(report('a', 2), 10);
    expect(book.enter(report('a', 2), 20)).to.equal('repeated');
    expect(book.enter(report('a', 1), 30)).to.equal('repeated');
    expect(book.all()['pg1']!.seenAtMs).to.equal(10);
  });

  it('ignores a recording of a boot that is over', () => {
    const book = new ReportBook();
    book.enter(report('a', 7), 10);
    book.enter(report('b', 1), 20);
    expect(book.enter(report('a', 7), 30)).to.equal('repeated');
    expect(book.all()['pg1']!.report.bootId).to.equal('b');
  });

  it('keeps two servers apart, whatever they call their boots', () => {
    const book = new ReportBook();
    book.enter(report('a', 7), 10);
    expect(book.enter(report('a', 1, { server: 'pg2' }), 20)).to.equal('news');
  });

  it('believes the boot that goes on, after a report of an earlier one that was long on its way', () => {
    // A new leader had never heard of boot a: it took b for over, and heard nothing of it for ever.
    const book = new ReportBook();
    book.enter(report('b', 6), 10);
    book.enter(report('a', 60), 20);
    expect(book.enter(report('b', 7), 30)).to.equal('news');
    expect(book.all()['pg1']!.report.bootId).to.equal('b');
  });
});
