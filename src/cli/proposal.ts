/** A file's spec beside the one that is in force: what `apply` would make of it. */
import { consequencesOf, type Consequence } from '../core/consequences';
import { hasErrors } from '../core/findings';
import { specRecordName } from '../core/names';
import { type Spec, type SpecRecord, upgradedSpec } from '../core/spec';
import { otherClusters } from '../operator/accept-spec';
import { checkFile, showFindings } from './documents';
import { fold, type Paint } from './output';
import { type CliPorts } from './ports';
import { specChanges, type SpecChange } from './spec-changes';

export interface Proposal {
  readonly outcome: 'created' | 'changed' | 'unchanged';
  /** Generation that is in force; null for a new cluster. */
  readonly before: number | null;
  readonly changes: readonly SpecChange[];
  readonly consequences: readonly Consequence[];
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
  if (present === null) {
    return { outcome: 'created', before: null, changes: [], consequences: [], record: offer };
  }
  const { generation: before, deletion } = present;
  const changes = specChanges(present.spec, offer.spec);
  if (changes.length === 0) {
    return { outcome: 'unchanged', before, changes, consequences: [], record: present };
  }
  const record = { ...offer, generation: before + 1, deletion };
  const consequences = consequencesOf(present.spec, offer.spec);
  return { outcome: 'changed', before, changes, consequences, record };
}

/** One line for each field that changes: `~ spec.primary  pg1 → pg2`. */
export function changeLines(changes: readonly SpecChange[], paint: Paint): readonly string[] {
  const width = Math.max(0, ...changes.map(({ path }) => path.length));
  return changes.map(({ path, from, to }) => {
    const name = path.padEnd(width);
    if (from === null) return `  ${paint('good', '+')} ${name}  ${to ?? ''}`;
    if (to === null) return `  ${paint('bad', '-')} ${name}  ${from}`;
    return `  ${paint('warn', '~')} ${name}  ${from} → ${to}`;
  });
}

/** What the change brings with it, after a blank line; nothing when it brings nothing. */
export function consequenceLines(
  consequences: readonly Consequence[],
  paint: Paint,
): readonly string[] {
  const lines = consequences.map(({ isFinal, text }) => {
    const title = isFinal ? paint('bad', 'cannot be undone:') : paint('warn', 'mind:');
    return `  ${fold(`${title} ${text}`, 4).trimStart()}`;
  });
  return lines.length === 0 ? [] : ['', ...lines];
}
