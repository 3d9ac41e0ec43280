/**
 * What a server throws away of its archive volume: backups that no rule wants, then the
 * WAL that no backup needs that is there still. What is damaged counts for no rule, and ages out like
 * what cannot be used for another reason.
 */
import { baseBackupsOf, isUsable, reachOf, type ArchiveContents } from '../archive/backups';
import { retain, type BackupVerdict } from '../archive/retention';
import { segmentAt } from '../archive/wal-files';
import { walMayGo, type WalVerdict } from '../archive/wal-retention';
import { type Lsn } from '../lsn';
import { formatDuration } from '../quantities';
import { type RetentionSpec } from '../spec';
import { newestLineage, type Histories } from '../timelines';
import { isOfDataDirectory } from './backup';
import { type BackupSummary } from './task';

export interface KeptArchive extends Omit<ArchiveContents, 'backups'> {
  readonly histories: Histories;
  readonly backups: readonly BackupSummary[];
}

export const hasRules = ({ keep, maxAgeMs }: RetentionSpec): boolean =>
  keep !== null || maxAgeMs !== null;

/** For every backup whether it stays, and why; `inUse`: ids of those that are read just now. */
export function backupVerdicts(
  archive: KeptArchive,
  inUse: readonly string[],
  { rules, nowMs }: { readonly rules: RetentionSpec; readonly nowMs: number },
): readonly BackupVerdict[] {
  const base = retain(
    { ...retained(archive), inUse },
    { ...rules, walWithoutBackup: 'keep' },
    nowMs,
  ).backups;
  const dumps = dumpVerdicts(archive.backups, rules, nowMs);
  const judged = [...base, ...dumps];
  return archive.backups.map((backup): BackupVerdict => {
    const { id } = backup;
    const verdict =
      judged.find((each) => each.id === id) ?? judgeUncounted(backup, archive, judged);
    const isRead = verdict.verdict === 'delete' && inUse.includes(id);
    return isRead ? { id, verdict: 'keep', because: 'it is in use' } : verdict;
  });
}

/**
 * Below which segment WAL may go: every backup that is there counts, also one that is to go. While
 * there is none, all WAL stays; and so does what the server itself has not replayed yet.
 */
export function walFloors(archive: KeptArchive, replayedLsn: Lsn | null): readonly WalVerdict[] {
  const contents = retained(archive);
  const reach = reachOf(contents, newestLineage(archive.histories));
  const isAnyUsable = reach.some(isUsable);
  const verdicts = walMayGo(contents, { kept: contents.backups, isAnyUsable, maxAgeMs: null });
  if (replayedLsn === null) return verdicts;
  const needed = segmentAt(replayedLsn, archive.segmentBytes);
  const because = `this server has replayed WAL up to ${replayedLsn} only`;
  return verdicts.map((each) => (each.below > needed ? { ...each, below: needed, because } : each));
}

const retained = (archive: KeptArchive): Parameters<typeof walMayGo>[0] => ({
  ...archive,
  backups: baseBackupsOf(archive.backups),
  young: [],
});

const isSound = ({ verification }: BackupSummary): boolean => verification?.problem == null;
const endMs = ({ stoppedAt }: BackupSummary): number => Date.parse(stoppedAt);

/** Nothing is replayed upon a dump: its own age counts. */
function dumpVerdicts(
  backups: readonly BackupSummary[],
  rules: RetentionSpec,
  nowMs: number,
): readonly BackupVerdict[] {
  return backups
    .filter((backup) => backup.method === 'dump' && isSound(backup))
    .toSorted((a, b) => endMs(b) - endMs(a))
    .map((dump, index) => {
      const because = whyKept(dump, index, { ...rules, nowMs });
      return because === null
        ? { id: dump.id, verdict: 'delete', because: 'younger dumps stay, as many as are wanted' }
        : { id: dump.id, verdict: 'keep', because };
    });
}

function whyKept(
  dump: BackupSummary,
  index: number,
  { keep, maxAgeMs, nowMs }: RetentionSpec & { readonly nowMs: number },
): string | null {
  if (index === 0) return 'it is the newest dump';
  if (keep === null && maxAgeMs === null) return 'no rule says when backups go';
  if (keep !== null && index < keep) return `it is one of the newest ${keep} dumps`;
  return maxAgeMs !== null && endMs(dump) > nowMs - maxAgeMs
    ? `it is younger than ${formatDuration(maxAgeMs)}`
    : null;
}

/** A damaged one may be the last trace of something: it stays until all that is kept is younger. */
function judgeUncounted(
  backup: BackupSummary,
  { backups }: KeptArchive,
  judged: readonly BackupVerdict[],
): BackupVerdict {
  const { id, method } = backup;
  const staying = backups.filter(
    (each) =>
      isOfDataDirectory(each.method) === isOfDataDirectory(method) &&
      judged.some((verdict) => verdict.id === each.id && verdict.verdict === 'keep'),
  );
  const isOldest = staying.length > 0 && staying.every((each) => endMs(each) > endMs(backup));
  const hasIncrements = backups.some(({ parent }) => parent === id);
  return isOldest && !hasIncrements
    ? { id, verdict: 'delete', because: 'it is damaged, and older than all that stay' }
    : { id, verdict: 'keep', because: 'it counts for no rule' };
}
