import { expect } from 'chai';
import fc from 'fast-check';
import {
  isSegmentSize,
  lastSegment,
  nameOfSegment,
  nextSegment,
  parseSegment,
  parseWalFile,
  renderWalFile,
  SEGMENT_BYTES_DEFAULT,
  segmentAt,
  segmentBefore,
  segmentEnd,
  segmentStart,
  type WalFile,
} from '../../src/core/archive/wal-files';
import { compareLsn } from '../../src/core/lsn';

const MB = 1024 ** 2;

const files: readonly { readonly name: string; readonly file: WalFile }[] = [
  {
    name: '00000001000000000000000A',
    file: { kind: 'segment', timeline: 1, segment: '00000001000000000000000A' },
  },
  {
    name: '0000001A000000FF000000FE.partial',
    file: { kind: 'partial', timeline: 26, segment: '0000001A000000FF000000FE' },
  },
  {
    name: '000000020000000000000007.00000028.backup',
    file: { kind: 'label', timeline: 2, segment: '000000020000000000000007', offsetBytes: 40 },
  },
  { name: 'FFFFFFFF.history', file: { kind: 'history', timeline: 0xffffffff } },
];

const strangers: readonly { readonly why: string; readonly name: string }[] = [
  { why: 'nothing', name: '' },
  { why: 'another directory', name: '../00000001000000000000000A' },
  { why: 'a path', name: 'x/00000001000000000000000A' },
  { why: 'a path behind it', name: '00000001000000000000000A/../../postgresql.conf' },
  { why: 'lower case', name: '00000001000000000000000a' },
  { why: 'a digit too few', name: '00000001000000000000000' },
  { why: 'a digit too many', name: '00000001000000000000000A0' },
  { why: 'a second line', name: '00000001000000000000000A\n' },
  { why: 'a byte of zero', name: '00000001000000000000000A\0' },
  { why: 'a timeline 0', name: '00000000000000000000000A' },
  { why: 'a timeline 0 with a history', name: '00000000.history' },
  { why: 'a label without an offset', name: '00000001000000000000000A.backup' },
  { why: 'what is being received', name: '00000001000000000000000A.partial.gz' },
  { why: 'other files', name: 'archive_status' },
];

describe('names of WAL files', () => {
  for (const { name, file } of files) {
    it(`reads and writes ${name}`, () => {
      expect(parseWalFile(name)).to.deep.equal(file);
      expect(renderWalFile(file)).to.equal(name);
    });
  }

  for (const { why, name } of strangers) {
    it(`refuses ${why}`, () => expect(parseWalFile(name)).to.equal(null));
  }

  it('lets no name through with anything added to it', () => {
    const added = fc.tuple(
      fc.constantFrom(...files.map(({ name }) => name)),
      fc.nat(40),
      fc.constantFrom('/', '\\', '..', '\n', '\0', '-', '%2F', ' ', 'é'),
    );
    fc.assert(
      fc.property(added, ([name, at, text]) => {
        expect(parseWalFile(name.slice(0, at) + text + name.slice(at))).to.equal(null);
      }),
    );
  });
});

describe('segments', () => {
  const rows: readonly {
    readonly name: string;
    readonly mb: number;
    readonly number: number | null;
  }[] = [
    { name: '000000010000000000000000', mb: 16, number: 0 },
    { name: '0000000100000000000000FF', mb: 16, number: 255 },
    { name: '000000010000000100000000', mb: 16, number: 256 },
    { name: '000000010000000000000100', mb: 16, number: null },
    { name: '000000010000000000000FFF', mb: 1, number: 4095 },
    { name: '000000010000000200000003', mb: 1024, number: 11 },
    { name: '000000010000000200000004', mb: 1024, number: null },
    { name: '00000001FFFFFFFF000000FF', mb: 16, number: lastSegment(16 * MB) },
  ];

  for (const { name, mb, number } of rows) {
    it(`${name} with ${mb} MB is ${number === null ? 'none' : `number ${number}`}`, () => {
      const segment = number === null ? null : { timeline: 1, number };
      expect(parseSegment(name, mb * MB)).to.deep.equal(segment);
      if (segment !== null) expect(nameOfSegment(segment, mb * MB)).to.equal(name);
    });
  }

  it('are neither partial segments nor labels', () => {
    expect(parseSegment('00000001000000000000000A.partial', 16 * MB)).to.equal(null);
    expect(parseSegment('00000001000000000000000A.00000028.backup', 16 * MB)).to.equal(null);
  });

  it('follow each other over the end of four gigabytes', () => {
    const next = nextSegment({ timeline: 3, number: 255 });
    expect(nameOfSegment(next, SEGMENT_BYTES_DEFAULT)).to.equal('000000030000000100000000');
  });

  it('begin where the one before ends', () => {
    expect(segmentStart(256, 16 * MB)).to.equal('1/0');
    expect(segmentEnd(255, 16 * MB)).to.equal('1/0');
    expect(segmentAt('1/0', 16 * MB)).to.equal(256);
    expect(segmentBefore('1/0', 16 * MB)).to.equal(255);
    expect(segmentBefore('1/1', 16 * MB)).to.equal(256);
    expect(segmentBefore('0/0', 16 * MB)).to.equal(0);
  });

  it('have one size of a cluster: a power of two from 1 MB to 1 GB', () => {
    const sizes = [0, MB / 2, MB, 3 * MB, 16 * MB, 1024 * MB, 2048 * MB, NaN];
    expect(sizes.map(isSegmentSize)).to.deep.equal([
      ...[false, false, true, false, true, true, false, false],
    ]);
  });

  it('are found by every position in them, in every size', () => {
    const size = fc.integer({ min: 0, max: 10 }).map((power) => MB * 2 ** power);
    const world = size.chain((bytes) =>
      fc.record({
        bytes: fc.constant(bytes),
        segment: fc.record({
          timeline: fc.integer({ min: 1, max: 0xffffffff }),
          number: fc.integer({ min: 0, max: lastSegment(bytes) - 1 }),
        }),
      }),
    );
    fc.assert(
      fc.property(world, ({ bytes, segment }) => {
        const [start, end] = [
          segmentStart(segment.number, bytes),
          segmentEnd(segment.number, bytes),
        ];
        expect(parseSegment(nameOfSegment(segment, bytes), bytes)).to.deep.equal(segment);
        expect(segmentAt(start, bytes)).to.equal(segment.number);
        expect(segmentBefore(end, bytes)).to.equal(segment.number);
        expect(compareLsn(start, end)).to.be.below(0);
      }),
    );
  });
});
