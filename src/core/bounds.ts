/** Which sizes and durations a spec may have. */
import type { SpecDraft } from './draft';
import { errorAt, type Finding } from './findings';
import { checkLease } from './lease';
import { formatDuration, parseDuration, parseSize, type Parsed } from './quantities';

const HOUR_MS = 3_600_000;

interface Range {
  readonly minMs: number;
  readonly maxMs: number;
  readonly tooShort: string;
  readonly tooLong: string;
  /** As the user writes it. */
  readonly usual: string;
}

/** Shorter than this nothing can be stopped and started; longer, and nobody would wait. */
const TIMEOUT: Range = {
  minMs: 1000,
  maxMs: 10 * 60_000,
  tooShort: 'no switchover can be done in so short a time',
  tooLong: 'writes would be stopped too long',
  usual: '10s',
};

const DELAY: Range = {
  minMs: 0,
  maxMs: HOUR_MS,
  tooShort: '',
  tooLong: 'a cluster without a primary would wait too long; `mode: manual` waits for a person',
  usual: '0s',
};

/** Shorter than this the role could move back before the old primary has settled. */
const FAILBACK_AFTER: Range = {
  minMs: 10_000,
  maxMs: 7 * 24 * HOUR_MS,
  tooShort: 'a server that has only just come back may be gone again in a moment',
  tooLong: 'nobody would expect the role to move by itself after so long a time',
  usual: '5m',
};

/** PostgreSQL's own `archive_timeout` goes up to 2^30 - 1 s; a day says nothing any more. */
const ARCHIVE_TIMEOUT: Range = {
  minMs: 1000,
  maxMs: 24 * HOUR_MS,
  tooShort: 'an almost empty segment every moment would fill the archive',
  tooLong: 'a loss of all servers would take everything since then with it',
  usual: '5m',
};

/** Shorter than this nobody could notice a mistake and go back behind it. */
const RETENTION_AGE: Range = {
  minMs: HOUR_MS,
  maxMs: 100 * 365 * 24 * HOUR_MS,
  tooShort: 'a mistake would be out of reach before anybody has noticed it',
  tooLong: 'that is for ever; leave `maxAge` out',
  usual: 'to keep everything',
};

/** PostgreSQL counts it in milliseconds up to 2^31 - 1 (manual: "recovery_min_apply_delay"). */
const APPLY_DELAY: Range = {
  minMs: 1000,
  maxMs: 24 * 24 * HOUR_MS,
  tooShort: 'nobody would notice a mistake in so short a time',
  tooLong: 'PostgreSQL cannot wait so long',
  usual: '0s',
};

/** Every quantity can be read and lies within its bounds. */
export function checkBounds({
  switchover,
  failover,
  archive,
  backup,
  servers,
}: SpecDraft): Finding[] {
  return [
    ...(servers ?? []).flatMap((server, index) =>
      checkDuration(
        `spec.servers[${index}].applyDelay`,
        server?.applyDelay,
        unlessZero(within(APPLY_DELAY)),
      ),
    ),
    ...checkQuantity('spec.switchover.maxLag', switchover?.maxLag, parseSize),
    ...checkDuration('spec.switchover.timeout', switchover?.timeout, within(TIMEOUT)),
    ...checkQuantity('spec.failover.maxLag', failover?.maxLag, parseSize),
    ...checkDuration('spec.failover.ttl', failover?.ttl, checkLease),
    ...checkDuration('spec.failover.delay', failover?.delay, within(DELAY)),
    ...checkDuration(
      'spec.failover.failbackAfter',
      failover?.failbackAfter,
      within(FAILBACK_AFTER),
    ),
    ...checkDuration('spec.archive.timeout', archive?.timeout, unlessZero(within(ARCHIVE_TIMEOUT))),
    ...checkDuration(
      'spec.backup.retention.maxAge',
      backup?.retention?.maxAge,
      within(RETENTION_AGE),
    ),
  ];
}

type Check = (at: string, value: number) => Finding[];

function checkQuantity(
  at: string,
  text: string | undefined,
  parse: (text: string) => Parsed,
  check: Check = () => [],
): Finding[] {
  if (text === undefined) return [];
  const parsed = parse(text);
  if (parsed.kind === 'problem') return [errorAt(at, parsed.message, parsed.hint)];
  return check(at, parsed.value);
}

const checkDuration = (at: string, text: string | undefined, check: Check): Finding[] =>
  checkQuantity(at, text, parseDuration, check);

const unlessZero =
  (check: Check): Check =>
  (at, value) =>
    value === 0 ? [] : check(at, value);

function within({ minMs, maxMs, tooShort, tooLong, usual }: Range): Check {
  const [least, most] = [formatDuration(minMs), formatDuration(maxMs)];
  const hint = `use something from ${least} to ${most}; the default is ${usual}`;
  return (at, ms) => {
    if (ms < minMs) return [errorAt(at, tooShort, hint)];
    return ms > maxMs ? [errorAt(at, tooLong, hint)] : [];
  };
}
