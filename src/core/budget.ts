/**
 * How much room a volume has left, and what is done about it. Stages, since each costs more than the
 * one before: somebody is told; slots of servers that are away keep no WAL any more; ordinary sessions
 * begin no transaction that writes, while PostgreSQL can still end what it has begun. One that finds
 * no room for WAL ends with a PANIC.
 */
import { formatDuration, formatSize } from './quantities';

export type BudgetStage = 'ample' | 'tight' | 'short' | 'full';

/** A volume as its server sees it. */
export interface VolumeRoom {
  readonly sizeBytes: number;
  readonly freeBytes: number;
  /** At the rate at which it gets fuller; null: it does not, or nobody knows yet. */
  readonly fullInMs: number | null;
  readonly stage: BudgetStage;
}

export interface VolumeSeen {
  readonly sizeBytes: number;
  readonly freeBytes: number;
  /** By so much it gets fuller in a second; null: not known. */
  readonly bytesPerSecond: number | null;
}

const MEGABYTE = 1024 * 1024;
const GIGABYTE = 1024 * MEGABYTE;
/** The worst one first. */
const STAGES = ['full', 'short', 'tight'] as const;
/** So much more must be free before a stage is over: no setting is changed back and forth. */
const RELIEF = 1.5;
/** The time in which a stage has to have its effect. */
const REACTION_MS = 5000;
/** A volume that is full sooner is worth a warning, however much is free. */
const WARNED_MS = 60 * 60_000;

/** Free bytes below which each stage begins, from the volume's size. */
export function limitsOf(sizeBytes: number): Readonly<Record<(typeof STAGES)[number], number>> {
  const full = within(0.02 * sizeBytes, 64 * MEGABYTE, GIGABYTE);
  return {
    full,
    short: within(0.05 * sizeBytes, 1.5 * full, 5 * GIGABYTE),
    tight: within(0.1 * sizeBytes, 2 * full, 10 * GIGABYTE),
  };
}

/** The stage that follows; `before` is left only when there is clearly more room. */
export function roomOf(seen: VolumeSeen, before: BudgetStage): VolumeRoom {
  const { sizeBytes, freeBytes, bytesPerSecond } = seen;
  const growth = bytesPerSecond ?? 0;
  const fullInMs = growth > 0 ? Math.round((freeBytes * 1000) / growth) : null;
  const limits = limitsOf(sizeBytes);
  const lost = (growth * REACTION_MS) / 1000;
  const isIn = (stage: (typeof STAGES)[number]): boolean => {
    const wasIn = STAGES.findIndex((each) => each === before) <= STAGES.indexOf(stage);
    const relief = wasIn && before !== 'ample' ? RELIEF : 1;
    const isSoon = stage === 'tight' && fullInMs !== null && fullInMs < WARNED_MS * relief;
    return isSoon || freeBytes - Math.min(lost, limits.tight) < limits[stage] * relief;
  };
  return { sizeBytes, freeBytes, fullInMs, stage: STAGES.find(isIn) ?? 'ample' };
}

/** `1.2GB of 20GB are free, at this rate full in about 40m`. */
export function describeRoom({ freeBytes, sizeBytes, fullInMs }: VolumeRoom): string {
  const free = `${rough(freeBytes)} of ${rough(sizeBytes)} are free`;
  return fullInMs === null ? free : `${free}, at this rate it is full in about ${spell(fullInMs)}`;
}

/** Slots that keep WAL for nobody are given up, for the room that they take. */
export const isShort = (room: VolumeRoom | null | undefined): boolean =>
  room?.stage === 'short' || room?.stage === 'full';

/** Whole units: the last ones change all the time. */
function rough(bytes: number): string {
  const unit = bytes >= 10 * GIGABYTE ? GIGABYTE : MEGABYTE;
  return formatSize(Math.floor(bytes / unit) * unit);
}

function spell(ms: number): string {
  const unit = ms >= 10 * 3_600_000 ? 3_600_000 : ms >= 60_000 ? 60_000 : 1000;
  return formatDuration(Math.round(ms / unit) * unit);
}

const within = (value: number, least: number, most: number): number =>
  Math.min(Math.max(value, least), Math.max(least, most));
