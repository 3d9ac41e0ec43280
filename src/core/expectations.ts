/**
 * What a spec promises: how long writes are away, what may be lost, and what room WAL takes. Sums of
 * the protocol's own constants and of figures measured in the lab; docs/reference/expectations.md has
 * the formulas and compares them with what `npm run bench:failover` has seen.
 */
import { PRIORITY_DEFAULT } from './candidates';
import { isLate } from './late';
import { LEADERSHIP_TIMING } from './leadership';
import { leaseTimes } from './lease';
import { HEARTBEAT_MS } from './protocol';
import { formatDuration, formatSize, parseSize } from './quantities';
import { STRAGGLERS_MS } from './rules/failover';
import { RECEPTION_MS } from './rules/loss';
import { SLOT_WAL_SHARE, slotWalMegabytes } from './settings';
import { type ServerSpec, type Spec } from './spec';

export interface Expectations {
  /** Times without writes; empty when nobody takes over by itself. */
  readonly outages: readonly Outage[];
  /** Why nobody takes over by itself, for all faults or for some; null when somebody does. */
  readonly caveat: string | null;
  readonly loss: LossExpected;
  /** On every data volume. */
  readonly wal: Room;
  /** On every archive volume. */
  readonly archive: Room;
}

export type Fault = 'container' | 'node' | 'operatorLeader' | 'swarmLeader';

export interface Outage {
  /** What becomes of the primary. */
  readonly fault: Fault;
  readonly bestMs: number;
  readonly typicalMs: number;
  readonly worstMs: number;
}

export interface LossExpected {
  /** Of acknowledged commits, by a failover; null: no number bounds it. */
  readonly bytesMax: number | null;
  readonly because: string;
}

export interface Room {
  /** null: it depends on what is not in the spec. */
  readonly bytesMax: number | null;
  readonly because: string;
}

export type Range = Omit<Outage, 'fault'>;

/** Measured: from a container's end until the operator has heard of it from Swarm. */
const EXIT_HEARD = { bestMs: 400, typicalMs: 700 };
/** Measured: roll call and promotion, until the first commit. */
export const TAKE_OVER: Range = { bestMs: 0, typicalMs: 300, worstMs: 500 };
/**
 * Swarm's Raft elects after 10 to 20 s without a leader (swarmkit: ten ticks of a second, and as much
 * again by chance); votes that are split cost more: so much was seen.
 */
export const RAFT_ELECTION: Range = { bestMs: 10_000, typicalMs: 15_000, worstMs: 25_000 };

const MEGABYTE = 1024 * 1024;
const GIGABYTE = 1024 * MEGABYTE;
const DAY_MS = 86_400_000;
/** `initdb`'s. */
const SEGMENT_BYTES = 16 * MEGABYTE;

/** `dataVolumeBytes`: size of the smallest data volume; null while there is none. */
export function expectationsOf(spec: Spec, dataVolumeBytes: number | null = null): Expectations {
  const successors = successorsOf(spec);
  const isAutomatic = spec.failover.mode === 'automatic' && successors.length > 0;
  const isApart = successors.some(({ node }) => !isSameNode(node, primaryOf(spec)?.node));
  return {
    outages: isAutomatic ? outagesOf(spec, isApart) : [],
    caveat: caveatOf(spec, successors, isApart),
    loss: lossOf(spec, isAutomatic),
    wal: walRoom(spec, dataVolumeBytes),
    archive: archiveRoom(spec),
  };
}

// ── time ─────────────────────────────────────────────────────────────────────────────────────

const primaryOf = ({ servers, primary }: Spec): ServerSpec | undefined =>
  servers.find(({ name }) => name === primary);

const successorsOf = ({ servers, primary, failover }: Spec): readonly ServerSpec[] =>
  servers.filter(
    (server) =>
      server.name !== primary &&
      !isLate(server) &&
      (failover.priorities[server.name] ?? PRIORITY_DEFAULT) > 0,
  );

