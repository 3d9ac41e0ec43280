/** Connects the watched folder with the store: valid files are accepted, others are shown. */
import { validate, readDocument } from '../adapters/files/documents';
import { type Log } from '../adapters/log';
import { specRecordName } from '../core/names';
import { type SpecRecord } from '../core/spec';
import { acceptSpec, otherClusters } from './accept-spec';
import { type Operator } from './operator';
import { type Clock, type Store } from '../core/ports';
import { SpecFolder } from './spec-folder';

interface FolderSurroundings {
  readonly store: Store;
  readonly operator: Operator;
  readonly log: Log;
  readonly clock: Clock;
}

/** null when no folder is to be watched. */
export function watchFolder(
  folder: string | undefined,
  { store, operator, log, clock }: FolderSurroundings,
): SpecFolder | null {
  if (folder === undefined || folder === '') return null;
  return new SpecFolder(folder, {
    log,
    validate: async (path) => {
      const { document, findings } = readDocument(path);
      if (findings.length > 0) return { spec: null, document, findings };
      return validate(document, await otherClusters(store));
    },
    appliedDigests: async (cluster) =>
      (await store.read<SpecRecord>(specRecordName(cluster)))?.value.appliedDigests ?? [],
    accept: async ({ path, digest, spec, document }) => {
      const now = clock.now().toISOString();
      const source = { kind: 'file', path } as const;
      const { outcome, generation } = await acceptSpec(store, {
        spec,
        document,
        source,
        digest,
        now,
      });
      operator.refuseSpec(spec.cluster, null);
      log.info('watched file applied', { path, cluster: spec.cluster, outcome, generation });
    },
    refuse: (path, document, message) => {
      log.warn('watched file refused; the last good spec stays in force', { path, message });
      operator.refuseSpec(nameOf(document), `${path}: ${message}`);
    },
  });
}

/** The cluster that a faulty file is about, as far as it can be told. */
function nameOf(document: unknown): string | null {
  const name = (document as { metadata?: { name?: unknown } } | null | undefined)?.metadata?.name;
  return typeof name === 'string' ? name : null;
}
