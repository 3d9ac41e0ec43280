/** Adds to a cluster's history what happens outside of its decisions. */
import { OperatingError } from '../core/errors';
import { stateRecordName } from '../core/names';
import { type Store } from '../core/ports';
import { type ClusterEvent, type ClusterState } from '../core/state';
import { withEvent } from '../core/transitions';

/** The controller writes the same record: nobody is unlucky this often in a row. */
const TRIES_MAX = 5;

/** Whether it was written: what the history says already is not said twice, by no later leader. */
export async function noteEvent(
  store: Store,
  cluster: string,
  event: Omit<ClusterEvent, 'term'>,
): Promise<boolean> {
  for (let attempt = 1; ; attempt += 1) {
    const present = await store.read<ClusterState>(stateRecordName(cluster));
    if (present === null || isKnown(present.value, event)) return false;
    try {
      await store.update(present, withEvent(present.value, event));
      return true;
    } catch (error) {
      const isStale = error instanceof OperatingError && error.kind === 'stale';
      if (!isStale || attempt === TRIES_MAX) throw error;
    }
  }
}

const isKnown = (
  { events }: ClusterState,
  { rule, message }: Omit<ClusterEvent, 'term'>,
): boolean => events.some((each) => each.rule === rule && each.message === message);
