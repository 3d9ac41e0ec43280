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
  /** The spec that is in force; null for a new cluster. */
  readonly present: Spec | null;
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
    const nothing = { changes: [], consequences: [] };
    return { outcome: 'created', before: null, present: null, ...nothing, record: offer };
  }
  const { generation: before, deletion, spec } = present;
  const changes = specChanges(spec, offer.spec);
  if (changes.length === 0) {
    return {
      outcome: 'unchanged',
      before,
      present: spec,
      changes,
      consequences: [],
      record: present,
    };
  }
  const record = { ...offer, generation: before + 1, deletion };
  const consequences = consequencesOf(spec, offer.spec);
  return { outcome: 'changed', before, present: spec, changes, consequences, record };
}

/** One line for each field that changes: `~ spec.primary  pg1 → pg2`. */
export function changeLines(changes: readonly SpecChange[], paint: Paint): readonly string[] {
  const width = Math.max(0, ...changes.map(({ path }) => path.length));
  return changes.map(({ path, from, to, effect }) => {
    const name = path.padEnd(width);
    const how = effect === undefined ? '' : `  (${effect})`;
    if (from === null) return `  ${paint('good', '+')} ${name}  ${to ?? ''}${how}`;
    if (to === null) return `  ${paint('bad', '-')} ${name}  ${from}${how}`;
    return `  ${paint('warn', '~')} ${name}  ${from} → ${to}${how}`;
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
