/**
 * The point to which a database is restored: what the user writes, checked and put into one form, and
 * what PostgreSQL is told (manual: "Recovery Target"). Exactly one point is named. Without any,
 * PostgreSQL replays whatever there is; that is only done when it is asked for, as `latest`.
 */
import { errorAt, fieldPath, quoted, type Finding } from '../findings';
import { formatLsn, lsnBytes, type Lsn } from '../lsn';

/** As in a `Restore` document, and as the options of the command line. */
export interface TargetDocument {
  readonly time?: string | undefined;
  readonly lsn?: string | undefined;
  readonly xid?: string | number | undefined;
  readonly name?: string | undefined;
  readonly immediate?: boolean | undefined;
  readonly latest?: boolean | undefined;
  readonly exclusive?: boolean | undefined;
  readonly timeline?: string | number | undefined;
  readonly action?: string | undefined;
}

export type RestorePoint =
  /** ISO 8601 in UTC, with all the digits that the user wrote: PostgreSQL counts microseconds. */
  | { readonly kind: 'time'; readonly time: string }
  | { readonly kind: 'lsn'; readonly lsn: Lsn }
  | { readonly kind: 'xid'; readonly xid: string }
  /** Of a restore point, made by `pg_create_restore_point()`. */
  | { readonly kind: 'name'; readonly name: string }
  /** The first point at which the backup is consistent. */
  | { readonly kind: 'immediate' }
  /** The end of the WAL that there is. */
  | { readonly kind: 'latest' };

/**
 * `latest`: of all timelines of the archive that come from the backup's, the one with the highest
 * number; `current`: the one on which the backup was taken.
 */
export type TargetTimeline = 'latest' | 'current' | number;

/** What happens at the point. PostgreSQL pauses only where it can answer queries meanwhile. */
export type TargetAction = (typeof ACTIONS)[number];

export interface RestoreTarget {
  readonly point: RestorePoint;
  /** Stop just before the point instead of just after it. */
  readonly isExclusive: boolean;
  readonly timeline: TargetTimeline;
  readonly action: TargetAction;
}

export type ParsedTarget =
  | { readonly kind: 'target'; readonly target: RestoreTarget }
  | { readonly kind: 'findings'; readonly findings: readonly Finding[] };

const POINTS = ['time', 'lsn', 'xid', 'name', 'immediate', 'latest'] as const;
const ACTIONS = ['promote', 'pause', 'shutdown'] as const;
/** Where `recovery_target_inclusive` counts (manual: "Recovery Target"). */
const WITH_EXCLUSIVE: readonly string[] = ['time', 'lsn', 'xid'];
const CHOICE = `name one of ${POINTS.join(', ')}`;
const EXAMPLE_TIME = '2026-11-21T17:14:59Z';

/** The target, or everything that is wrong with it. `at` is its place in the document. */
export function parseTarget(document: TargetDocument, at = 'spec.target'): ParsedTarget {
  const given = POINTS.filter((name) => document[name] !== undefined);
  const points = given.map((name) => parsePoint(name, document, fieldPath(at, name)));
  const timeline = parseTimeline(document.timeline, fieldPath(at, 'timeline'));
  const action = parseAction(document, given, fieldPath(at, 'action'));
  const parts = [...points, timeline, action];
  const findings = [
    ...checkNumber(given, at),
    ...checkExclusive(document, given, fieldPath(at, 'exclusive')),
    ...parts.flatMap((part) => (isFinding(part) ? [part] : [])),
  ];
  const [point] = points;
  if (findings.length > 0 || point === undefined) return { kind: 'findings', findings };
  if (isFinding(point) || isFinding(timeline) || isFinding(action)) {
    return { kind: 'findings', findings };
  }
  const isExclusive = document.exclusive ?? false;
  return { kind: 'target', target: { point, isExclusive, timeline, action } };
}

/** The settings that make PostgreSQL stop there; in effect with `recovery.signal` only. */
export function targetParameters(target: RestoreTarget): Readonly<Record<string, string>> {
  const { point, isExclusive, timeline, action } = target;
  return {
    ...pointParameters(point),
    ...(WITH_EXCLUSIVE.includes(point.kind)
      ? { recovery_target_inclusive: isExclusive ? 'off' : 'on' }
      : {}),
    recovery_target_timeline: String(timeline),
    // Without a point PostgreSQL knows no action: at the end of the WAL it becomes primary.
    ...(point.kind === 'latest' ? {} : { recovery_target_action: action }),
  };
}

