/**
 * To which point a restore shall go (manual: "Recovery Target"). PostgreSQL stops at one of them,
 * and starts with none that is told twice; so exactly one must be said here, too.
 */
import { errorAt, quoted, type Finding } from '../findings';
import { isLsn, type Lsn } from '../lsn';

export type RecoveryTarget =
  /** As it was written, for PostgreSQL reads microseconds; and in milliseconds. */
  | { readonly kind: 'time'; readonly time: string; readonly atMs: number }
  | { readonly kind: 'lsn'; readonly lsn: Lsn }
  | { readonly kind: 'xid'; readonly xid: string }
  /** A restore point, made by `pg_create_restore_point`. */
  | { readonly kind: 'name'; readonly name: string }
  /** As soon as the data is consistent: the end of the backup. */
  | { readonly kind: 'immediate' }
  /** As far as there is WAL. */
  | { readonly kind: 'latest' };

/** What a user asks for. */
export interface RecoveryRequest {
  readonly target: RecoveryTarget;
  /** Stop just before the target, not just after it. */
  readonly exclusive: boolean;
  /** The one on whose way the target lies; `latest` is the one with the highest number. */
  readonly timeline: number | 'latest';
  /** Id of the backup to begin with; null leaves the choice to pgswarm. */
  readonly backup: string | null;
}

/** The same as the user writes it; the schema has seen to the types. */
export interface RecoveryDraft {
  readonly time?: string;
  readonly lsn?: string;
  readonly xid?: string | number;
  readonly name?: string;
  readonly immediate?: boolean;
  readonly latest?: boolean;
  readonly exclusive?: boolean;
  readonly timeline?: number | 'latest';
  readonly backup?: string;
}

export type ParsedRequest =
  | { readonly kind: 'value'; readonly value: RecoveryRequest }
  | { readonly kind: 'findings'; readonly findings: readonly Finding[] };

type Field = 'time' | 'lsn' | 'xid' | 'name' | 'immediate' | 'latest';

const FIELDS: readonly Field[] = ['time', 'lsn', 'xid', 'name', 'immediate', 'latest'];
/** With the others PostgreSQL has no choice (manual: `recovery_target_inclusive`). */
const EXCLUSIVE: readonly Field[] = ['time', 'lsn', 'xid'];

/** A time without a zone would be read in the server's, which may be another one than the user's. */
const TIME = /^(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d(?::\d\d(?:\.\d{1,6})?)?) ?(Z|[+-]\d\d(?::?\d\d)?)$/i;
/** Transaction ids below 3 are special ones (access/transam.h). */
const FIRST_XID = 3n;
const XID_END = 1n << 64n;
/** PostgreSQL's own limit, and what a line of postgresql.conf can say. */
const NAME_BYTES_MAX = 63;

/** The request; or everything that is wrong with it, with paths below `path`. */
export function parseRequest(draft: RecoveryDraft, path: string): ParsedRequest {
  const given = FIELDS.filter((field) => draft[field] !== undefined && draft[field] !== false);
  const [field] = given;
  if (field === undefined || given.length > 1) {
    return { kind: 'findings', findings: [notOne(given, path), ...checkTimeline(draft, path)] };
  }
  const target = parseTarget(field, draft);
  const findings = [
    ...('message' in target ? [errorAt(`${path}.${field}`, target.message, target.hint)] : []),
    ...checkExclusive(draft, field, path),
    ...checkTimeline(draft, path),
  ];
  if ('message' in target || findings.length > 0) return { kind: 'findings', findings };
  const { exclusive = false, timeline = 'latest', backup = null } = draft;
  return { kind: 'value', value: { target, exclusive, timeline, backup } };
}

/** For a sentence: `the restore point "before-migration"`. */
export function describeTarget(target: RecoveryTarget): string {
  switch (target.kind) {
    case 'time':
      return `the time ${target.time}`;
    case 'lsn':
      return `the position ${target.lsn}`;
    case 'xid':
      return `transaction ${target.xid}`;
    case 'name':
      return `the restore point ${quoted(target.name)}`;
    case 'immediate':
      return 'the end of a backup';
    case 'latest':
      return 'the end of the WAL';
  }
}

