/** `failback: adopt`: writes the primary that there is into the file of the cluster, by a commit. */
import { type ReadFile } from '../adapters/git/files';
import { editPrimary } from '../adapters/files/edit-primary';
import { type GitRepository } from '../adapters/git/repository';
import { messageOf, OperatingError } from '../core/errors';
import { adoptionOf, type Adoption } from '../core/git/adopt';
import { describeCommit } from '../core/git/source';
import { type SpecRecord } from '../core/spec';
import { type ClusterState } from '../core/state';
import { type SourceTrouble } from '../core/status';
import { type Round } from './git-round';

export interface AdoptPorts {
  readonly repository: GitRepository;
  readonly state: (cluster: string) => Promise<ClusterState | null>;
  readonly note: (cluster: string, rule: string, message: string) => Promise<void>;
}

export interface Adopted {
  /** The branch has moved, by us or by somebody else: look again now. */
  readonly isMoved: boolean;
  readonly troubles: ReadonlyMap<string, SourceTrouble>;
}

/** Only what is in force exactly as it stands at the head is changed. */
export async function adoptAll(
  ports: AdoptPorts,
  { commit, fates, files, records }: Round,
  signal: AbortSignal,
): Promise<Adopted> {
  const troubles = new Map<string, SourceTrouble>();
  for (const record of records) {
    const { cluster } = record.spec;
    const isSettled = fates.some(
      (fate) => fate.cluster === cluster && fate.outcome === 'unchanged',
    );
    const adoption = isSettled ? adoptionOf(record, await ports.state(cluster)) : null;
    const file = files.find((each) => each.cluster === cluster);
    if (adoption === null || file === undefined || !isApplied(file, record)) continue;
    try {
      // The next commit must come on top of this one.
      await adopt(ports, adoption, { file, head: commit.id }, signal);
      return { isMoved: true, troubles };
    } catch (error) {
      signal.throwIfAborted();
      if (error instanceof OperatingError && error.code === 'GitOutrun') {
        return { isMoved: true, troubles };
      }
      const message = `${file.path} could not be changed to primary: ${adoption.to} (failback: adopt): ${messageOf(error)}`;
      const reason = error instanceof OperatingError ? error.code : 'AdoptionFailed';
      await ports.note(cluster, 'git-adopt', message);
      troubles.set(cluster, { reason, message });
    }
  }
  return { isMoved: false, troubles };
}

const isApplied = ({ blob }: ReadFile, { followed }: SpecRecord): boolean =>
  followed?.blob === blob;

async function adopt(
  { repository, note }: AdoptPorts,
  { cluster, from, to, message }: Adoption,
  { file, head }: { readonly file: ReadFile; readonly head: string },
  signal: AbortSignal,
): Promise<void> {
  const edited = editPrimary(file.text ?? '', from, to);
  if (edited.kind === 'refused') {
    const text = `${edited.because}; write it there yourself`;
    throw new OperatingError('refused', 'AdoptionRefused', text);
  }
  const pushed = await repository.replace(
    { head, entry: file, text: edited.text, message },
    signal,
  );
  await note(cluster, 'git-adopt', `${describeCommit(pushed)} declares ${to} in ${file.path}`);
}
