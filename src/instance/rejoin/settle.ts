/** The end of a way back: the server streams. */
import { type Action } from '../next-action';
import { type Performer } from '../perform';
import { readMarks, removeOldCopy } from '../volume';

/** Forgets what went wrong on the way, and removes the copy that a re-clone has replaced. */
export async function settle(
  { environment, state }: Performer,
  _: Extract<Action, { kind: 'settle' }>,
  signal: AbortSignal,
): Promise<void> {
  const { dataVolume } = environment;
  state.set({ rejoin: null });
  if (!state.values.marks.hasOldCopy) return;
  state.set({ busy: 'removing the copy from before the re-clone' });
  try {
    await removeOldCopy(dataVolume, signal);
  } finally {
    state.set({ marks: await readMarks(dataVolume), busy: null });
  }
}
