/**
 * Compares a backup with the manifest that was made of it, and reads the WAL in it (manual:
 * "pg_verifybackup"). PostgreSQL 17 verifies directories only: what is packed is unpacked first.
 */
import { join } from 'node:path';
import { runProgram } from '../../adapters/postgres/programs';
import { isOfDataDirectory, type Verification } from '../../core/backup/backup';
import { messageOf, OperatingError } from '../../core/errors';
import { DATA, type BackupCatalogue, type StoredBackup } from './catalogue';
import { complaintsOf, explainBackupFailure } from './failures';
import { hashFiles } from './list-files';
import { requireRoom } from './room';
import { unpackedBytes, unpackFiles } from './unpack';

export interface VerifyOptions {
  readonly catalogue: BackupCatalogue;
  /** Empty: PostgreSQL's programs are found in PATH. */
  readonly binDirectory: string;
  readonly signal: AbortSignal;
}

const COMPLAINTS_MAX = 1000;

/**
 * Says what is wrong with a backup, and keeps the result beside it. Throws when nothing could be
 * found out: that says nothing about the backup.
 */
export async function verifyBackup(id: string, options: VerifyOptions): Promise<Verification> {
  const { catalogue, signal } = options;
  const lease = await catalogue.lease(id);
  try {
    const [stored] = lease.chain;
    if (stored === undefined) throw new Error('a lease without a backup');
    const problem = (await findDamage(stored, options)) ?? (await findProblem(stored, options));
    const verification = { at: new Date().toISOString(), problem };
    await catalogue.noteVerification(id, verification);
    return verification;
  } catch (error) {
    signal.throwIfAborted();
    throw explainBackupFailure(error, `checking backup ${id}`);
  } finally {
    lease.release();
  }
}

/** The manifest speaks of what is in the packed files; whether those are as written, the list. */
async function findDamage(
  { backup, directory }: StoredBackup,
  { catalogue, signal }: VerifyOptions,
): Promise<string | null> {
  if (isOfDataDirectory(backup.method) && backup.format === 'plain') return null;
  const { files } = await catalogue.listOf(backup.id);
  for (const { path, sha256 } of files) {
    try {
      const found = (await hashFiles(directory, [path], signal)).get(path);
      if (found?.sha256 !== sha256) return `${path} is not what was written`;
    } catch (error) {
      signal.throwIfAborted();
      return `${path} cannot be read: ${messageOf(error)}`;
    }
  }
  return null;
}

async function findProblem(stored: StoredBackup, options: VerifyOptions): Promise<string | null> {
  const { backup, directory } = stored;
  if (!isOfDataDirectory(backup.method)) return null;
  if (backup.format === 'plain') return await compareWithManifest(join(directory, DATA), options);
  const { catalogue } = options;
  await requireRoom(catalogue.directory, {
    what: `unpacking backup ${backup.id} to check it`,
    where: 'the archive volume',
    bytes: await unpackedBytes(stored),
    advice: 'Make the volume larger, or let go of old backups',
  });
  return await catalogue.within('verify', backup.id, async (into) => {
    await unpackFiles(stored, into, options);
    return await compareWithManifest(into, options);
  });
}

/** In the words of pg_verifybackup; null when everything is as it was. */
export async function compareWithManifest(
  directory: string,
  { binDirectory, signal }: Pick<VerifyOptions, 'binDirectory' | 'signal'>,
): Promise<string | null> {
  try {
    await runProgram('pg_verifybackup', ['--quiet', directory], { binDirectory, signal });
    return null;
  } catch (error) {
    const isAnswer = error instanceof OperatingError && /^pg_\w+: /.test(error.message);
    if (!isAnswer || signal.aborted) throw error;
    return complaintsOf(error.message).slice(0, COMPLAINTS_MAX);
  }
}