/** For people, to go on from `restored to …`: `just before transaction 731`. */
export function describeTarget({ point, isExclusive, timeline }: RestoreTarget): string {
  const side = isExclusive ? 'just before ' : '';
  const way = typeof timeline === 'number' ? ` on timeline ${timeline}` : '';
  switch (point.kind) {
    case 'time':
      return `${side}${point.time}${way}`;
    case 'lsn':
      return `${side}WAL position ${point.lsn}${way}`;
    case 'xid':
      return `${side}transaction ${point.xid}${way}`;
    case 'name':
      return `restore point ${quoted(point.name)}${way}`;
    case 'immediate':
      return `the end of the backup${way}`;
    case 'latest':
      return `the end of the WAL${way}`;
  }
}

function pointParameters(point: RestorePoint): Readonly<Record<string, string>> {
  switch (point.kind) {
    case 'time':
      // It reads this before it knows any zone by name: not even Z.
      return { recovery_target_time: point.time.replace('T', ' ').replace('Z', '+00') };
    case 'lsn':
      return { recovery_target_lsn: point.lsn };
    case 'xid':
      return { recovery_target_xid: point.xid };
    case 'name':
      return { recovery_target_name: point.name };
    case 'immediate':
      return { recovery_target: 'immediate' };
    case 'latest':
      return {};
  }
}

// ── points ───────────────────────────────────────────────────────────────────────────────────

type PointName = (typeof POINTS)[number];

function checkNumber(given: readonly PointName[], at: string): Finding[] {
  if (given.length === 1) return [];
  if (given.length === 0) return [errorAt(at, 'it does not say to which point', CHOICE)];
  const message = `it names ${given.length} points: ${given.join(', ')}`;
  return [errorAt(at, message, 'leave one of them: PostgreSQL stops at one point')];
}

function parsePoint(name: PointName, document: TargetDocument, at: string): RestorePoint | Finding {
  switch (name) {
    case 'time':
      return parseTime(document.time ?? '', at);
    case 'lsn':
      return parsePosition(document.lsn ?? '', at);
    case 'xid':
      return parseXid(document.xid ?? '', at);
    case 'name':
      return parseName(document.name ?? '', at);
    case 'immediate':
    case 'latest':
      if (document[name] === true) return { kind: name };
      return errorAt(at, `${name} can only be true`, `write true, or leave it away and ${CHOICE}`);
  }
}

const TIME =
  /^(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d)(?::(\d\d)(?:[.,](\d+))?)?\s?(Z|[+-]\d\d(?::?\d\d)?)?$/i;
/** PostgreSQL would round a longer fraction, perhaps past the commit that is meant. */
const FRACTION_DIGITS_MAX = 6;

function parseTime(text: string, at: string): RestorePoint | Finding {
  const [, date, time, seconds = '00', fraction = '', zone] = TIME.exec(text.trim()) ?? [];
  const write = `write date, time and zone as in ISO 8601: ${EXAMPLE_TIME}`;
  if (date === undefined || time === undefined) {
    return errorAt(at, `${quoted(text)} is not a time`, write);
  }
  if (zone === undefined) {
    const message = `${quoted(text)} has no time zone: nobody can know which moment is meant`;
    return errorAt(at, message, `add Z for UTC, or the distance from it: ${date}T${time}+02:00`);
  }
  if (fraction.length > FRACTION_DIGITS_MAX) {
    const message = `${quoted(text)} is finer than PostgreSQL counts`;
    return errorAt(at, message, 'write at most six digits of a second: microseconds');
  }
  const moment = momentOf(`${date}T${time}:${seconds}`, zone);
  if (moment === null) return errorAt(at, `there is no time ${quoted(text)}`, write);
  // Zones shift by whole minutes: the fraction stays as it was written.
  return { kind: 'time', time: `${moment}${fraction === '' ? '' : `.${fraction}`}Z` };
}

/** The moment in UTC, without fraction and zone; null when the calendar does not have it. */
function momentOf(local: string, zone: string): string | null {
  const asIfUtc = new Date(`${local}Z`);
  if (Number.isNaN(asIfUtc.getTime()) || asIfUtc.toISOString().slice(0, 19) !== local) return null;
  const [, sign, hours, minutes = '0'] = /^([+-])(\d\d):?(\d\d)?$/.exec(zone) ?? [];
  // PostgreSQL knows no zone that is further away.
  if (Number(hours ?? 0) > 15 || Number(minutes) > 59) return null;
  const eastMinutes = (sign === '-' ? -1 : 1) * (Number(hours ?? 0) * 60 + Number(minutes));
  return new Date(asIfUtc.getTime() - eastMinutes * 60_000).toISOString().slice(0, 19);
}

