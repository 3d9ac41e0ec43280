/**
 * What a person asks for with a verb goes into the cluster's record, by compare-and-set, so that it
 * outlives operators; the leader is then woken to read it.
 */
import { OperatingError } from '../core/errors';
import { type Store } from '../core/ports';
import { type ClusterState } from '../core/state';
import { withEvent } from '../core/transitions';
import { readSpec, readState } from './cluster';
import { refusal } from './exit';
import { type CliPorts } from './ports';

export interface Wish {
  /** The verb; the cluster's history shows the wish under it. */
  readonly verb: string;
  /** For the history: who wants what. */
  readonly message: string;
  /** The record with the wish in it, or the same record when there is nothing to write. */
  readonly grant: (state: ClusterState) => ClusterState;
}

export interface Granted {
  readonly before: ClusterState;
  /** The same as `before` when nothing had to be written. */
  readonly after: ClusterState;
}

/** The leader writes the same record: nobody is unlucky this often in a row. */
const ATTEMPTS_MAX = 5;

/** `grant` refuses by throwing, and is asked again when somebody else has written meanwhile. */
export async function fileWish(ports: CliPorts, cluster: string, wish: Wish): Promise<Granted> {
  const { store } = ports.connect();
  const granted = await withoutRace(async () => {
    const record = await readState(store, cluster);
    if (record === null) {
      throw refusal('NoRecord', `No operator has seen the cluster ${cluster} yet.`);
    }
    const before = record.value;
    const after = wish.grant(before);
    if (after !== before) {
      const event = { at: ports.now().toISOString(), rule: wish.verb, message: wish.message };
      await store.update(record, withEvent(after, event));
    }
    return { before, after };
  });
  await wakeLeader(store, cluster);
  return granted;
}

/** The leader reads a cluster's records again when its spec is written. */
const wakeLeader = (store: Store, cluster: string): Promise<void> =>
  withoutRace(async () => {
    const spec = await readSpec(store, cluster);
    await store.update(spec, spec.value);
  });

/** Reads and writes again as long as somebody else has written in between. */
async function withoutRace<T>(write: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await write();
    } catch (error) {
      if (!(error instanceof OperatingError) || error.kind !== 'stale') throw error;
      if (attempt < ATTEMPTS_MAX) continue;
      throw refusal('Stale', 'The cluster’s record is written all the time: try again.');
    }
  }
}
