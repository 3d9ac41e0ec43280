/** Room in the volumes: told before it is gone, and what is given up for it. */
import { describeRoom, isShort, type VolumeRoom } from '../budget';
import { archiveVolumeName, dataVolumeName } from '../names';
import { type ServerView, type View } from '../situation';
import { rule, type ConditionType, type Rule } from './rule';

interface Filling {
  readonly server: ServerView;
  readonly room: VolumeRoom;
}

/** A server that was not heard of for so long keeps no WAL from being removed where room is short. */
const AWAY_AFTER_MS = 60_000;

/**
 * The servers for which no slot is kept on this one: they are away, room is short, and what they would
 * need is archived here. They come back from the archives, or are cloned again.
 */
export function slotsGivenUp(view: View, { name, report }: ServerView): readonly string[] {
  const isArchived = report?.archive?.failure === null && report.archive.pausedLeftMs === null;
  if (!isShort(report?.dataVolume) || !isArchived) return [];
  return view.servers.filter((each) => each.name !== name && isAway(each, view)).map(nameOf);
}

function isAway({ name, lastSeenMs }: ServerView, { primary, situation, nowMs }: View): boolean {
  const heardMs = lastSeenMs ?? situation.observation.leadingSinceMs;
  const isConnected = primary?.asPrimary?.standbys.some(({ server }) => server === name) === true;
  return !isConnected && nowMs - heardMs > AWAY_AFTER_MS;
}

const nameOf = ({ name }: ServerView): string => name;

export const roomRules: readonly Rule[] = [
  filling({
    id: 'data-volume-filling',
    about:
      'A data volume gets full: slots of servers that are away go first, then writes are refused.',
    type: 'DataVolume',
    roomOf: ({ report }) => report?.dataVolume ?? null,
    words: ({ server, room }, view) =>
      [
        `data volume ${dataVolumeName(view.spec.cluster, server.name)} on ${server.nodeName ?? 'its node'}: ${describeRoom(room)}`,
        ...slotsGivenUp(view, server).map((away) => `no WAL is kept for ${away}, which is away`),
        ...(room.stage === 'full' ? ['new transactions are read-only'] : []),
      ].join(', '),
  }),
  filling({
    id: 'archive-volume-filling',
    about: 'An archive volume gets full: then WAL stays in the data volume.',
    type: 'ArchiveVolume',
    roomOf: ({ report }) => report?.archive?.room ?? null,
    words: ({ server, room }, { spec }) =>
      `archive volume ${archiveVolumeName(spec.cluster, server.name)} on ${server.nodeName ?? 'its node'}: ${describeRoom(room)}`,
  }),
];

function filling(volume: {
  readonly id: string;
  readonly about: string;
  readonly type: ConditionType;
  readonly roomOf: (server: ServerView) => VolumeRoom | null;
  readonly words: (filling: Filling, view: View) => string;
}): Rule {
  const { id, about, type, roomOf, words } = volume;
  return rule<readonly Filling[]>({
    id,
    about,
    section: 'archive',
    when: ({ servers }) => {
      const found = servers.flatMap((server) => {
        const room = roomOf(server);
        return room === null || room.stage === 'ample' ? [] : [{ server, room }];
      });
      return found.length === 0 ? null : found;
    },
    because: (found, view) => found.map((each) => words(each, view)).join('; '),
    condition: (found) => ({ type, reason: REASONS[worst(found)] }),
  });
}

const REASONS: Readonly<Record<VolumeRoom['stage'], string>> = {
  ample: 'Ample',
  tight: 'FillingUp',
  short: 'RoomShort',
  full: 'RoomGone',
};
const ORDER = ['full', 'short', 'tight', 'ample'] as const;

const worst = (found: readonly Filling[]): VolumeRoom['stage'] =>
  ORDER.find((stage) => found.some(({ room }) => room.stage === stage)) ?? 'ample';
