/**
 * The last rung: a new copy of the upstream, made beside the present data directory. That one is
 * kept until the new one has been seen streaming.
 */
import { sizeOfUpstream } from '../../adapters/postgres/upstream-check';
import { OperatingError } from '../../core/errors';
import { type Upstream } from '../../core/protocol';
import { hasStandbySignal } from '../data-directory';
import { type Action } from '../next-action';
import { type Performer } from '../perform';
import { abandonFilling, commitRecloning, dataDirectory, readMarks } from '../volume';
import { standingTo } from './compare';
import { putAside } from './put-aside';
import { requireRoom } from './room';

/** Makes a directory that is filled the volume's data directory. */
export type Commit = (systemIdentifier: string) => Promise<void>;

export interface Copying {
  readonly from: Upstream;
  /** Why the server's present copy is given up; absent when there is none. */
  readonly because?: string;
  readonly commit: Commit;
}

/** What is written, and the WAL, while the copy is made. */
const GROWTH = 1.1;

export async function reclone(
  performer: Performer,
  { upstream, because }: Extract<Action, { kind: 'reclone' }>,
  signal: AbortSignal,
  copy: (copying: Copying) => Promise<void>,
): Promise<void> {
  const { environment, state } = performer;
  const { dataVolume } = environment;
  if (!state.values.marks.isHalfRewound) {
    const standing = await standingTo(performer, upstream, null, signal);
    if (standing.kind === 'diverged') await putAside(performer, standing.fork, signal);
  }
  await refuseSecondOldCopy(performer);
  await requireRoomToReclone(performer, upstream);
  try {
    const commit = async (): Promise<void> => await commitRecloning(dataVolume);
    await copy({ from: upstream, because, commit });
  } catch (error) {
    await abandonFilling(dataVolume);
    throw error;
  }
  state.set({ marks: await readMarks(dataVolume), rejoin: null });
}

/** A re-clone that never streamed is worth nothing; one that was promoted may hold the last copy. */
async function refuseSecondOldCopy({ environment, state }: Performer): Promise<void> {
  const { marks } = state.values;
  if (!marks.hasOldCopy || (await hasStandbySignal(dataDirectory(environment.dataVolume)))) return;
  const message =
    'the data volume holds an old copy in pgdata.old already, and pgdata was primary since: ' +
    'nothing was changed. Look at both; remove pgdata.old when it is not needed';
  throw new OperatingError('refused', 'OldCopyInTheWay', message);
}

async function requireRoomToReclone(
  { environment, secrets }: Performer,
  upstream: Upstream,
): Promise<void> {
  const { cluster, server, dataVolume } = environment;
  const { dataBytes } = await sizeOfUpstream(upstream, secrets.replication);
  await requireRoom(dataVolume, {
    reason: 'NoRoomToReclone',
    what: `cloning ${server} again from ${upstream.server}, beside its old copy,`,
    bytes: dataBytes * GROWTH,
    advice:
      'Make room on it; or give up the old copy: empty the volume and run ' +
      `pgswarm reclone ${cluster} ${server}`,
  });
}
