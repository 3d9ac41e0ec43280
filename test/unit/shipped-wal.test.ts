import { expect } from 'chai';
import { parseWalFile } from '../../src/core/archive/wal-files';
import { ShippedWal } from '../../src/instance/archive/shipped-wal';

const BYTES = 16 * 1024 ** 2;

/** The position after PostgreSQL has asked for these files. */
function lsnAfter(...names: readonly string[]): string | null {
  const shipped = new ShippedWal();
  for (const name of names) shipped.asked(parseWalFile(name)!);
  return shipped.lsn(BYTES);
}

describe('what a standby has replayed of shipped WAL', () => {
  const third = '000000010000000000000003';
  const fourth = '000000010000000000000004';

  it('is not known by a question for something new: PostgreSQL reads ahead', () => {
    expect(lsnAfter()).to.equal(null);
    expect(lsnAfter(third, fourth)).to.equal(null);
  });

  it('is everything before what it asks for again', () => {
    expect(lsnAfter(third, fourth, fourth)).to.equal('0/4000000');
    expect(lsnAfter(third, third, fourth)).to.equal('0/3000000');
  });

  it('does not follow from histories, nor from asking by several timelines', () => {
    expect(lsnAfter('00000002.history', '00000002.history')).to.equal(null);
    const newer = '000000020000000000000004';
    expect(lsnAfter(third, newer, fourth)).to.equal(null);
    expect(lsnAfter(newer, fourth, '00000002.history', newer, fourth)).to.equal('0/4000000');
  });
});
