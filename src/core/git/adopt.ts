/** `failback: adopt`: whose file is to name the primary that there is now. */
import { type SpecRecord } from '../spec';
import { type ClusterState } from '../state';

export interface Adoption {
  readonly cluster: string;
  readonly from: string;
  readonly to: string;
  /** The commit's message. */
  readonly message: string;
}

/** null: the file is right as it is, or somebody else's affair. */
export function adoptionOf(record: SpecRecord, state: ClusterState | null): Adoption | null {
  const { spec, source, deletion } = record;
  const { override, primary, change, paused } = state ?? {};
  const isWanted = spec.failover.failback === 'adopt' && source.kind === 'git' && deletion === null;
  // What was decided otherwise since is not to be written down.
  const isOver = override?.declared !== spec.primary || primary === spec.primary;
  if (!isWanted || isOver || primary == null || change !== null || paused !== null) return null;
  const { cluster } = spec;
  const { from, reason, at, to } = override;
  const message = `${cluster}: ${primary} is the primary\n\nIt took over from ${from} at ${at}: ${reason}.\nspec.failover.failback is adopt, so the file says what is.\n`;
  return to === primary ? { cluster, from: spec.primary, to: primary, message } : null;
}
