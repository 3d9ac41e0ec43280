/** Connects the Git repository with the store: what is at the branch's head becomes the spec. */
import { isDeepStrictEqual } from 'node:util';
import { validate } from '../adapters/files/documents';
import { postVerdict, type Verdict } from '../adapters/git/commit-status';
import { GitFiles } from '../adapters/git/files';
import { GitRepository, type Folders } from '../adapters/git/repository';
import { type Log } from '../adapters/log';
import { messageOf, OperatingError } from '../core/errors';
import { shortId, type Followed } from '../core/git/source';
import { type GitSettings, type Parsed } from '../core/git/settings';
import { specRecordName, stateRecordName } from '../core/names';
import { type Clock, type Store } from '../core/ports';
import { upgradedSpec, type SpecRecord } from '../core/spec';
import { upgraded, type ClusterState } from '../core/state';
import { type SourceTrouble } from '../core/status';
import { acceptSpec, otherClusters } from './accept-spec';
import { adoptAll, type Adopted } from './git-adopt';
import { GitFollower } from './git-follower';
import { homelessTrouble, lookAround, type Fate, type Round, type RoundPorts } from './git-round';
import { noteEvent } from './note-event';
import { type Operator } from './operator';

export interface SourceSurroundings {
  readonly store: Store;
  readonly operator: Pick<
    Operator,
    'clusters' | 'refuseSpec' | 'troubleSource' | 'specRecord' | 'written'
  >;
  readonly log: Log;
  readonly clock: Pick<Clock, 'now'>;
  readonly folders: Folders;
}

/** null when no repository is to be followed. Not started: only the leader follows. */
export function followGit(parsed: Parsed, surroundings: SourceSurroundings): GitFollower | null {
  if (parsed.kind === 'none') return null;
  if (parsed.kind === 'settings') return follower(parsed.settings, surroundings);
  // The clusters go on, and whoever looks at them sees it.
  const problem = new OperatingError('refused', 'GitSettings', parsed.message);
  return new GitFollower({
    ...idle,
    log: surroundings.log,
    look: () => Promise.reject(problem),
    troubled: (trouble) => showTrouble(surroundings, trouble),
  });
}

const idle = {
  pollMs: 30_000,
  adopt: () => Promise.reject(new Error('nothing is followed')),
  seen: () => undefined,
  report: () => undefined,
};

function follower(settings: GitSettings, surroundings: SourceSurroundings): GitFollower {
  const { store, log, folders } = surroundings;
  const repository = new GitRepository(settings, folders);
  const ports = roundPorts(settings, repository, surroundings);
  const state = async (cluster: string): Promise<ClusterState | null> => {
    const record = await store.read<ClusterState>(stateRecordName(cluster));
    return record === null ? null : upgraded(record.value);
  };
  return new GitFollower({
    log,
    pollMs: settings.pollMs,
    look: (signal) => lookAround(ports, signal),
    adopt: (round, signal) => adoptAll({ repository, state, note: ports.note }, round, signal),
    troubled: (trouble) => showTrouble(surroundings, trouble),
    seen: (round, adopted) => showRound(surroundings, round, adopted),
    report: (round) => void report(settings, log, round),
  });
}

function roundPorts(
  settings: GitSettings,
  repository: GitRepository,
  { store, operator, clock }: SourceSurroundings,
): RoundPorts {
  const now = (): string => clock.now().toISOString();
  return {
    settings,
    repository,
    files: new GitFiles(repository),
    records: () => specRecords(store),
    validate: async (document) => validate(document, await otherClusters(store)),
    accept: async (offer) => acceptSpec(store, { ...offer, digest: null, now: now() }),
    remove: async (cluster, followed) => markDeleted(store, cluster, followed),
    note: async (cluster, rule, message) => {
      const event = { at: now(), rule, message };
      if (await noteEvent(store, cluster, event)) operator.written(cluster);
    },
  };
}

async function specRecords(store: Store): Promise<readonly SpecRecord[]> {
  const records = await store.list();
  return records.flatMap(({ name, value }) =>
    name.endsWith('.spec') ? [upgradedSpec(value as SpecRecord)] : [],
  );
}

/** The volumes are kept, always: what a commit has removed a commit can bring back. */
async function markDeleted(
  store: Store,
  cluster: string,
  followed: Followed | null,
): Promise<void> {
  const record = await store.read<SpecRecord>(specRecordName(cluster));
  if (record === null || record.value.deletion !== null) return;
  const { spec, followed: present } = upgradedSpec(record.value);
  if (spec.deletionPolicy !== 'delete' || !isDeepStrictEqual(present ?? null, followed)) {
    const message = `${cluster} was changed meanwhile; it is looked at again`;
    throw new OperatingError('stale', 'DeletionOutrun', message);
  }
  await store.update(record, { ...record.value, deletion: { removeVolumes: false } });
}

// ── what people see ──────────────────────────────────────────────────────────────────────────

/** For the clusters that come from Git; for all of them while none does. */
function showTrouble({ operator }: SourceSurroundings, trouble: SourceTrouble): void {
  const all = operator.clusters();
  const followed = all.filter((cluster) => operator.specRecord(cluster)?.followed !== undefined);
  for (const cluster of followed.length > 0 ? followed : all) {
    operator.troubleSource(cluster, trouble);
  }
}

function showRound({ operator }: SourceSurroundings, round: Round, adopted: Adopted): void {
  const names = operator.clusters();
  const common = homelessTrouble(round.fates, names);
  for (const cluster of names) {
    const own = round.fates.filter((fate) => fate.cluster === cluster);
    const refused = own.find(({ outcome }) => outcome === 'refused');
    operator.refuseSpec(cluster, refused?.message ?? null);
    const trouble = own.find((fate) => fate.trouble !== null)?.trouble;
    operator.troubleSource(cluster, trouble ?? adopted.troubles.get(cluster) ?? common);
  }
}

// ── what other programs are told ─────────────────────────────────────────────────────────────

async function report(
  { repository, branch, statusUrl, statusHeaderFile }: GitSettings,
  log: Log,
  { commit, fates }: Round,
): Promise<void> {
  if (statusUrl === null) return;
  const files = fates.map(({ trouble: _, ...fate }) => fate);
  const verdict: Verdict = { repository, branch, commit, ...summaryOf(fates), files };
  try {
    await postVerdict(statusUrl, statusHeaderFile, verdict);
  } catch (error) {
    const fields = { commit: shortId(commit.id), message: messageOf(error) };
    log.warn('nobody could be told what became of a commit', fields);
  }
}

function summaryOf(fates: readonly Fate[]): Pick<Verdict, 'state' | 'description'> {
  const of = (outcome: Fate['outcome']): readonly Fate[] =>
    fates.filter((fate) => fate.outcome === outcome);
  const refused = of('refused').map(({ path }) => path);
  if (refused.length > 0) return { state: 'failure', ...line(`refused: ${refused.join(', ')}`) };
  const [held] = of('held');
  if (held !== undefined) return { state: 'pending', ...line(held.message ?? '') };
  const applied = of('applied').map(({ cluster }) => cluster);
  const text = applied.length === 0 ? 'in force' : `applied: ${applied.join(', ')}`;
  return { state: 'success', ...line(text) };
}

/** GitHub takes no more. */
const line = (text: string): { readonly description: string } => ({
  description: text.slice(0, 140),
});
