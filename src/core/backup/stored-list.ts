/**
 * `files.json` of a backup: every file of it with what it must contain, so that a copy can be
 * compared with what was written, and not with what a disk may have made of it since.
 */
import { isInnerPath } from './names';

export interface ListedFile {
  /** From the backup's folder on. */
  readonly path: string;
  readonly bytes: number;
  /** In hexadecimal. */
  readonly sha256: string;
}

export interface StoredList {
  /** Without a file in them they would be missing in a copy, and PostgreSQL wants them. */
  readonly directories: readonly string[];
  readonly files: readonly ListedFile[];
}

const SHA256 = /^[0-9a-f]{64}$/;

/** A list as it was read or received; a text says what is wrong with it. */
export function parseStoredList(value: unknown): StoredList | string {
  const { directories, files } = (value ?? {}) as Partial<Record<keyof StoredList, unknown>>;
  if (!Array.isArray(directories) || !Array.isArray(files)) return 'it is not a list of files';
  if (!files.every(isListedFile)) return 'it names a file without its size or its SHA-256';
  const strange = [...files.map(({ path }) => path), ...(directories as readonly unknown[])].find(
    (path) => typeof path !== 'string' || !isInnerPath(path),
  );
  if (strange !== undefined) return `it names ${JSON.stringify(strange)}, outside of the backup`;
  return { directories: directories as readonly string[], files };
}

/** The same of the text of `files.json`. */
export function readStoredList(text: string): StoredList | string {
  try {
    return parseStoredList(JSON.parse(text));
  } catch {
    return 'it is not JSON';
  }
}

export const bytesOf = (files: readonly ListedFile[]): number =>
  files.reduce((sum, { bytes }) => sum + bytes, 0);

function isListedFile(value: unknown): value is ListedFile {
  const { path, bytes, sha256 } = (value ?? {}) as Partial<Record<keyof ListedFile, unknown>>;
  if (typeof path !== 'string' || typeof sha256 !== 'string') return false;
  return Number.isSafeInteger(bytes) && Number(bytes) >= 0 && SHA256.test(sha256);
}
