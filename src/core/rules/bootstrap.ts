/**
 * From nothing to a first primary. `initdb` is run on one server only, and only when every volume
 * has been seen to be empty: a volume that nobody has looked into may hold the only copy.
 */
import { contractOfNewPrimary } from '../contract';
import { compareLsn, type Lsn } from '../lsn';
import { type VolumeTag } from '../protocol';
import { describeOrder, type RestoreOrder } from '../restore/bootstrap';
import { type ServerView, type View } from '../situation';
import { type ClusterState } from '../state';
import { beginInitialising, firstPrimary } from '../transitions';
import { recorded, rule, type ConditionRaised, type Rule } from './rule';
import { silenceOf } from './silence';

const notReady = (reason: string): ConditionRaised => ({ type: 'Ready', reason });

const isNew = ({ state }: View): boolean => state.systemIdentifier === null;

export const tagOf = (server: ServerView): VolumeTag | null =>
  server.volume?.kind === 'tagged' ? server.volume.tag : null;

/** How far the data of a server that nobody leads goes, by timeline first. */
interface Position {
  readonly timeline: number;
  readonly lsn: Lsn;
}

function positionOf({ report }: ServerView): Position | null {
  const postgres = report?.postgres;
  if (postgres?.state === 'stopped' && postgres.control !== null) {
    return { timeline: postgres.control.timeline, lsn: postgres.control.endLsn };
  }
  if (postgres?.state === 'standby') {
    const { timeline, replayedLsn, receivedLsn } = postgres;
    return { timeline, lsn: furthest(replayedLsn, receivedLsn) };
  }
  return postgres?.state === 'primary' ? { timeline: postgres.timeline, lsn: postgres.lsn } : null;
}

const furthest = (a: Lsn, b: Lsn | null): Lsn => (b !== null && compareLsn(b, a) > 0 ? b : a);

const isAhead = (a: Position, b: Position): boolean =>
  a.timeline > b.timeline || (a.timeline === b.timeline && compareLsn(a.lsn, b.lsn) > 0);

/** Kept volumes of this cluster, when every server has been heard and some hold its data. */
interface Kept {
  readonly tags: readonly VolumeTag[];
  /** Why the declared primary cannot simply be started on what it has; null when it can. */
  readonly obstacle: string | null;
}

function kept(view: View): Kept | null {
  if (!isNew(view) || view.state.initialising !== null) return null;
  if (view.servers.some(({ report }) => report === null)) return null;
  const tags = view.servers.map(tagOf).filter((tag) => tag !== null);
  return tags.length === 0 ? null : { tags, obstacle: keptObstacle(view, tags) };
}

function keptObstacle(view: View, tags: readonly VolumeTag[]): string | null {
  return strayVolume(view) ?? differentClusters(tags) ?? laterData(view, tags);
}

/** A volume with the tag of another server has no business here. */
function strayVolume(view: View): string | null {
  for (const server of view.servers) {
    const tag = tagOf(server);
    if (tag === null || (tag.cluster === view.spec.cluster && tag.server === server.name)) continue;
    return `the data volume of ${server.name} belongs to server ${tag.server} of cluster ${tag.cluster}; put the right volume back`;
  }
  return null;
}

function differentClusters(tags: readonly VolumeTag[]): string | null {
  const identifiers = new Set(tags.map(({ systemIdentifier }) => systemIdentifier));
  if (identifiers.size === 1) return null;
  const held = tags.map((tag) => `${tag.server} holds ${tag.systemIdentifier}`).join(', ');
  return `the volumes hold different database clusters (${held}); remove the volume that is not wanted`;
}

/** The declared primary must be the server whose data goes furthest. */
function laterData(view: View, tags: readonly VolumeTag[]): string | null {
  const { primary } = view.spec;
  const declared = view.servers.find(({ name }) => name === primary);
  const own = declared === undefined || tagOf(declared) === null ? null : positionOf(declared);
  if (own === null) {
    const other = tags.find(({ server }) => server !== primary)?.server ?? '';
    return `the volume of the declared primary ${primary} holds no data, but that of ${other} does; declare ${other} as primary`;
  }
  for (const server of view.servers) {
    if (server === declared || tagOf(server) === null) continue;
    const position = positionOf(server);
    if (position === null) return `it is not known yet how far the data of ${server.name} goes`;
    if (isAhead(position, own)) {
      return `${server.name} has later data (timeline ${position.timeline}, ${position.lsn}) than the declared primary ${primary} (timeline ${own.timeline}, ${own.lsn}); declare ${server.name} as primary, and change back when both run`;
    }
  }
  return null;
}

/** The record in which `server` is the first primary. */
function firstOf(
  view: View,
  server: ServerView,
  begun: { readonly kind: 'initialised' | 'adopted'; readonly tags: readonly VolumeTag[] },
): ClusterState {
  return firstPrimary(view.state, server.name, {
    ...begun,
    timeline: begun.kind === 'initialised' ? (positionOf(server)?.timeline ?? null) : null,
    contract: contractOfNewPrimary(view, server.name),
    at: view.situation.now,
  });
}

const unusable = (view: View): ServerView | null =>
  view.servers.find(({ volume }) => volume?.kind === 'foreign' || volume?.kind === 'unusable') ??
  null;

