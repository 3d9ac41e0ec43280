import { expect } from 'chai';
import { endOf } from '../../src/adapters/postgres/wal-record';
import { nameOfSegmentAt } from '../../src/core/archive/wal-files';

const SEGMENT_BYTES = 16 * 1024 * 1024;

describe('the end of a WAL record', () => {
  const rows: readonly {
    readonly name: string;
    readonly start: string;
    readonly length: number;
    readonly end: string;
  }[] = [
    { name: 'is rounded up to 8 bytes', start: '0/1511A88', length: 114, end: '0/1511B00' },
    { name: 'may be the end of the page', start: '0/1511F88', length: 120, end: '0/1512000' },
    {
      name: 'lies behind the header of the next page',
      start: '0/1511FE0',
      length: 114,
      end: '0/1512070',
    },
    {
      name: 'lies behind the longer header of the next segment',
      start: '0/1FFFFE0',
      length: 114,
      end: '0/2000080',
    },
    {
      name: 'lies behind as many headers as there are pages',
      start: '0/1510028',
      length: 20000,
      end: '0/1514E78',
    },
    { name: 'goes on after 4 GB', start: '0/FFFFFFE0', length: 114, end: '1/80' },
  ];
  for (const { name, start, length, end } of rows) {
    it(name, () => {
      expect(endOf(start, length, SEGMENT_BYTES)).to.equal(end);
    });
  }
});

describe('the name of a WAL segment', () => {
  const rows = [
    {
      timeline: 1,
      lsn: '0/1511A88',
      segmentBytes: SEGMENT_BYTES,
      name: '000000010000000000000001',
    },
    {
      timeline: 10,
      lsn: '2A/FF000028',
      segmentBytes: SEGMENT_BYTES,
      name: '0000000A0000002A000000FF',
    },
    { timeline: 1, lsn: '1/C0000000', segmentBytes: 1024 ** 3, name: '000000010000000100000003' },
  ];
  for (const { timeline, lsn, segmentBytes, name } of rows) {
    it(`is ${name}`, () => {
      expect(nameOfSegmentAt(timeline, lsn, segmentBytes)).to.equal(name);
    });
  }
});
