/**
 * Which backup a restore begins with: the newest usable one that ends before the target, for it
 * needs the least WAL; every older one needs the same segments and more. Or why the target cannot be
 * reached, and what can.
 */
import { compareLsn, furthestLsn, type Lsn } from '../lsn';
import { newestLineage, lineageOf, isOnWay, type Histories } from '../timelines';
import { describeTarget, type RestoreTarget } from '../restore/target';
import {
  inOrder,
  isUsable,
  type ArchiveContents,
  type BaseBackup,
  type UsableBackup,
} from './backups';
import { describeRange, intersect, type Inventory } from './inventory';
import { segmentEnd } from './wal-files';
import { segmentsOnWay } from './way';
import { windowOf, type RecoveryWindow } from './window';

/** What a user asks for. */
export interface RestoreRequest {
  readonly target: RestoreTarget;
  /** Id of the backup to begin with; null leaves the choice to pgswarm. */
  readonly backup: string | null;
}

export interface RestorableArchive extends ArchiveContents {
  readonly histories: Histories;
  /** What else is known of when the WAL had come how far; the ends of backups are known anyway. */
  readonly milestones: readonly Milestone[];
}

/** At that time the WAL of a timeline had come at least to that position. */
export interface Milestone {
  readonly timeline: number;
  readonly lsn: Lsn;
  readonly atMs: number;
}

export type Choice =
  | {
      readonly kind: 'chosen';
      readonly backup: BaseBackup;
      /** Always a number for PostgreSQL: see `newestLineage`. */
      readonly timeline: number;
      /** What there is of the way to that timeline, perhaps with holes. */
      readonly segments: Inventory;
      /** Up to here there is WAL. */
      readonly walEndsAtLsn: Lsn | null;
      /** What recovery alone can find out; null when nothing speaks against it. */
      readonly caveat: string | null;
      /** Older ones, the newest first, to be tried when recovery ended before the target. */
      readonly older: readonly BaseBackup[];
    }
  | { readonly kind: 'refused'; readonly because: string };

/**
 * The backup to begin with.
 *
 * Where a transaction or a restore point is in the WAL nobody knows beforehand. The newest backup
 * is tried first; if the point came before the end of it, PostgreSQL reads on to the end of the WAL
 * and says "recovery ended before configured recovery target was reached", and the next older one
 * may lead there. Who knows better names the backup.
 *
 * `latest` means the highest number, so a target that lies on a timeline abandoned by an earlier
 * restore is found only by that timeline's number.
 */
export function chooseBackup(request: RestoreRequest, archive: RestorableArchive): Choice {
  const timeline = timelineOf(request, archive);
  const window = windowOf(archive, archive.histories, timeline);
  const usable = window.backups.filter(isUsable).toReversed();
  const before = usable.filter(({ backup }) => endsBefore(backup, request));
  const chosen =
    request.backup === null ? before[0] : before.find(({ backup }) => backup.id === request.backup);
  if (chosen === undefined) return refused(whyNone(request, window), window, archive);
  const verdict = judge(chosen, request, { archive, window });
  if (verdict.kind === 'unreachable') return refused(verdict.because, window, archive);
  const isSearched = request.backup === null && isUnknown(request);
  const older = isSearched ? before.slice(1).map(({ backup }) => backup) : [];
  const segments = segmentsTo(timeline, archive);
  const last = segments.at(-1);
  const end = last === undefined ? null : segmentEnd(last.to, archive.segmentBytes);
  const walEndsAtLsn = furthestLsn([end, chosen.untilLsn]);
  const { caveat } = verdict;
  return { kind: 'chosen', backup: chosen.backup, timeline, segments, walEndsAtLsn, caveat, older };
}

/** `current` is that of the backup; of the newest one, where none is named. */
function timelineOf({ target, backup: id }: RestoreRequest, archive: RestorableArchive): number {
  if (typeof target.timeline === 'number') return target.timeline;
  const newest = newestLineage(archive.histories).timeline;
  if (target.timeline === 'latest') return newest;
  const named = archive.backups.find((backup) => backup.id === id);
  return (named ?? inOrder(archive.backups).at(-1))?.timeline ?? newest;
}

function segmentsTo(to: number, archive: RestorableArchive): Inventory {
  const { histories, inventory, segmentBytes } = archive;
  const lineage = lineageOf(to, histories);
  return lineage === null ? [] : intersect(segmentsOnWay(lineage, segmentBytes), inventory);
}

/** PostgreSQL refuses "requested recovery stop point is before consistent recovery point". */
function endsBefore(backup: BaseBackup, { target }: RestoreRequest): boolean {
  const { point } = target;
  if (point.kind === 'time') return backup.stoppedAtMs <= Date.parse(point.time);
  return point.kind !== 'lsn' || compareLsn(backup.stopLsn, point.lsn) <= 0;
}

