/**
 * A cluster whose first data is another one's: a backup in the archive of one of its servers, and
 * the WAL behind that, up to a point. The archive is only ever read.
 */
import { type SpecDraft } from '../draft';
import { errorAt, quoted, type Finding } from '../findings';
import { type RestoreSource } from '../generated';
import { archiveVolumeName } from '../names';
import { describeTarget, parseTarget, type RestoreTarget, type TargetDocument } from './target';

/** What the first server is to restore. */
export interface RestoreOrder {
  /** Name of the archive volume, on the first server's node. */
  readonly volume: string;
  readonly target: RestoreTarget;
  /** Id of the backup to begin with; null: the newest one that ends before the target. */
  readonly backup: string | null;
}

/** Only for a document in which the checks found no error. */
export function restoreOrder(source: RestoreSource): RestoreOrder {
  const parsed = parseTarget(promoted(source.target));
  const volume = volumeOf(source);
  if (parsed.kind === 'findings' || volume === undefined) throw new Error('it was not checked');
  return { volume, target: parsed.target, backup: source.backup ?? null };
}

/** For people, to go on from `restored from …`. */
export const describeOrder = ({ volume, target, backup }: RestoreOrder): string =>
  `${volume}${backup === null ? '' : `, backup ${backup}`}, to ${describeTarget(target)}`;

const AT = 'spec.bootstrap.restore';

type SourceDraft = NonNullable<NonNullable<SpecDraft['bootstrap']>['restore']>;

export function checkBootstrap(
  { bootstrap, servers = [] }: SpecDraft,
  cluster?: string,
): Finding[] {
  const source = bootstrap?.restore;
  if (source === undefined) return [];
  const own = servers.flatMap((server) =>
    cluster === undefined || server?.name === undefined
      ? []
      : [archiveVolumeName(cluster, server.name)],
  );
  return [...checkNames(source), ...checkItself(source, { cluster, own }), ...checkTarget(source)];
}

/** A field that is there but wrong has its own finding; its key is kept. */
function checkNames(source: SourceDraft): Finding[] {
  const [from, server, volume] = ['from', 'server', 'volume'].map((name) => name in source);
  const write = 'name the other cluster and its server, `from` and `server`, or the `volume`';
  if (volume === true) {
    if (from !== true && server !== true) return [];
    return [errorAt(AT, 'it names an archive twice: by its volume, and by its cluster', write)];
  }
  if (from === true && server === true) return [];
  return [errorAt(AT, 'it does not say whose archive is read', write)];
}

interface Own {
  readonly cluster: string | undefined;
  /** Its archive volumes. */
  readonly own: readonly string[];
}

function checkItself({ from, volume }: SourceDraft, { cluster, own }: Own): Finding[] {
  const isOwnName = from !== undefined && from === cluster;
  const isOwnVolume = volume !== undefined && own.includes(volume);
  if (!isOwnName && !isOwnVolume) return [];
  const message = `${quoted((isOwnName ? from : volume) ?? '')} is this cluster itself`;
  const hint =
    'a cluster writes into its own archive: give the new one another name, and keep the old volumes';
  return [errorAt(`${AT}.${isOwnName ? 'from' : 'volume'}`, message, hint)];
}

function checkTarget({ target }: SourceDraft): Finding[] {
  // A value that is wrong itself may be the one that was meant.
  if (target === undefined || Object.values(target).includes(undefined)) return [];
  const parsed = parseTarget(promoted(target), `${AT}.target`);
  return parsed.kind === 'findings' ? [...parsed.findings] : [];
}

/** There is nobody yet who could be asked whether this is the right point. */
const promoted = (target: TargetDocument): TargetDocument => ({ ...target, action: 'promote' });

function volumeOf({ from, server, volume }: Partial<SourceDraft>): string | undefined {
  if (volume !== undefined) return volume;
  return from === undefined || server === undefined ? undefined : archiveVolumeName(from, server);
}
