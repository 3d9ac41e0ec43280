import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { walBytesFrom } from '../../src/adapters/postgres/wal-end';

const PAGE_BYTES = 8192;
const SEGMENT_BYTES = 4 * PAGE_BYTES;

describe('the end of the WAL', () => {
  let directory: string;

  beforeEach(() => (directory = mkdtempSync(join(tmpdir(), 'pgswarm-wal-'))));
  afterEach(() => rmSync(directory, { recursive: true }));

  /** A segment of which so many pages were written; the others are `from` an older one. */
  function write(number: number, pages: number, { from = 0, timeline = 1 } = {}): void {
    const buffer = Buffer.alloc(SEGMENT_BYTES);
    for (let page = 0; page < SEGMENT_BYTES / PAGE_BYTES; page += 1) {
      const segment = page < pages ? number : from;
      const position = segment * SEGMENT_BYTES + page * PAGE_BYTES;
      buffer.writeBigUInt64LE(BigInt(position), page * PAGE_BYTES + 8);
    }
    const name = [timeline, 0, number].map((part) => part.toString(16).padStart(8, '0')).join('');
    writeFileSync(join(directory, name.toUpperCase()), buffer);
  }

  const position = (bytes: number): string => `0/${bytes.toString(16).toUpperCase()}`;
  const bytesFrom = async (bytes: number): Promise<number | null> =>
    await walBytesFrom(directory, position(bytes));

  for (let pages = 1; pages <= 12; pages += 1) {
    it(`is found behind page ${pages} of three segments and a recycled one`, async () => {
      for (let segment = 0; segment < 4; segment += 1) {
        write(5 + segment, Math.max(0, Math.min(4, pages - 4 * segment)), { from: 2 });
      }
      const start = 5 * SEGMENT_BYTES + 40;
      expect(await bytesFrom(start)).to.equal(pages * PAGE_BYTES - 40);
    });
  }

  it('is found on the newest timeline', async () => {
    write(5, 3, { timeline: 2 });
    write(5, 1, { timeline: 1 });
    expect(await bytesFrom(5 * SEGMENT_BYTES)).to.equal(3 * PAGE_BYTES);
  });

  it('is not known without the WAL', async () => {
    expect(await bytesFrom(5 * SEGMENT_BYTES)).to.equal(null);
    write(6, 4);
    expect(await bytesFrom(5 * SEGMENT_BYTES)).to.equal(null);
    expect(await walBytesFrom(join(directory, 'missing'), '0/1')).to.equal(null);
  });
});
