/** A cluster's timeline, as far as anybody can be asked. */
import { messageOf, OperatingError } from '../core/errors';
import { mergedHistory, type HistoryEntry } from '../core/history';
import { readState } from './cluster';
import { type CliPorts } from './ports';

export interface Told {
  readonly entries: readonly HistoryEntry[];
  /** Why the operators' volumes were not asked; null when they were. */
  readonly silence: string | null;
}

/** The store has the newest of it, also while no operator answers. `since` is ISO 8601. */
export async function historyOf(
  { connect }: CliPorts,
  cluster: string,
  since: string | null,
): Promise<Told> {
  const { store, operator } = connect();
  let silence: string | null = null;
  const kept = operator.history(cluster, since).catch((error: unknown) => {
    if (!(error instanceof OperatingError)) throw error;
    silence = messageOf(error);
    return [];
  });
  const state = await readState(store, cluster);
  const events = state?.value.events.filter(({ at }) => since === null || at >= since) ?? [];
  return { entries: mergedHistory(await kept, events), silence };
}