function parsePosition(text: string, at: string): RestorePoint | Finding {
  try {
    return { kind: 'lsn', lsn: formatLsn(lsnBytes(text.trim())) };
  } catch {
    const hint = 'write it as pg_current_wal_lsn() does: 0/3000060';
    return errorAt(at, `${quoted(text)} is not a WAL position`, hint);
  }
}

/** Below are the ids of what PostgreSQL itself does (access/transam.h, `FirstNormalTransactionId`). */
const XID_MIN = 3n;
const XID_MAX = 2n ** 64n - 1n;
const EPOCH = 2n ** 32n;

function parseXid(given: string | number, at: string): RestorePoint | Finding {
  const text = String(given).trim();
  const hint = 'write the number that pg_current_xact_id() or pg_waldump shows: 731';
  if (typeof given === 'number' && !Number.isSafeInteger(given)) {
    return errorAt(at, `${text} is not a transaction id`, `${hint}; a long one between quotes`);
  }
  // WAL holds the lower half alone, and so does PostgreSQL compare. A zero in front would make it
  // read the number as octal.
  const isNumber = /^\d{1,20}$/.test(text) && BigInt(text) <= XID_MAX;
  const xid = isNumber ? BigInt(text) % EPOCH : 0n;
  if (xid < XID_MIN) return errorAt(at, `${quoted(text)} is not a transaction id`, hint);
  return { kind: 'xid', xid: String(xid) };
}

/** `MAXFNAMELEN` without its end (access/xlog_internal.h). */
const NAME_BYTES_MAX = 63;

function parseName(name: string, at: string): RestorePoint | Finding {
  const bytes = new TextEncoder().encode(name).length;
  if (bytes >= 1 && bytes <= NAME_BYTES_MAX) return { kind: 'name', name };
  const message =
    bytes === 0 ? 'the name is empty' : `a restore point has no name of ${bytes} bytes`;
  const hint = `write the name as it was given to pg_create_restore_point(): up to ${NAME_BYTES_MAX} bytes`;
  return errorAt(at, message, hint);
}

// ── how ──────────────────────────────────────────────────────────────────────────────────────

function checkExclusive(
  { exclusive }: TargetDocument,
  given: readonly PointName[],
  at: string,
): Finding[] {
  const [point] = given;
  if (
    exclusive !== true ||
    point === undefined ||
    given.some((name) => WITH_EXCLUSIVE.includes(name))
  ) {
    return [];
  }
  const message = `exclusive means nothing with ${point}`;
  return [errorAt(at, message, `leave it away; it goes with ${WITH_EXCLUSIVE.join(', ')}`)];
}

const TIMELINE_MAX = 2 ** 32 - 1;

function parseTimeline(given: string | number = 'latest', at: string): TargetTimeline | Finding {
  if (given === 'latest' || given === 'current') return given;
  const number = /^\d{1,10}$/.test(String(given)) ? Number(given) : 0;
  if (number >= 1 && number <= TIMELINE_MAX) return number;
  const hint = 'write latest, current, or the number of a timeline: 2';
  return errorAt(at, `${quoted(String(given))} is not a timeline`, hint);
}

function parseAction(
  { action }: TargetDocument,
  given: readonly PointName[],
  at: string,
): TargetAction | Finding {
  const isLatest = given.includes('latest');
  // Whoever names a point wants to look first: PostgreSQL's own default, too.
  const wanted = action ?? (isLatest ? 'promote' : 'pause');
  const known = ACTIONS.find((each) => each === wanted);
  if (known === undefined) {
    return errorAt(at, `there is no action ${quoted(wanted)}`, `write ${ACTIONS.join(', ')}`);
  }
  if (!isLatest || known === 'promote') return known;
  const message = `PostgreSQL cannot ${known} at latest: at the end of the WAL it is promoted`;
  return errorAt(at, message, 'write promote, or name the point that is meant');
}

const isFinding = (part: object | string | number): part is Finding =>
  typeof part === 'object' && 'severity' in part;
