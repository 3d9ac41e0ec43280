import { expect } from 'chai';
import fc from 'fast-check';
import {
  isIn,
  contains,
  formatSubnet,
  overlaps,
  parseSubnet,
  sizeOf,
  type Subnet,
} from '../../src/core/subnet';

function subnet(text: string): Subnet {
  const parsed = parseSubnet(text);
  if (parsed.kind === 'problem') throw new Error(parsed.message);
  return parsed.subnet;
}

/** Small subnets in a small space, so that many overlap. */
const SUBNETS = fc
  .record({ prefix: fc.integer({ min: 26, max: 32 }), address: fc.nat({ max: 255 }) })
  .map(({ prefix, address }): Subnet => {
    const size = 2 ** (32 - prefix);
    return { first: 0x0a00_c800 + address - (address % size), prefix };
  });

/** The oracle: every single address. */
const addressesOf = ({ first, prefix }: Subnet): Set<number> =>
  new Set(Array.from({ length: 2 ** (32 - prefix) }, (_, index) => first + index));

describe('subnet', () => {
  for (const { name, text, message, hint } of [
    { name: 'no prefix', text: '10.0.0.0', message: '"10.0.0.0" is not an IPv4 subnet' },
    { name: 'IPv6', text: 'fd00::/64', message: '"fd00::/64" is not an IPv4 subnet' },
    { name: 'nothing', text: '', message: '"" is not an IPv4 subnet' },
    {
      name: 'a number over 255',
      text: '10.0.256.0/24',
      message: '"10.0.256.0/24" is not an IPv4 subnet: each part is a number from 0 to 255',
    },
    {
      name: 'a number that some read as octal',
      text: '10.0.010.0/24',
      message: '"10.0.010.0/24" is not an IPv4 subnet: each part is a number from 0 to 255',
    },
    {
      name: 'a prefix over 32',
      text: '10.0.0.0/33',
      message: '"10.0.0.0/33" is not an IPv4 subnet: the prefix is at most 32',
    },
    {
      name: 'an address inside',
      text: '10.0.200.5/24',
      message: '"10.0.200.5/24" is an address inside a subnet, not the subnet',
      hint: 'write 10.0.200.0/24',
    },
    {
      name: 'a line break',
      text: '10.0.0.0/24\n',
      message: '"10.0.0.0/24\\n" is not an IPv4 subnet',
    },
  ]) {
    it(`refuses ${name}`, () => {
      const parsed = parseSubnet(text);
      expect(parsed).to.deep.include({ kind: 'problem', message });
      if (hint !== undefined) expect(parsed).to.deep.include({ hint });
    });
  }

  it('reads the largest and the last', () => {
    expect(subnet('0.0.0.0/0')).to.deep.equal({ first: 0, prefix: 0 });
    expect(subnet('255.255.255.255/32')).to.deep.equal({ first: 2 ** 32 - 1, prefix: 32 });
    expect(sizeOf(subnet('0.0.0.0/0'))).to.equal(2 ** 32);
  });

  it('sees that everything overlaps the whole space', () => {
    expect(overlaps(subnet('0.0.0.0/0'), subnet('255.255.255.255/32'))).to.equal(true);
    expect(overlaps(subnet('10.0.200.0/24'), subnet('10.0.201.0/24'))).to.equal(false);
  });

  it('reads back every subnet that it writes', () => {
    fc.assert(
      fc.property(
        fc.nat({ max: 2 ** 32 - 1 }),
        fc.integer({ min: 0, max: 32 }),
        (address, prefix) => {
          const size = 2 ** (32 - prefix);
          const one = { first: address - (address % size), prefix };
          expect(subnet(formatSubnet(one))).to.deep.equal(one);
        },
      ),
    );
  });

  it('finds overlap and containment where single addresses do', () => {
    fc.assert(
      fc.property(SUBNETS, SUBNETS, (a, b) => {
        const [ofA, ofB] = [addressesOf(a), addressesOf(b)];
        expect(sizeOf(a)).to.equal(ofA.size);
        expect(overlaps(a, b)).to.equal([...ofA].some((address) => ofB.has(address)));
        expect(contains(a, b)).to.equal([...ofB].every((address) => ofA.has(address)));
      }),
      { numRuns: 300 },
    );
  });

  it('knows the addresses that are in it', () => {
    const found = ['10.0.200.7', '10.0.201.7', 'fe80::1', ''].map((each) =>
      isIn('10.0.200.0/24', each),
    );
    expect(found).to.deep.equal([true, false, false, false]);
  });
});