const fillingFrom = (
  server: string,
  order: RestoreOrder,
): { readonly summary: string; readonly message: string } => ({
  summary: `restore ${server} from ${describeOrder(order)}`,
  message: `restoring ${server} from ${describeOrder(order)}`,
});

/** What was restored begins a timeline of which there is no backup yet. */
function firstPrimaryText({ name }: ServerView, { spec: { bootstrap, cluster } }: View): string {
  if (bootstrap === undefined) return `${name} has been initialised and is the first primary`;
  const from = describeOrder(bootstrap.restore);
  return `${name} has been restored from ${from}, and is the first primary; its archive begins here and has no backup yet: pgswarm backup ${cluster}`;
}

export const bootstrapRules: readonly Rule[] = [
  rule<ServerView>({
    id: 'initialised',
    section: 'bootstrap',
    about: 'The first primary’s data directory is complete: it begins term 1.',
    when: (view) => {
      const server = view.servers.find(({ name }) => name === view.state.initialising);
      return server !== undefined && isNew(view) && tagOf(server) !== null ? server : null;
    },
    because: ({ name }) => `${name} has been initialised`,
    steps: (server, view) => {
      const tags = [tagOf(server)].filter((tag) => tag !== null);
      return recorded(view, firstOf(view, server, { kind: 'initialised', tags }), {
        rule: 'initialised',
        summary: `start ${server.name} as primary`,
        message: firstPrimaryText(server, view),
      });
    },
  }),
  rule<ServerView>({
    id: 'volume-unusable',
    section: 'bootstrap',
    about:
      'A data volume holds something else, or cannot be used. Nothing is ever initialised over it.',
    when: (view) => (isNew(view) ? unusable(view) : null),
    because: ({ name, nodeName, volume }) => {
      const detail = volume?.kind === 'foreign' || volume?.kind === 'unusable' ? volume.detail : '';
      return `the data volume of ${name} on ${nodeName ?? 'its node'} is refused: ${detail}`;
    },
    condition: ({ volume }) =>
      notReady(volume?.kind === 'foreign' ? 'VolumeForeign' : 'VolumeUnusable'),
  }),
  rule<Kept>({
    id: 'adopt-kept-volumes',
    section: 'bootstrap',
    about:
      'The cluster is new to the store but its volumes hold its data: the declared primary is started on it, if none has later data.',
    when: (view) => {
      const found = kept(view);
      return found?.obstacle === null && unusable(view) === null ? found : null;
    },
    because: ({ tags }) =>
      `${tags.map(({ server }) => server).join(' and ')} hold this cluster’s data`,
    steps: ({ tags }, view) => {
      const { primary } = view.spec;
      const server = view.servers.find(({ name }) => name === primary);
      if (server === undefined) throw new Error(`${primary} is not a server of the spec`);
      return recorded(view, firstOf(view, server, { kind: 'adopted', tags }), {
        rule: 'adopt-kept-volumes',
        summary: `start ${primary} as primary on the data in its volume`,
        message: `${primary} goes on as primary with the data kept in its volume`,
      });
    },
  }),
  rule<Kept>({
    id: 'kept-volumes-refused',
    section: 'bootstrap',
    about:
      'The volumes hold data, but the declared primary is not the server with the latest of it.',
    when: (view) => {
      const found = kept(view);
      return found?.obstacle == null ? null : found;
    },
    because: ({ obstacle }) => obstacle ?? '',
    condition: notReady('KeptVolumesRefused'),
  }),
  rule<readonly ServerView[]>({
    id: 'initialise',
    section: 'bootstrap',
    about: 'Every volume has been seen to be empty: the declared primary is initialised.',
    when: (view) => {
      const isEmpty = view.servers.every(({ volume }) => volume?.kind === 'empty');
      return isNew(view) && view.state.initialising === null && isEmpty ? view.servers : null;
    },
    because: () => 'all data volumes are empty and the cluster was never initialised',
    steps: (_, view) => {
      const { primary, bootstrap } = view.spec;
      const filling =
        bootstrap === undefined
          ? { summary: `initialise ${primary} with initdb`, message: `initialising ${primary}` }
          : fillingFrom(primary, bootstrap.restore);
      return recorded(view, beginInitialising(view.state, primary), {
        rule: 'initialise',
        summary: filling.summary,
        message: `${filling.message}: all data volumes are empty`,
      });
    },
  }),
  rule<ServerView>({
    id: 'await-initialise',
    section: 'bootstrap',
    about: 'The first primary is being initialised.',
    when: (view) =>
      view.servers.find(({ name }) => isNew(view) && name === view.state.initialising) ?? null,
    because: ({ name, report }) =>
      report?.problem?.message ??
      `${name} is being initialised${report === null ? '; it does not answer' : ''}`,
    condition: notReady('Initialising'),
  }),
  rule<readonly ServerView[]>({
    id: 'await-servers',
    section: 'bootstrap',
    about: 'Before the first primary is chosen, every server must have said what its volume holds.',
    when: (view) => {
      const silent = view.servers.filter(({ report }) => report === null);
      return isNew(view) && silent.length > 0 ? silent : null;
    },
    because: (silent, view) => silent.map((server) => silenceOf(server, view)).join('; '),
    condition: notReady('AwaitingServers'),
  }),
];
