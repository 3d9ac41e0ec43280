/**
 * The recovery window: to which points of a timeline the archive leads. Replay begins at a backup
 * and goes on as long as no segment is missing, so a hole hides what is behind it, up to the end of
 * the next backup.
 */
import { compareLsn, type Lsn } from '../lsn';
import { historyFile, lineageOf, type Histories } from '../timelines';
import {
  isUsable,
  reachOf,
  type ArchiveContents,
  type BackupReach,
  type UsableBackup,
} from './backups';
import { type SegmentRange } from './inventory';

export interface RecoveryWindow {
  readonly timeline: number;
  /** End of the oldest usable backup; null when there is no usable one. */
  readonly earliest: { readonly lsn: Lsn; readonly atMs: number } | null;
  /** End of the last segment that replay can come to. */
  readonly latestLsn: Lsn | null;
  /** Between the two: what no backup leads to. */
  readonly gaps: readonly WindowGap[];
  /** What keeps replay from going on at `latestLsn`; null when there is nothing behind it. */
  readonly hole: SegmentRange | null;
  /** Every backup, in the order of their ends. */
  readonly backups: readonly BackupReach[];
}

export interface WindowGap {
  readonly fromLsn: Lsn;
  /** End of the first backup behind the hole, and when it ended. */
  readonly toLsn: Lsn;
  readonly toMs: number;
  /** What is missing. */
  readonly hole: SegmentRange;
}

/** The window on the way to a timeline; over forks, segment by segment. */
export function windowOf(
  contents: ArchiveContents,
  histories: Histories,
  timeline: number,
): RecoveryWindow {
  const backups = reachOn(contents, histories, timeline);
  const usable = backups.filter(isUsable);
  const last = furthest(usable);
  const oldest = usable[0]?.backup;
  return {
    timeline,
    earliest: oldest === undefined ? null : { lsn: oldest.stopLsn, atMs: oldest.stoppedAtMs },
    latestLsn: last?.untilLsn ?? null,
    gaps: gapsOf(usable),
    hole: last?.hole ?? null,
    backups,
  };
}

/** Without the timeline's history nobody knows the way to it. */
function reachOn(
  contents: ArchiveContents,
  histories: Histories,
  timeline: number,
): readonly BackupReach[] {
  const lineage = lineageOf(timeline, histories);
  if (lineage !== null) return reachOf(contents, lineage);
  const because = `the way to timeline ${timeline} is not known: there is no ${historyFile(timeline)} in the archive`;
  return contents.backups.map((backup) => ({ kind: 'unusable', backup, because }));
}

/** They come in the order of their ends, so each one starts where the ones before may have got to. */
function gapsOf(usable: readonly UsableBackup[]): readonly WindowGap[] {
  return usable.flatMap(({ backup }, index): WindowGap[] => {
    const before = furthest(usable.slice(0, index));
    if (before === null || before.hole === null) return [];
    if (compareLsn(before.untilLsn, backup.stopLsn) >= 0) return [];
    const { untilLsn: fromLsn, hole } = before;
    return [{ fromLsn, toLsn: backup.stopLsn, toMs: backup.stoppedAtMs, hole }];
  });
}

/** The one that leads furthest. */
const furthest = (usable: readonly UsableBackup[]): UsableBackup | null =>
  usable.reduce<UsableBackup | null>(
    (far, each) => (far === null || compareLsn(each.untilLsn, far.untilLsn) > 0 ? each : far),
    null,
  );
