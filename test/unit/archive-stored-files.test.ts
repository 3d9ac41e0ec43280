import { expect } from 'chai';
import {
  folderOf,
  nameHash,
  parseStoredFile,
  renderStoredFile,
  type Compression,
} from '../../src/core/archive/stored-files';
import { parseWalFile } from '../../src/core/archive/wal-files';

const SEGMENT = '000000020000001A0000000B';
const HASH = '0123456789abcdef0123456789abcdef';

const rows: readonly {
  readonly name: string;
  readonly of: string;
  readonly compression: Compression;
  readonly folder: string;
}[] = [
  { name: `${SEGMENT}-${HASH}`, of: SEGMENT, compression: 'none', folder: '000000020000001A' },
  { name: `${SEGMENT}-${HASH}.zst`, of: SEGMENT, compression: 'zstd', folder: '000000020000001A' },
  {
    name: `${SEGMENT}.partial-${HASH}.lz4`,
    of: `${SEGMENT}.partial`,
    compression: 'lz4',
    folder: '000000020000001A',
  },
  {
    name: `${SEGMENT}.00000028.backup-${HASH}.gz`,
    of: `${SEGMENT}.00000028.backup`,
    compression: 'gzip',
    folder: '000000020000001A',
  },
  {
    name: `00000003.history-${HASH}`,
    of: '00000003.history',
    compression: 'none',
    folder: 'histories',
  },
];

describe('names in an archive', () => {
  for (const { name, of, compression, folder } of rows) {
    it(`reads and writes ${name}`, () => {
      const stored = { file: parseWalFile(of)!, hash: HASH, compression };
      expect(parseStoredFile(name)).to.deep.equal(stored);
      expect(renderStoredFile(stored)).to.equal(name);
      expect(folderOf(stored.file)).to.equal(folder);
    });
  }

  for (const [why, name] of [
    ['no hash', SEGMENT],
    ['a short hash', `${SEGMENT}-${HASH.slice(1)}`],
    ['a hash in upper case', `${SEGMENT}-${HASH.toUpperCase()}`],
    ['an ending that no compression has', `${SEGMENT}-${HASH}.xz`],
    ['an ending of a property', `${SEGMENT}-${HASH}.toString`],
    ['a temporary file', `${SEGMENT}-${HASH}.zst.tmp`],
    ['a file of another kind', `backup-${HASH}`],
    ['another directory', `../${SEGMENT}-${HASH}`],
    ['a second line', `${SEGMENT}-${HASH}\n`],
  ] as const) {
    it(`refuses ${why}`, () => expect(parseStoredFile(name)).to.equal(null));
  }

  it('hold the beginning of the SHA-256', () => {
    expect(nameHash('0123456789ABCDEF'.repeat(4))).to.equal(HASH);
  });
});
