/**
 * The timeline of decisions: what was decided by which rule, on what it was seen, how long it took, and
 * under which spec. The record in the store holds the newest of it; the operators' volumes more.
 */
import { describeCommit } from './git/source';
import { lagBytes } from './lsn';
import { type ServerView, type View } from './situation';
import { type SpecSource } from './spec';
import { type ClusterEvent } from './state';

export interface HistoryEntry extends ClusterEvent {
  /** How long the steps took that followed; absent: not known here. */
  readonly durationMs?: number;
}

/** The same decision comes from the store and from a journal. */
export const keyOfEntry = ({ at, rule, message }: ClusterEvent): string =>
  `${at} ${rule} ${message}`;

/** One timeline, oldest first; of two tellings of one decision the first list's counts. */
export function mergedHistory(
  ...tellings: readonly (readonly HistoryEntry[])[]
): readonly HistoryEntry[] {
  const byKey = new Map<string, HistoryEntry>();
  for (const entry of tellings.flat()) {
    if (!byKey.has(keyOfEntry(entry))) byKey.set(keyOfEntry(entry), entry);
  }
  return [...byKey.values()].toSorted((a, b) => a.at.localeCompare(b.at));
}

/** `ada`, `/etc/pgswarm/orders.yaml`, `commit 1a2b3c4 by Ada, orders.yaml`: what brought the spec. */
export function sourceText(source: SpecSource): string {
  switch (source.kind) {
    case 'apply':
      return source.by;
    case 'file':
      return source.path;
    case 'git':
      return `${describeCommit(source.commit)}, ${source.path}`;
  }
}

/** What was seen of each server when it was decided, a line each. */
export const evidenceOf = (view: View): readonly string[] =>
  view.servers.map((server) => `${server.name}: ${seenOf(server, view)}`);

function seenOf({ report, lastSeenMs, asPrimary, asStandby }: ServerView, view: View): string {
  if (report === null) {
    return lastSeenMs === null ? 'never heard' : `silent for ${secondsSince(lastSeenMs, view)} s`;
  }
  if (asPrimary !== null) return `primary, timeline ${asPrimary.timeline}, at ${asPrimary.lsn}`;
  if (asStandby === null) return report.busy ?? report.postgres.state;
  const { receivedLsn, replayedLsn, timeline, upstreamLsn } = asStandby;
  const received = receivedLsn ?? replayedLsn;
  const behind = upstreamLsn === null ? '' : `, ${lagBytes(upstreamLsn, received)} B behind`;
  return `standby, timeline ${timeline}, at ${received}${behind}`;
}

const secondsSince = (sinceMs: number, { nowMs }: View): string =>
  ((nowMs - sinceMs) / 1000).toFixed(1);
