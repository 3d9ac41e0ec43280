/** How pg_dump and pg_restore are asked (manual: same titles). */
import { type Compression } from '../spec';

export interface DumpPlan {
  readonly directory: string;
  readonly database: string;
  readonly jobs: number;
  readonly compression: Compression;
  readonly majorVersion: number;
}

/** Before version 16 pg_dump knew gzip only. */
const METHODS_SINCE = 16;
const METHODS: Readonly<Record<Compression, string>> = {
  zstd: 'zstd:1',
  lz4: 'lz4',
  gzip: 'gzip:1',
  none: 'none',
};

/** What a dump is really compressed with. */
export const dumpCompression = (wanted: Compression, majorVersion: number): Compression =>
  majorVersion >= METHODS_SINCE || wanted === 'none' ? wanted : 'gzip';

export const dumpArguments = (plan: DumpPlan): readonly string[] => [
  '--format=directory',
  `--file=${plan.directory}`,
  `--jobs=${plan.jobs}`,
  `--compress=${compressionOf(plan)}`,
  // As a connection string, so that no character in a name means anything else.
  `--dbname=dbname=${quote(plan.database)}`,
];

/** From `template1`, which is never restored: makes the database, which must not exist. */
export const restoreArguments = (directory: string, jobs: number): readonly string[] => [
  '--dbname=template1',
  '--create',
  '--exit-on-error',
  `--jobs=${jobs}`,
  directory,
];

function compressionOf({ compression, majorVersion }: DumpPlan): string {
  if (majorVersion >= METHODS_SINCE) return METHODS[compression];
  return compression === 'none' ? '0' : '1';
}

/** Manual: "Keyword/Value Connection Strings". */
const quote = (name: string): string => `'${name.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`;
