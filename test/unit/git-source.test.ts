import { expect } from 'chai';
import { parseCommit } from '../../src/core/git/source';

const parse = (author: string, at: string, subject: string): ReturnType<typeof parseCommit> =>
  parseCommit(`${'a'.repeat(40)}\0${author}\0${at}\0${subject}\n`);

describe('a commit', () => {
  it('is told in Universal Time', () => {
    expect(parse('Jane Doe', '2026-01-01T12:00:00+02:00', 'Move the primary')).to.deep.equal({
      id: 'a'.repeat(40),
      author: 'Jane Doe',
      at: '2026-01-01T10:00:00.000Z',
      subject: 'Move the primary',
    });
  });

  it('writes to no terminal what a terminal obeys', () => {
    const { author, subject } = parse(
      'J\u001b]0;x\u0007ane',
      '2026-01-01T00:00:00Z',
      'a\u202eb\u009bc',
    );
    expect([author, subject]).to.deep.equal(['J ]0;x ane', 'a b c']);
  });

  it('fills no record by the name of its author', () => {
    const { author, subject } = parse('J'.repeat(700_000), '2026-01-01T00:00:00Z', 's'.repeat(1e6));
    expect([author.length, subject.length]).to.deep.equal([100, 200]);
  });

  it('of no date is newer than nothing', () => {
    expect(parse('Jane', '292277026-12-04T15:30:07Z', 'x').at).to.equal('1970-01-01T00:00:00.000Z');
  });
});
