/** The second rung: taking the data directory back to where the upstream went its own way. */
import { join } from 'node:path';
import { writeDurably, readText } from '../../adapters/postgres/durable-files';
import { recoverAlone, RewindFailed, rewindDirectory } from '../../adapters/postgres/rewind';
import { awaitCheckpoint, sizeOfUpstream } from '../../adapters/postgres/upstream-check';
import { messageOf, OperatingError } from '../../core/errors';
import { type Upstream } from '../../core/protocol';
import {
  OWN_FILES,
  removeLeftOverLock,
  writeStandbySignal,
  writeUpstream,
} from '../data-directory';
import { type Action } from '../next-action';
import { type Performer } from '../perform';
import { dataDirectory, markRewinding, readMarks, unmarkRewinding } from '../volume';
import { standingTo } from './compare';
import { putAside } from './put-aside';
import { rejoinOf } from './ladder';
import { directoryBytes, requireRoom } from './room';

/** Before 16 pg_rewind reads a source's timeline from its last checkpoint. */
const SEES_PROMOTION_SINCE = 16;
/** Failures that another attempt would only repeat; all others are of the network or the machine. */
const DEFINITE: readonly string[] = ['RewindFailed', 'RecoveryFailed'];

/**
 * Rewinds, or finds that there is nothing to rewind. From the mark in the volume on it is never
 * broken off from here: a mark that is found later means that this data directory is lost.
 */
export async function rewind(
  performer: Performer,
  { upstream, because }: Extract<Action, { kind: 'rewind' }>,
  signal: AbortSignal,
): Promise<void> {
  const { environment, machine, postgres, secrets, state } = performer;
  const directory = dataDirectory(environment.dataVolume);
  const what = `rewinding to ${upstream.server}`;
  state.set({ busy: `${what}: ${because}` });
  try {
    // Looked at again: this may have waited for long, and the upstream have been replaced.
    const standing = await standingTo(performer, upstream, null, signal);
    state.set({ rejoin: { ...rejoinOf(state.values.rejoin, upstream), standing } });
    if (standing.kind !== 'diverged') return;
    await putAside(performer, standing.fork, signal);
    await requireRoomToRewind(performer, upstream);
    await stopInOrder(performer);
    if (machine.majorVersion < SEES_PROMOTION_SINCE) {
      await awaitCheckpoint(upstream, secrets.replication);
    }
    signal.throwIfAborted();
    await rewindMarked(performer, upstream, {
      because,
      onProgress: (progress) => state.set({ busy: `${what}, ${progress}` }),
    });
    state.set({ rejoin: null });
  } catch (error) {
    noteFailure(performer, upstream, error);
    throw error;
  } finally {
    state.set({ marks: await readMarks(environment.dataVolume), busy: null });
    await removeLeftOverLock(directory);
    await postgres.inspect();
  }
}

async function rewindMarked(
  { environment, machine }: Performer,
  upstream: Upstream,
  { because, onProgress }: { because: string; onProgress: (what: string) => void },
): Promise<void> {
  const { dataVolume, binDirectory } = environment;
  const directory = dataDirectory(dataVolume);
  const restore = await keepOwnFiles(directory);
  await markRewinding(dataVolume, `to ${upstream.server}: ${because}`);
  try {
    await rewindDirectory(upstream, { directory, machine, binDirectory, onProgress });
  } catch (error) {
    if (error instanceof RewindFailed && !error.isHalfDone) await unmarkRewinding(dataVolume);
    throw error;
  }
  // The source's files have come with its data: its name, its role, its upstream.
  await restore();
  await writeUpstream(directory, upstream, machine);
  await writeStandbySignal(directory);
  await unmarkRewinding(dataVolume);
}

/** Remembers the generated files; answers how to write them again. */
async function keepOwnFiles(directory: string): Promise<() => Promise<void>> {
  const files = await Promise.all(
    OWN_FILES.map(async (name) => ({
      path: join(directory, name),
      text: await readText(join(directory, name)),
    })),
  );
  return async () => {
    for (const { path, text } of files) if (text !== null) await writeDurably(path, text);
  };
}

/** A crashed server does not know where its WAL ends before it has replayed it. */
async function stopInOrder({ environment, postgres, state }: Performer): Promise<void> {
  const { report } = postgres;
  if (report.state !== 'stopped' || report.control?.clusterState.startsWith('shut down')) return;
  const directory = dataDirectory(environment.dataVolume);
  state.set({ busy: 'crash recovery before a rewind' });
  await removeLeftOverLock(directory);
  await recoverAlone(directory, environment.binDirectory);
}

/** Files of WAL are copied whole, relations only where they differ, or as far as they are new. */
async function requireRoomToRewind(
  { environment, secrets }: Performer,
  upstream: Upstream,
): Promise<void> {
  const { dataVolume } = environment;
  const { dataBytes, walBytes } = await sizeOfUpstream(upstream, secrets.replication);
  const ownBytes = await directoryBytes(join(dataDirectory(dataVolume), 'base'));
  await requireRoom(dataVolume, {
    reason: 'NoRoomToRewind',
    what: `rewinding to ${upstream.server}`,
    bytes: walBytes + Math.max(dataBytes - ownBytes, 0),
    advice: 'Make room on it',
  });
}

function noteFailure({ state }: Performer, upstream: Upstream, error: unknown): void {
  const isDefinite =
    (error instanceof OperatingError && DEFINITE.includes(error.code)) ||
    (error instanceof RewindFailed && error.isHalfDone);
  if (!isDefinite) return;
  const known = rejoinOf(state.values.rejoin, upstream);
  const words = messageOf(error).replaceAll(/\s+/g, ' ');
  state.set({ rejoin: { ...known, failed: { ...known.failed, rewind: words } } });
}
