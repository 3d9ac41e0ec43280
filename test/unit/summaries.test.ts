import { expect } from 'chai';
import { isStuck, keepsUp, mayBegin, type Summarizer } from '../../src/core/summaries';

/** As in the one that was found: a segment was gone, and the summarizer asked for it for ever. */
const stuck: Summarizer = {
  isOn: true,
  pid: 61,
  readLsn: '0/D0000A0',
  walLsn: '0/1B000060',
  timelines: 2,
};

describe('the WAL summarizer', () => {
  it('keeps up when it runs and has read all but the rest of a page', () => {
    expect(keepsUp({ ...stuck, readLsn: '0/1B000060' })).to.equal(true);
    expect(keepsUp({ ...stuck, readLsn: '0/1AFFF000' })).to.equal(true);
    expect(keepsUp(stuck)).to.equal(false);
    expect(keepsUp({ ...stuck, readLsn: '0/1B000060', pid: null })).to.equal(false);
    expect(keepsUp({ ...stuck, readLsn: null })).to.equal(false);
  });

  it('is stuck when it has much to read, and reads nothing', () => {
    expect(isStuck(stuck, { ...stuck, walLsn: '0/1C000000' })).to.equal(true);
    expect(isStuck(stuck, { ...stuck, readLsn: '0/E000000' })).to.equal(false);
    expect(isStuck({ ...stuck, walLsn: '0/D0000A0' }, stuck)).to.equal(false);
    expect(isStuck(stuck, { ...stuck, isOn: false })).to.equal(false);
  });

  it('may begin when nothing of an older timeline is left', () => {
    expect(mayBegin({ ...stuck, timelines: 1 })).to.equal(true);
    expect(mayBegin(stuck)).to.equal(false);
  });
});