const isUnknown = ({ target }: RestoreRequest): boolean =>
  target.point.kind === 'xid' || target.point.kind === 'name';

function whyNone({ target, backup: id }: RestoreRequest, window: RecoveryWindow): string {
  const newest = window.backups.at(-1);
  if (newest === undefined) return 'there is no backup in the archive';
  const named = window.backups.find(({ backup }) => backup.id === id);
  if (id !== null && named === undefined) return `there is no backup ${id} in the archive`;
  if (named?.kind === 'unusable') return `${id ?? ''} cannot be used: ${named.because}`;
  if (named !== undefined) return `${named.backup.id} ends behind ${describeTarget(target)}`;
  if (window.earliest !== null) {
    return `${describeTarget(target)} is before the first usable backup`;
  }
  const because = newest.kind === 'unusable' ? newest.because : '';
  return `no backup leads to timeline ${window.timeline}; of the newest one: ${because}`;
}

type Verdict =
  | { readonly kind: 'reachable'; readonly caveat: string | null }
  | { readonly kind: 'unreachable'; readonly because: string };

interface Surroundings {
  readonly archive: RestorableArchive;
  readonly window: RecoveryWindow;
}

const reachable = (caveat: string | null = null): Verdict => ({ kind: 'reachable', caveat });

/** Whether replay comes to the target before it comes to a hole or the end. */
function judge(reach: UsableBackup, { target }: RestoreRequest, around: Surroundings): Verdict {
  const { untilLsn, hole } = reach;
  const { point } = target;
  const asked = describeTarget(target);
  const end = describeEnd(reach, around.archive);
  const unreachable = { kind: 'unreachable', because: `${asked} is not in reach: ${end}` } as const;
  switch (point.kind) {
    case 'immediate':
      return reachable();
    case 'latest':
      return reachable(hole === null ? null : end);
    case 'lsn':
      // PostgreSQL stops at a record that starts there or later, so there must be one.
      return compareLsn(point.lsn, untilLsn) < 0 ? reachable() : unreachable;
    case 'time':
      if (isBehind(Date.parse(point.time), untilLsn, around)) return unreachable;
      if (isBefore(Date.parse(point.time), untilLsn, around)) return reachable();
      return reachable(`whether ${asked} is in reach is not known: ${end}`);
    case 'xid':
    case 'name':
      return reachable(`whether ${asked} is in reach is not known: ${end}`);
  }
}

function describeEnd({ untilLsn, hole }: UsableBackup, { segmentBytes }: ArchiveContents): string {
  if (hole === null) return `the archive's WAL ends at ${untilLsn}`;
  return `replay ends at ${untilLsn}, where the archive lacks ${describeRange(hole, segmentBytes)}`;
}

/** Whether the WAL had surely come past a position by then. */
const isBehind = (atMs: number, lsn: Lsn, around: Surroundings): boolean =>
  milestonesOf(around).some((each) => each.atMs <= atMs && compareLsn(each.lsn, lsn) > 0);

/** Not as sure: what is noted late, or by a standby that lags, is behind what had been written. */
const isBefore = (atMs: number, lsn: Lsn, around: Surroundings): boolean =>
  milestonesOf(around).some((each) => each.atMs >= atMs && compareLsn(each.lsn, lsn) <= 0);

/** Those on the way, the ends of all backups among them. */
function milestonesOf({ archive, window }: Surroundings): readonly Milestone[] {
  const lineage = lineageOf(window.timeline, archive.histories);
  const ends = window.backups.map(({ backup: { timeline, stopLsn: lsn, stoppedAtMs: atMs } }) => ({
    timeline,
    lsn,
    atMs,
  }));
  return [...archive.milestones, ...ends].filter(
    (each) => lineage !== null && isOnWay(each, lineage),
  );
}

function refused(because: string, window: RecoveryWindow, archive: RestorableArchive): Choice {
  return { kind: 'refused', because: `${because}. ${describeWindow(window, archive)}` };
}

/** What is possible: from where, to where, and what is missing in between. */
export function describeWindow(
  { timeline, earliest, latestLsn, gaps }: RecoveryWindow,
  { segmentBytes }: ArchiveContents,
): string {
  if (earliest === null || latestLsn === null) {
    return `No point of timeline ${timeline} can be reached`;
  }
  const moment = (atMs: number): string => new Date(atMs).toISOString();
  const holes = gaps.map(
    ({ fromLsn, toLsn, toMs, hole }) =>
      `; between ${fromLsn} and ${toLsn} (${moment(toMs)}) there is a hole: ` +
      `the archive lacks ${describeRange(hole, segmentBytes)}`,
  );
  return (
    `On timeline ${timeline} the earliest point is ${earliest.lsn} (${moment(earliest.atMs)}), ` +
    `the last is ${latestLsn}${holes.join('')}`
  );
}
