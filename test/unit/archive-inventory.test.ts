import { expect } from 'chai';
import fc from 'fast-check';
import {
  contains,
  countSegments,
  describeRange,
  fromNumber,
  intersect,
  inventoryOf,
  lacking,
  merge,
  subtract,
  type Inventory,
  type SegmentRange,
} from '../../src/core/archive/inventory';
import { SEGMENT_BYTES_DEFAULT, type Segment } from '../../src/core/archive/wal-files';

const range = (timeline: number, from: number, to: number): SegmentRange => ({
  timeline,
  from,
  to,
});

describe('an inventory', () => {
  it('is the ranges of segments that come in any order, and twice', () => {
    const numbers = [7, 3, 2, 4, 7, 9, 3];
    const segments = numbers.map((number) => ({ timeline: 1, number }));
    expect(inventoryOf([{ timeline: 2, number: 5 }, ...segments])).to.deep.equal([
      range(1, 2, 4),
      range(1, 7, 7),
      range(1, 9, 9),
      range(2, 5, 5),
    ]);
  });

  it('keeps timelines apart', () => {
    const inventory = inventoryOf([
      { timeline: 1, number: 4 },
      { timeline: 2, number: 5 },
    ]);
    expect(inventory).to.have.length(2);
    expect(contains(inventory, { timeline: 1, number: 5 })).to.equal(false);
    expect(contains(inventory, { timeline: 2, number: 5 })).to.equal(true);
  });

  it('knows what a peer has and it lacks, from a lowest segment on', () => {
    const own = [range(1, 10, 20), range(2, 22, 25)];
    const peer = [range(1, 1, 22), range(2, 20, 30), range(3, 3, 40)];
    expect(lacking(own, peer, 8)).to.deep.equal([
      range(1, 8, 9),
      range(1, 21, 22),
      range(2, 20, 21),
      range(2, 26, 30),
      range(3, 8, 40),
    ]);
  });

  it('is told to people by names', () => {
    const [one, more] = [range(1, 10, 10), range(2, 255, 257)];
    expect(describeRange(one, SEGMENT_BYTES_DEFAULT)).to.equal('segment 00000001000000000000000A');
    expect(describeRange(more, SEGMENT_BYTES_DEFAULT)).to.equal(
      '3 segments from 0000000200000000000000FF to 000000020000000100000001',
    );
  });

  // Whatever took a time that grows with the square would not end before the test's time is over.
  it('takes 200,000 segments out of order, with as many holes', () => {
    const segments = Array.from({ length: 200_000 }, (_, at) => ({
      timeline: 1 + (at % 3),
      number: ((at * 7919) % 200_000) * 2,
    }));
    const own = inventoryOf(segments);
    const peer = merge([range(1, 0, 399_999), range(2, 0, 399_999), range(3, 0, 399_999)]);
    expect(countSegments(subtract(peer, own))).to.equal(1_200_000 - countSegments(own));
  });
});

/** The same with a set of names: slow, and hard to get wrong. */
describe('inventories, against sets', () => {
  const segments = fc.array(
    fc.record({ timeline: fc.integer({ min: 1, max: 3 }), number: fc.nat(12) }),
    { maxLength: 30 },
  );
  const key = ({ timeline, number }: Segment): string => `${timeline}/${number}`;
  const setOf = (list: readonly Segment[]): ReadonlySet<string> => new Set(list.map(key));
  const everywhere = [1, 2, 3].flatMap((timeline) =>
    Array.from({ length: 14 }, (_, number) => ({ timeline, number })),
  );

  const operations: readonly {
    readonly name: string;
    readonly clever: (a: Inventory, b: Inventory) => Inventory;
    readonly dumb: (inA: boolean, inB: boolean, number: number) => boolean;
  }[] = [
    { name: 'merge', clever: merge, dumb: (inA, inB) => inA || inB },
    { name: 'subtract', clever: subtract, dumb: (inA, inB) => inA && !inB },
    { name: 'intersect', clever: intersect, dumb: (inA, inB) => inA && inB },
    {
      name: 'lacking',
      clever: (own, peer) => lacking(own, peer, 5),
      dumb: (inOwn, inPeer, number) => inPeer && !inOwn && number >= 5,
    },
    { name: 'fromNumber', clever: (a) => fromNumber(a, 6), dumb: (inA, _, n) => inA && n >= 6 },
  ];

  for (const { name, clever, dumb } of operations) {
    it(name, () => {
      fc.assert(
        fc.property(segments, segments, (a, b) => {
          const [inA, inB] = [setOf(a), setOf(b)];
          const result = clever(inventoryOf(a), inventoryOf(b));
          const wanted = everywhere.filter((each) =>
            dumb(inA.has(key(each)), inB.has(key(each)), each.number),
          );
          expect(everywhere.filter((each) => contains(result, each))).to.deep.equal(wanted);
          expect(countSegments(result)).to.equal(wanted.length);
          expect(result).to.deep.equal(inventoryOf(wanted));
        }),
      );
    });
  }
});
