/** A copy that is brought to a point and kept there, for people to look at. */
import { type RehearsalOutcome } from '../../core/restore/rehearsal';
import { type Copy } from './copy';
import { Throwaway, type RecoveryOrder, type ThrowawayAccess } from './throwaway';

export interface PreviewOptions {
  readonly copy: Copy;
  /** Id of the backup. */
  readonly backup: string;
  readonly recovery: RecoveryOrder;
  readonly access: ThrowawayAccess;
  readonly say: (words: string) => void;
  /** It can be looked at. */
  readonly onReady: (words: string, outcome: RehearsalOutcome) => void;
}

/**
 * Returns when the point cannot be reached, or its PostgreSQL has ended by itself: kept it is until it
 * is called off. Leaves nothing.
 */
export async function runPreview(
  options: PreviewOptions,
  signal: AbortSignal,
): Promise<RehearsalOutcome> {
  const { copy, backup, access, say, onReady } = options;
  const throwaway = new Throwaway({ ...copy.options, access });
  try {
    const beganMs = performance.now();
    await copy.materialise(signal, say);
    const unpackedMs = performance.now();
    const recovery = await throwaway.recover(options.recovery, signal);
    const durations = {
      unpackMs: Math.round(unpackedMs - beganMs),
      recoverMs: Math.round(performance.now() - unpackedMs),
      checkMs: 0,
    };
    const { restoredTo, problem, message, end } = recovery;
    const outcome = { backup, restoredTo, durations, problem };
    if (end === 'failed' || end === 'shut down') return outcome;
    onReady(message, outcome);
    await throwaway.ended(signal);
    const words = 'the PostgreSQL of the preview has ended by itself; its log says why';
    return { ...outcome, problem: { reason: 'PreviewEnded', message: words } };
  } finally {
    await throwaway.remove();
  }
}
