/**
 * How a server comes back as a standby: the cheapest way that is right. Pure.
 *
 * A rung is taken when nothing speaks against it and it has not failed before; what spoke against
 * the cheaper ones is the reason that is logged and shown. The last rung fits always: the copy that
 * it replaces is removed only after the new one has been seen streaming.
 */
import { type Upstream } from '../../core/protocol';
import { type Fork } from '../../core/timelines';

/** Where a data directory stands, compared with its upstream. */
export type Standing =
  /** It has nothing that the upstream has not. */
  | { readonly kind: 'aligned' }
  /** It has WAL beyond the last position that both have. */
  | { readonly kind: 'diverged'; readonly fork: Fork }
  /** It needs WAL that the upstream does not have any more. */
  | { readonly kind: 'outrun'; readonly segment: string };

/** What is known of the way back to one upstream. */
export interface Rejoin {
  readonly upstream: Upstream;
  /** null: to be looked at, or looked at again. */
  readonly standing: Standing | null;
  /** Why PostgreSQL could not go on as a standby; null when nothing is known against it. */
  readonly suspicion: string | null;
  /** There was a suspicion once before, and no reason for it was found. */
  readonly isAcquitted: boolean;
  /** Why a rung has not worked, by its name. */
  readonly failed: Readonly<Partial<Record<RungName, string>>>;
}

export type RungName = 'start' | 'rewind' | 'reclone';

export interface Rung {
  readonly name: RungName;
  /** Why none of the cheaper ones. */
  readonly because: string;
}

export interface LadderFacts {
  readonly upstream: string;
  readonly isHalfRewound: boolean;
  readonly standing: Standing;
  readonly failed: Rejoin['failed'];
}

/** Cheapest first; each says what speaks against it. A rewind with WAL from an archive goes third. */
const LADDER: readonly {
  readonly name: RungName;
  readonly obstacle: (facts: LadderFacts) => string | null;
}[] = [
  { name: 'start', obstacle: againstStart },
  { name: 'rewind', obstacle: againstRewind },
];

/** The rung to take. */
export function nextRung(facts: LadderFacts): Rung {
  const reasons: string[] = [];
  for (const { name, obstacle } of LADDER) {
    const reason = obstacle(facts) ?? facts.failed[name] ?? null;
    if (reason === null) return { name, because: reasons.join('; ') };
    if (!reasons.includes(reason)) reasons.push(reason);
  }
  return { name: 'reclone', because: reasons.join('; ') };
}

/** What is known of the way to this upstream; nothing, when it was another one before. */
export function rejoinOf(known: Rejoin | null, upstream: Upstream): Rejoin {
  if (known !== null && isSamePlace(known.upstream, upstream)) return known;
  return { upstream, standing: null, suspicion: null, isAcquitted: false, failed: {} };
}

/** Whether it can follow shows now: what was seen before does not count any more. */
export const beforeStart = (known: Rejoin): Rejoin => ({
  ...known,
  standing: null,
  suspicion: null,
});

/** Whether there is anything that would be decided differently without it. */
export const isOfNote = ({ standing, suspicion, isAcquitted, failed }: Rejoin): boolean =>
  standing !== null || suspicion !== null || isAcquitted || Object.keys(failed).length > 0;

/** A server whose suspicion was found to be without reason twice is not started a third time. */
export function afterComparison(before: Rejoin, standing: Standing): Rejoin {
  const { suspicion } = before;
  if (suspicion === null || standing.kind !== 'aligned') return { ...before, standing };
  const failed = before.isAcquitted ? { ...before.failed, start: suspicion } : before.failed;
  return { ...before, standing, suspicion: null, isAcquitted: true, failed };
}

function againstStart({ upstream, isHalfRewound, standing }: LadderFacts): string | null {
  if (isHalfRewound) return 'a rewind was cut short, so that the data directory cannot be started';
  switch (standing.kind) {
    case 'aligned':
      return null;
    case 'diverged': {
      const { timeline, endLsn } = standing.fork;
      return `its WAL goes on beyond ${endLsn}, where ${upstream} left timeline ${timeline}`;
    }
    case 'outrun':
      return `${upstream} does not have the WAL segment ${standing.segment} any more`;
  }
}

function againstRewind({ isHalfRewound, standing }: LadderFacts): string | null {
  if (isHalfRewound) return 'it cannot be rewound again either';
  return standing.kind === 'diverged' ? null : 'a rewind would not change that';
}

/** The slot is this server's own, whatever its name. */
function isSamePlace(a: Upstream, b: Upstream): boolean {
  return a.server === b.server && a.host === b.host && a.port === b.port;
}
