/**
 * What an archive may throw away. A backup goes when no rule wants it and nothing depends on it;
 * WAL goes when no backup that stays begins before it. What cannot be judged stays.
 *
 * Backups count while they are usable on the way to the newest timeline. One that is not, for a
 * segment is missing or its timeline was abandoned, may be wanted yet: the segment may come from a
 * peer, the restore may be undone. It stays as long as an older one that counts does.
 */
import { formatDuration } from '../quantities';
import { newestLineage } from '../timelines';
import { chainOf, isUsable, reachOf, type BackupReach, type BaseBackup } from './backups';
import { walMayGo, type RetainedArchive, type WalVerdict } from './wal-retention';

export interface RetentionRules {
  /** So many usable backups, the newest; null when their number does not matter. */
  readonly keep: number | null;
  /** Every point since then stays reachable; null when age does not matter. */
  readonly maxAgeMs: number | null;
  /** Whether old WAL goes while there is no backup at all, with which alone it could be used. */
  readonly walWithoutBackup: 'keep' | 'expire';
}

export interface RetainedBackups extends RetainedArchive {
  /** Ids of those that are being restored from. */
  readonly inUse: readonly string[];
}

export interface Retention {
  /** In the order of their ends. */
  readonly backups: readonly BackupVerdict[];
  /** For every timeline of which there is WAL. */
  readonly wal: readonly WalVerdict[];
}

export interface BackupVerdict {
  readonly id: string;
  readonly verdict: 'keep' | 'delete';
  readonly because: string;
}

/**
 * What stays and what may go, each with its reason. What is thrown away goes in that order: a backup
 * first, then the WAL that it needed, so that whatever is seen in between is true.
 */
export function retain(archive: RetainedBackups, rules: RetentionRules, nowMs: number): Retention {
  const reach = reachOf(archive, newestLineage(archive.histories));
  const verdicts = reach.map((each) => {
    const isInUse = archive.inUse.includes(each.backup.id);
    if (isInUse) return kept(each.backup, 'it is being restored from');
    return isUsable(each)
      ? judgeUsable(each.backup, reach, { rules, nowMs })
      : judgeUnusable(each, reach, { rules, nowMs });
  });
  const backups = withChains(verdicts, archive.backups);
  const { maxAgeMs, walWithoutBackup } = rules;
  const wal = walMayGo(archive, {
    kept: staying(archive.backups, backups),
    isAnyUsable: reach.some(isUsable),
    maxAgeMs: walWithoutBackup === 'expire' ? maxAgeMs : null,
  });
  return { backups, wal };
}

interface Occasion {
  readonly rules: RetentionRules;
  readonly nowMs: number;
}

function judgeUsable(
  backup: BaseBackup,
  reach: readonly BackupReach[],
  { rules, nowMs }: Occasion,
): BackupVerdict {
  const { keep, maxAgeMs } = rules;
  const usable = reach.filter(isUsable).map((each) => each.backup);
  const [next, ...later] = usable.slice(usable.indexOf(backup) + 1);
  if (next === undefined) return kept(backup, 'it is the newest usable backup');
  if (keep === null && maxAgeMs === null) return kept(backup, NO_RULE);
  if (keep !== null && later.length + 1 < keep) {
    return kept(backup, `it is one of the newest ${keep} usable ones`);
  }
  if (maxAgeMs !== null) {
    const age = formatDuration(maxAgeMs);
    const isYoung = ({ stoppedAtMs }: BaseBackup): boolean => stoppedAtMs > nowMs - maxAgeMs;
    if (isYoung(backup)) return kept(backup, `it is younger than ${age}`);
    if (isYoung(next)) return kept(backup, `it alone leads to the points from ${age} ago on`);
  }
  return deleted(backup, whyUnwanted(rules));
}

function judgeUnusable(
  { backup, because }: Extract<BackupReach, { kind: 'unusable' }>,
  reach: readonly BackupReach[],
  occasion: Occasion,
): BackupVerdict {
  const { keep, maxAgeMs } = occasion.rules;
  if (keep === null && maxAgeMs === null) return kept(backup, NO_RULE);
  const oldest = reach
    .filter(isUsable)
    .find((each) => judgeUsable(each.backup, reach, occasion).verdict === 'keep');
  if (oldest === undefined) return kept(backup, `no backup is usable: ${because}`);
  return backup.stoppedAtMs > oldest.backup.stoppedAtMs
    ? kept(backup, `it may become usable yet: ${because}`)
    : deleted(backup, `it is older than every usable one that stays, and not usable: ${because}`);
}

/** What stays needs everything that it is an increment of. */
function withChains(
  verdicts: readonly BackupVerdict[],
  backups: readonly BaseBackup[],
): readonly BackupVerdict[] {
  const needing = staying(backups, verdicts);
  return verdicts.map((verdict) => {
    if (verdict.verdict === 'keep') return verdict;
    const child = needing.find((backup) =>
      chainOf(backup, backups).chain.some(({ id }) => id === verdict.id),
    );
    if (child === undefined) return verdict;
    return kept(verdict, `${child.id}, which stays, builds on it`);
  });
}

const staying = (
  backups: readonly BaseBackup[],
  verdicts: readonly BackupVerdict[],
): readonly BaseBackup[] =>
  backups.filter(({ id }) => verdicts.some((each) => each.id === id && each.verdict === 'keep'));

const NO_RULE = 'no rule says when backups go';

function whyUnwanted({ keep, maxAgeMs }: RetentionRules): string {
  const count = keep === null ? [] : [`the newest ${keep} usable ones stay without it`];
  const age =
    maxAgeMs === null ? [] : [`no point of the last ${formatDuration(maxAgeMs)} needs it`];
  return [...count, ...age].join(', and ');
}

const kept = ({ id }: { readonly id: string }, because: string): BackupVerdict => ({
  id,
  verdict: 'keep',
  because,
});

const deleted = ({ id }: BaseBackup, because: string): BackupVerdict => ({
  id,
  verdict: 'delete',
  because,
});