const isSameNode = (a: ServerSpec['node'], b: ServerSpec['node'] | undefined): boolean =>
  JSON.stringify(a) === JSON.stringify(b);

/** The operators' leader keeps away from primaries: its loss with one is the exception. */
function outagesOf(spec: Spec, isApart: boolean): readonly Outage[] {
  const faults: readonly Fault[] = isApart ? ['container', 'node', 'swarmLeader'] : ['container'];
  return faults.map((fault) => outageOf(spec, fault));
}

const RANGES: Readonly<Record<Fault, (spec: Spec) => Range>> = {
  container: containerEnded,
  node: nodeLost,
  operatorLeader: operatorLeaderLost,
  swarmLeader: swarmLeaderLost,
};

/** How long writes are away when this becomes of the primary and somebody takes over. */
export const outageOf = (spec: Spec, fault: Fault): Outage => ({ fault, ...RANGES[fault](spec) });

/**
 * The primary's lease was renewed up to a heartbeat ago, and has to run out. At worst a server that
 * might be better is waited for until its answer is overdue.
 */
function nodeLost({ failover }: Spec): Range {
  const leaseMs = failover.ttlMs + failover.delayMs;
  return plus(TAKE_OVER, {
    bestMs: leaseMs - HEARTBEAT_MS,
    typicalMs: leaseMs - HEARTBEAT_MS / 2,
    worstMs: leaseMs + STRAGGLERS_MS,
  });
}

/** Where Swarm does not say that it has ended, the lease decides. */
function containerEnded(spec: Spec): Range {
  const { failover } = spec;
  const heardMs = (ms: number): number => Math.max(ms, failover.delayMs);
  return {
    bestMs: heardMs(EXIT_HEARD.bestMs) + TAKE_OVER.bestMs,
    typicalMs: heardMs(EXIT_HEARD.typicalMs) + TAKE_OVER.typicalMs,
    worstMs: nodeLost(spec).worstMs,
  };
}

/** Another operator leads when the leader's own lease is over, and waits for the primary to come. */
function operatorLeaderLost({ failover }: Spec): Range {
  const { leaseMs, driftMs, renewEveryMs, lookEveryMs } = LEADERSHIP_TIMING;
  const laterMs = leaseMs + driftMs + RECEPTION_MS + failover.delayMs;
  return plus(TAKE_OVER, {
    bestMs: laterMs - renewEveryMs,
    typicalMs: laterMs - renewEveryMs / 2 + lookEveryMs / 2,
    worstMs: laterMs + lookEveryMs + STRAGGLERS_MS,
  });
}

/** Nothing can be written before Raft has elected; by then every lease is over. */
function swarmLeaderLost({ failover }: Spec): Range {
  const laterMs = RECEPTION_MS + failover.delayMs;
  return plus(plus(RAFT_ELECTION, TAKE_OVER), {
    bestMs: laterMs,
    typicalMs: laterMs,
    worstMs: laterMs + LEADERSHIP_TIMING.lookEveryMs + STRAGGLERS_MS,
  });
}

const plus = (a: Range, b: Range): Range => ({
  bestMs: a.bestMs + b.bestMs,
  typicalMs: a.typicalMs + b.typicalMs,
  worstMs: a.worstMs + b.worstMs,
});

function caveatOf(spec: Spec, successors: readonly ServerSpec[], isApart: boolean): string | null {
  const { primary, cluster, failover } = spec;
  if (successors.length === 0) return `there is no server that could take over from ${primary}`;
  if (failover.mode === 'manual') {
    return `nobody takes over by itself (failover.mode is manual): pgswarm promote ${cluster} SERVER`;
  }
  if (isApart) return null;
  return `nobody takes over when the node of ${primary} is lost: every server is there`;
}

// ── loss ─────────────────────────────────────────────────────────────────────────────────────

