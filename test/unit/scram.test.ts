import { expect } from 'chai';
import { isVerifierOf, scramVerifier } from '../../src/adapters/postgres/scram';

/** Made by PostgreSQL 15 itself: `create role x password 'replication-password'`. */
const BY_POSTGRES =
  'SCRAM-SHA-256$4096:LsSxi1qvfzDKppm9c+9Tkg==$eS+WR++yiqY7vvSjGn1YoVv1cGnsuo7fJqGo9lyUdAA=:Dmb3JOu13r1QXlCDqbwZiQ75o8i3OrcYN7VQ+2vweLY=';

describe('a password verifier', () => {
  it('is the one that PostgreSQL makes from the same salt', () => {
    const salt = /:([^$]+)\$/.exec(BY_POSTGRES)?.[1] ?? '';
    const made = scramVerifier('replication-password', Buffer.from(salt, 'base64'));
    expect(made).to.equal(BY_POSTGRES);
  });

  it('has a new salt each time, and is known again', () => {
    const [first, second] = [scramVerifier('secret'), scramVerifier('secret')];
    expect(first).not.to.equal(second);
    for (const each of [first, second]) expect(isVerifierOf(each, 'secret')).to.equal(true);
  });

  const others: readonly { readonly name: string; readonly stored: string | null }[] = [
    { name: 'another password', stored: scramVerifier('other') },
    { name: 'no password', stored: null },
    { name: 'an old MD5 password', stored: 'md53175bce1d3201d16594cebf9d7eb3f9d' },
    { name: 'a verifier that was cut short', stored: BY_POSTGRES.slice(0, -5) },
    { name: 'nothing', stored: '' },
  ];
  for (const { name, stored } of others) {
    it(`is not taken for right: ${name}`, () => {
      expect(isVerifierOf(stored, 'replication-password')).to.equal(false);
    });
  }
});
