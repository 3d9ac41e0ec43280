/** `backup.json` and `verified.json` as they are read again: a disk or a person may have changed them. */
import { lsnBytes } from '../lsn';
import { type Backup, type BackupWal, type Verification } from './backup';

type Check = (value: unknown) => boolean;
type Raw<T> = Readonly<Partial<Record<keyof T, unknown>>>;

const isText: Check = (value) => typeof value === 'string' && value !== '';
const isTextOrNull: Check = (value) => value === null || isText(value);
const isCount: Check = (value) => Number.isSafeInteger(value) && Number(value) >= 0;
const isMoment: Check = (value) => typeof value === 'string' && !Number.isNaN(Date.parse(value));
const oneOf =
  (...words: readonly string[]): Check =>
  (value) =>
    words.includes(value as string);

const CHECKS: Readonly<Record<keyof Backup, Check>> = {
  id: isText,
  method: oneOf('base', 'dump', 'snapshot'),
  parent: isTextOrNull,
  format: oneOf('plain', 'tar'),
  compression: oneOf('zstd', 'lz4', 'gzip', 'none'),
  cluster: isText,
  server: isText,
  systemIdentifier: isText,
  postgresVersion: isText,
  wal: (value) => value === null || isWal(value),
  startedAt: isMoment,
  stoppedAt: isMoment,
  bytes: isCount,
  because: (value) => typeof value === 'string',
  spec: () => true,
};

/** What the text describes; a text says why it describes nothing. */
export function parseBackup(text: string): Backup | string {
  const value = parseObject<Backup>(text);
  if (value === null) return 'it is not JSON';
  const fields = Object.keys(CHECKS) as (keyof Backup)[];
  const wrong = fields.filter((field) => !CHECKS[field](value[field]));
  return wrong.length > 0 ? `it has no usable ${wrong.join(', ')}` : (value as unknown as Backup);
}

/** null when the text says nothing of use: the backup counts as not verified. */
export function parseVerification(text: string): Verification | null {
  const value = parseObject<Verification>(text);
  if (value === null || !isMoment(value.at) || !isTextOrNull(value.problem)) return null;
  return value as unknown as Verification;
}

function isWal(value: unknown): boolean {
  const { timeline, startLsn, stopLsn } = (value ?? {}) as Raw<BackupWal>;
  return isCount(timeline) && isLsn(startLsn) && isLsn(stopLsn);
}

function isLsn(value: unknown): boolean {
  try {
    return typeof value === 'string' && lsnBytes(value) >= 0n;
  } catch {
    return false;
  }
}

function parseObject<T>(text: string): Raw<T> | null {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? (value as Raw<T>) : null;
  } catch {
    return null;
  }
}