function lossOf(spec: Spec, isAutomatic: boolean): LossExpected {
  const { synchronous } = spec.replication;
  const alone = lossOfAsynchronous(spec, isAutomatic);
  if (synchronous === null) return alone;
  const { number, durability } = synchronous;
  const because = `each commit waits for ${number === 1 ? 'a standby' : `${number} standbys`}`;
  return durability === 'required'
    ? { bytesMax: 0, because }
    : { ...alone, because: `${because} while one streams; when none does: ${alone.because}` };
}

function lossOfAsynchronous({ failover }: Spec, isAutomatic: boolean): LossExpected {
  if (!isAutomatic) {
    return { bytesMax: 0, because: 'nobody is promoted before a person has accepted what is lost' };
  }
  const unheard = formatDuration(leaseTimes(failover.ttlMs).goneAtMs);
  const known = `up to ${formatSize(failover.lagBytesMax)} of WAL (failover.maxLag)`;
  const because = `${known}, and what is acknowledged by a primary that nobody hears, for ${unheard} at most`;
  return { bytesMax: null, because };
}

// ── room ─────────────────────────────────────────────────────────────────────────────────────

/** What slots keep for servers that are away; PostgreSQL keeps `max_wal_size` for itself. */
function walRoom({ postgres: { parameters } }: Spec, volumeBytes: number | null): Room {
  const own = parameters['max_wal_size'] ?? '1GB';
  const slots = parameters['max_slot_wal_keep_size'];
  const usual = `${own} (max_wal_size); while a standby is away`;
  if (slots !== undefined) {
    const bound = slots.trim() === '-1' ? 'WAL without a bound' : slots;
    const sizes = [bytesOf(own), bytesOf(slots)];
    return {
      bytesMax: sizes.includes(null) ? null : Math.max(...sizes.map(Number)),
      because: `${usual} ${bound} (max_slot_wal_keep_size)`,
    };
  }
  if (volumeBytes === null) {
    const least = formatSize(slotWalMegabytes(0) * MEGABYTE);
    const share = `${SLOT_WAL_SHARE * 100} % of the volume or ${least}`;
    return { bytesMax: null, because: `${usual} ${share}, whichever is more` };
  }
  const bytes = slotWalMegabytes(volumeBytes) * MEGABYTE;
  return {
    bytesMax: Math.max(bytes, bytesOf(own) ?? 0),
    because: `${usual} ${formatSize(bytes)} on a volume of ${roughly(volumeBytes)}`,
  };
}

/** A number without a unit is in megabytes for both of these parameters. null: not a size. */
function bytesOf(text: string): number | null {
  const trimmed = text.trim();
  const parsed = parseSize(/^\d+$/.test(trimmed) ? `${trimmed}MB` : trimmed);
  return parsed.kind === 'value' ? parsed.value : null;
}

const roughly = (bytes: number): string =>
  bytes < GIGABYTE ? formatSize(bytes) : `${Math.round((10 * bytes) / GIGABYTE) / 10}GB`;

/** How well WAL compresses nobody knows: sizes are those before. */
function archiveRoom({ archive, backup }: Spec): Room {
  const { keep, maxAgeMs } = backup.retention;
  const wanted = [
    ...(keep === null ? [] : [`the newest ${keep}`]),
    ...(maxAgeMs === null ? [] : [`every point of the last ${formatDuration(maxAgeMs)}`]),
  ];
  const kept =
    wanted.length === 0
      ? 'all kept for ever (no spec.backup.retention)'
      : `kept for ${wanted.join(' and ')}`;
  const idle =
    archive.timeoutMs === 0
      ? ''
      : `; archive.timeout alone makes up to ${idlePerDay(archive.timeoutMs)} a day`;
  const because = `backups and WAL, before compression (${archive.compression}), ${kept}${idle}`;
  return { bytesMax: null, because };
}

/** A segment each time the timeout is over. */
const idlePerDay = (timeoutMs: number): string =>
  roughly(Math.ceil(DAY_MS / timeoutMs) * SEGMENT_BYTES);
