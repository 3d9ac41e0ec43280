/** Saves what only this server has, and reports it. */
import { type Fork } from '../../core/timelines';
import { type Performer } from '../perform';
import { readOwnWal, walSource } from './compare';
import { keepDivergedWal } from './kept-wal';

/** Returns when all of it is durable; nothing may be overwritten before. */
export async function putAside(
  performer: Performer,
  fork: Fork,
  signal: AbortSignal,
): Promise<void> {
  const { environment, state } = performer;
  const own = await readOwnWal(performer);
  const divergence = await keepDivergedWal({
    volume: environment.dataVolume,
    own,
    fork,
    source: await walSource(performer, own, signal),
    term: termOf(performer),
    now: new Date(),
  });
  if (divergence !== null) state.set({ divergence });
}

/** A standby has its WAL from the primary of the term before; a former primary wrote it itself. */
function termOf({ postgres, state }: Performer): number {
  const { assignment, marks } = state.values;
  const before = (assignment?.term ?? 1) - 1;
  const wasPrimary = postgres.report.state === 'stopped' && !postgres.report.standbySignal;
  return wasPrimary ? (marks.primaryTerm ?? before) : before;
}
