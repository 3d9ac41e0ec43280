/**
 * How an archive names what it keeps: `<file>-<hash>[.zst|.lz4|.gz]`. The hash is the beginning of
 * the SHA-256 of what PostgreSQL handed over, before compression. So a name says what the file must
 * contain, and the same bytes get the same name on every server.
 */
import { type Compression } from '../spec';
import { parseWalFile, renderWalFile, type WalFile } from './wal-files';

export type { Compression };

/** A file of the archive. */
export interface StoredFile {
  readonly file: WalFile;
  /** The first 32 digits of the SHA-256, in lower case. */
  readonly hash: string;
  readonly compression: Compression;
}

const ENDINGS: Readonly<Record<Compression, string>> = {
  none: '',
  gzip: '.gz',
  lz4: '.lz4',
  zstd: '.zst',
};

const COMPRESSIONS = Object.keys(ENDINGS) as Compression[];
const HASH_DIGITS = 32;
const FORM = /^([0-9A-Za-z.]+)-([0-9a-f]{32})(|\.[a-z0-9]+)$/;

/** So much of a SHA-256, given in hexadecimal, is the hash of a name. */
export const nameHash = (sha256: string): string => sha256.slice(0, HASH_DIGITS).toLowerCase();

/** The stored file of that name; null for everything else. */
export function parseStoredFile(name: string): StoredFile | null {
  const [, fileName = '', hash, ending] = FORM.exec(name) ?? [];
  const compression = COMPRESSIONS.find((each) => ENDINGS[each] === ending);
  const file = parseWalFile(fileName);
  if (file === null || hash === undefined || compression === undefined) return null;
  return { file, hash, compression };
}

/** Its name; the reverse of `parseStoredFile`. */
export const renderStoredFile = ({ file, hash, compression }: StoredFile): string =>
  `${renderWalFile(file)}-${hash}${ENDINGS[compression]}`;

/**
 * The folder below `wal/` that holds a file. The first 16 digits of a segment's name stand for 4 GB
 * of WAL on one timeline: 256 files of the usual size, few enough to list at once.
 */
export const folderOf = (file: WalFile): string =>
  file.kind === 'history' ? 'histories' : file.segment.slice(0, 16);
