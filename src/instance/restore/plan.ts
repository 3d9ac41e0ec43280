/** How a target is reached from what this server has: or why it cannot be, before anything is done. */
import { baseBackupsOf } from '../../core/archive/backups';
import { chooseBackup, type RestoreRequest } from '../../core/archive/choose-backup';
import { OperatingError } from '../../core/errors';
import { type Lsn } from '../../core/lsn';
import { describeTarget, type RestoreTarget } from '../../core/restore/target';
import { type Archive } from '../archive/archive';
import { type RecoveryWal } from '../archive/recovery-source';
import { type BackupCatalogue } from '../backup/catalogue';

export interface RestorePlan {
  /**
   * Ids of the backups to begin with, in this order: where a transaction or a restore point is nobody
   * knows, so an older one is tried when recovery ended before it.
   */
  readonly backups: readonly string[];
  /** On a timeline by its number: see `newestLineage`. */
  readonly target: RestoreTarget & { readonly timeline: number };
  /** What recovery may read. */
  readonly wal: RecoveryWal;
  /** Up to here there is WAL, perhaps with holes; what is lacking, recovery takes for the end. */
  readonly walEndsAtLsn: Lsn | null;
  /** What recovery alone can find out; null when nothing speaks against it. */
  readonly caveat: string | null;
}

export interface RestoreSources {
  readonly archive: Pick<Archive, 'contents'>;
  readonly catalogue: Pick<BackupCatalogue, 'list'>;
}

/** Throws `TargetUnreachable`, with what can be reached instead. */
export async function planRestore(
  request: RestoreRequest,
  { archive, catalogue }: RestoreSources,
): Promise<RestorePlan> {
  const { target } = request;
  const [contents, { backups }] = [await archive.contents(), await catalogue.list()];
  if (contents === null) {
    const message = 'the instance manager does not know its database yet: try again';
    throw new OperatingError('transient', 'NoDatabase', message);
  }
  const choice = chooseBackup(request, { ...contents, backups: baseBackupsOf(backups) });
  if (choice.kind === 'refused') {
    const message = `restoring to ${describeTarget(target)}: ${choice.because}`;
    throw new OperatingError('refused', 'TargetUnreachable', message);
  }
  const { backup, older, timeline, segments, walEndsAtLsn, caveat } = choice;
  const { segmentBytes, histories } = contents;
  const wal = { segmentBytes, segments, histories };
  const ids = [backup, ...older].map(({ id }) => id);
  return { backups: ids, target: { ...target, timeline }, wal, walEndsAtLsn, caveat };
}
