/** What a change of the spec brings with it that the steps alone do not say. */
import { archiveVolumeName, dataVolumeName } from './names';
import { formatDuration } from './quantities';
import { type RetentionSpec, type ServerSpec, type Spec } from './spec';

export interface Consequence {
  /** Applying the old file again does not bring back what is gone. */
  readonly isFinal: boolean;
  readonly text: string;
}

/** What cannot be undone first. */
export function consequencesOf(before: Spec, after: Spec): readonly Consequence[] {
  const all = [
    ...retentionTightened(before.backup.retention, after.backup.retention),
    ...protectionGivenUp(before, after),
    ...before.servers.flatMap((server) => serverChanged(server, after)),
  ];
  return [...all.filter(({ isFinal }) => isFinal), ...all.filter(({ isFinal }) => !isFinal)];
}

const mind = (text: string): Consequence => ({ isFinal: false, text });

function retentionTightened(before: RetentionSpec, after: RetentionSpec): readonly Consequence[] {
  const kept = (rules: RetentionSpec): string =>
    [
      ...(rules.keep === null ? [] : [`the newest ${rules.keep}`]),
      ...(rules.maxAgeMs === null ? [] : [`what ${formatDuration(rules.maxAgeMs)} need`]),
    ].join(' and ') || 'everything';
  const isTighter = (from: number | null, to: number | null): boolean =>
    to === null ? from !== null : from !== null && to < from;
  const isFirst = kept(before) === 'everything' && kept(after) !== 'everything';
  const isLess =
    kept(after) !== 'everything' &&
    (isTighter(before.keep, after.keep) || isTighter(before.maxAgeMs, after.maxAgeMs));
  if (!isFirst && !isLess) return [];
  const text = `backups, and WAL before the oldest that stays, are deleted from every archive (kept: ${kept(before)} → ${kept(after)})`;
  return [{ isFinal: true, text }];
}

function protectionGivenUp(before: Spec, after: Spec): readonly Consequence[] {
  const isSafe = ({ replication: { synchronous } }: Spec): boolean =>
    synchronous?.durability === 'required';
  const isWatched = ({ failover }: Spec): boolean => failover.mode === 'automatic';
  return [
    ...(isSafe(before) && !isSafe(after)
      ? [mind('from then on a failover may lose commits that clients were told of')]
      : []),
    ...(isWatched(before) && !isWatched(after)
      ? [mind(`from then on nobody takes over by itself when ${after.primary} is lost`)]
      : []),
  ];
}

function serverChanged(server: ServerSpec, { cluster, servers }: Spec): readonly Consequence[] {
  const { name } = server;
  const volumes = `${dataVolumeName(cluster, name)} and ${archiveVolumeName(cluster, name)}`;
  const now = servers.find((each) => each.name === name);
  if (now === undefined) {
    return [mind(`the volumes of ${name} stay on its node until you remove them: ${volumes}`)];
  }
  if (JSON.stringify(now.node) === JSON.stringify(server.node)) return [];
  return [
    mind(
      `the data of ${name} does not move with it: its volumes stay on the old node, and it begins with those of the new one`,
    ),
  ];
}