interface Problem {
  readonly message: string;
  readonly hint: string;
}

function notOne(given: readonly Field[], path: string): Finding {
  const said = given.length === 0 ? 'none is' : `${given.join(' and ')} are`;
  const message = `a restore has exactly one target, and ${said} given`;
  const hint = 'give one of time, lsn, xid, name, immediate: true, or latest: true for all WAL';
  return errorAt(path, message, hint);
}

function parseTarget(field: Field, draft: RecoveryDraft): RecoveryTarget | Problem {
  switch (field) {
    case 'time':
      return parseTime(draft.time ?? '');
    case 'lsn':
      return parseLsn(draft.lsn ?? '');
    case 'xid':
      return parseXid(String(draft.xid ?? ''));
    case 'name':
      return parseName(draft.name ?? '');
    case 'immediate':
    case 'latest':
      return { kind: field };
  }
}

function parseTime(time: string): RecoveryTarget | Problem {
  const [, date = '', clock = '', zone = ''] = TIME.exec(time) ?? [];
  const minutes = zone.length === 3 ? `${zone}:00` : zone.replace(/^(.\d\d)(\d\d)$/, '$1:$2');
  const atMs = Date.parse(`${date}T${clock}${minutes.toUpperCase()}`);
  if (!Number.isNaN(atMs) && isDate(date)) return { kind: 'time', time, atMs };
  const hint = 'write date, time and zone: 2026-11-21 17:14:59+01, or 2026-11-21T16:14:59Z';
  return { message: `${quoted(time)} is not a time with a time zone`, hint };
}

/** JavaScript would take the 30th of February for the 2nd of March. */
const isDate = (date: string): boolean =>
  new Date(`${date}T00:00:00Z`).toISOString().startsWith(date);

function parseLsn(lsn: string): RecoveryTarget | Problem {
  if (isLsn(lsn)) return { kind: 'lsn', lsn };
  const hint = 'write it as pg_current_wal_lsn() shows it: 0/3000060';
  return { message: `${quoted(lsn)} is not a WAL position`, hint };
}

function parseXid(xid: string): RecoveryTarget | Problem {
  const isXid = /^\d{1,20}$/.test(xid) && BigInt(xid) >= FIRST_XID && BigInt(xid) < XID_END;
  if (isXid) return { kind: 'xid', xid };
  const hint = 'write the number that pg_current_xact_id() showed: 745';
  return { message: `${quoted(xid)} is not the id of a transaction`, hint };
}

function parseName(name: string): RecoveryTarget | Problem {
  const { length } = new TextEncoder().encode(name);
  const isName = length > 0 && length <= NAME_BYTES_MAX && !/\p{Cc}/u.test(name);
  if (isName) return { kind: 'name', name };
  const message = `a restore point's name has 1 to ${NAME_BYTES_MAX} bytes on one line`;
  return { message, hint: 'write the name that was given to pg_create_restore_point()' };
}

function checkExclusive({ exclusive }: RecoveryDraft, field: Field, path: string): Finding[] {
  if (exclusive !== true || EXCLUSIVE.includes(field)) return [];
  const message = `a restore to ${field} has nothing to leave out`;
  const hint = 'remove exclusive; it is for the targets time, lsn and xid';
  return [errorAt(`${path}.exclusive`, message, hint)];
}

function checkTimeline({ timeline = 'latest' }: RecoveryDraft, path: string): Finding[] {
  if (timeline === 'latest') return [];
  if (Number.isInteger(timeline) && timeline >= 1 && timeline <= 0xffffffff) return [];
  const message = `${timeline} is not a timeline`;
  return [errorAt(`${path}.timeline`, message, 'write latest, or a number from 1 on')];
}
