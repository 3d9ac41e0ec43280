/** A file's spec beside the one that is in force: what `apply` would make of it. */
import { hasErrors } from '../core/findings';
import { specRecordName } from '../core/names';
import { type Spec, type SpecRecord, upgradedSpec } from '../core/spec';
import { otherClusters } from '../operator/accept-spec';
import { checkFile, showFindings } from './documents';
import { type CliPorts } from './ports';
import { specChanges, type SpecChange } from './spec-changes';

export interface Proposal {
  readonly outcome: 'created' | 'changed' | 'unchanged';
  /** Generation that is in force; null for a new cluster. */
  readonly before: number | null;
  readonly changes: readonly SpecChange[];
  /** As it would be in the store. */
  readonly record: SpecRecord;
}

/** Reads, checks and compares a file; null when it has errors, which have been shown then. */
export async function propose(ports: CliPorts, file: string): Promise<Proposal | null> {
  const { store } = ports.connect();
  const checked = checkFile(file, await otherClusters(store));
  showFindings(ports.output, checked);
  const { spec, document, findings } = checked;
  if (spec === null || hasErrors(findings)) return null;
  const present = await store.read<SpecRecord>(specRecordName(spec.cluster));
  return compare(
    present === null ? null : upgradedSpec(present.value),
    offered(spec, document, ports),
  );
}

const offered = (spec: Spec, document: unknown, { now, user }: CliPorts): SpecRecord => ({
  generation: 1,
  spec,
  document,
  source: { kind: 'apply', by: user },
  appliedAt: now().toISOString(),
  appliedDigests: [],
  deletion: null,
});

function compare(present: SpecRecord | null, offer: SpecRecord): Proposal {
  if (present === null) return { outcome: 'created', before: null, changes: [], record: offer };
  const { generation: before, deletion } = present;
  const changes = specChanges(present.spec, offer.spec);
  if (changes.length === 0) return { outcome: 'unchanged', before, changes, record: present };
  const record = { ...offer, generation: before + 1, deletion };
  return { outcome: 'changed', before, changes, record };
}

/** One line for each field that changes: `spec.primary  pg1 → pg2`. */
export function changeLines(changes: readonly SpecChange[]): readonly string[] {
  const width = Math.max(0, ...changes.map(({ path }) => path.length));
  return changes.map(({ path, from, to }) => `  ${path.padEnd(width)}  ${movement(from, to)}`);
}

function movement(from: string | null, to: string | null): string {
  if (from === null) return `${to ?? ''} (new)`;
  return to === null ? `${from} (removed)` : `${from} → ${to}`;
}
