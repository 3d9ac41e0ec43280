/**
 * One look at the branch: fetched, its files read, and done for each cluster what `core/git/follow`
 * says. What is wrong with one cluster's file is that cluster's affair.
 */
import { clusterOf, type GitFiles, type ReadFile } from '../adapters/git/files';
import { type GitRepository } from '../adapters/git/repository';
import { type Validated } from '../adapters/files/documents';
import { OperatingError } from '../core/errors';
import { errorAt, formatFindings } from '../core/findings';
import { moveOf, type Head, type KnownCluster, type Move } from '../core/git/follow';
import { type Commit, type Followed } from '../core/git/source';
import { type GitSettings } from '../core/git/settings';
import { type SpecRecord } from '../core/spec';
import { type SourceTrouble } from '../core/status';
import { type SpecOffer, type Acceptance } from './accept-spec';

/** What became of a file, or of the cluster that it is about. */
export interface Fate {
  /** null: of no cluster that could be told. */
  readonly cluster: string | null;
  readonly path: string;
  readonly outcome: 'applied' | 'unchanged' | 'refused' | 'held' | 'deleted';
  /** The spec's, once it was applied. */
  readonly generation: number | null;
  /** For a person; null: there is nothing to say. */
  readonly message: string | null;
  /** The condition that it raises beside, or instead of, a refused spec. */
  readonly trouble: SourceTrouble | null;
}

export interface Round {
  readonly commit: Commit;
  readonly fates: readonly Fate[];
  readonly files: readonly ReadFile[];
  readonly records: readonly SpecRecord[];
}

export interface RoundPorts {
  readonly settings: GitSettings;
  readonly repository: GitRepository;
  readonly files: GitFiles;
  readonly records: () => Promise<readonly SpecRecord[]>;
  /** Cross-cluster checks included. */
  readonly validate: (document: unknown) => Promise<Validated>;
  readonly accept: (offer: Omit<SpecOffer, 'now' | 'digest'>) => Promise<Acceptance>;
  /** `stale` when it is not any more as it was when this was decided. */
  readonly remove: (cluster: string, followed: Followed | null) => Promise<void>;
  /** Into the cluster's history. */
  readonly note: (cluster: string, rule: string, message: string) => Promise<void>;
}

/** Rejects when the repository cannot be read. */
export async function lookAround(ports: RoundPorts, signal: AbortSignal): Promise<Round> {
  const { repository } = ports;
  const commit = await repository.fetch(signal);
  const records = await ports.records();
  const ours = new Set(records.flatMap(({ followed }) => followed?.path ?? []));
  const files = await ports.files.at(commit.id, ours, signal);
  const { branch, path, repository: url } = ports.settings;
  const head: Head = { repository: url, branch, path, commit, files };
  const fates: Fate[] = [];
  const names = new Set([
    ...files.flatMap(({ cluster }) => cluster ?? []),
    ...records.map(({ spec }) => spec.cluster),
  ]);
  for (const cluster of [...names].toSorted()) {
    const record = records.find(({ spec }) => spec.cluster === cluster);
    // What is being taken away is not looked at before it is gone.
    if (record !== undefined && record.deletion !== null) continue;
    const known = record === undefined ? null : await knownOf(ports, record, { commit, signal });
    const turn = { ports, head, files, cluster, followed: record?.followed ?? null, signal };
    fates.push(...(await act(turn, moveOf(head, cluster, known))));
  }
  const said = new Set(fates.map(({ path }) => path));
  const strays = files.filter(({ cluster, path }) => cluster === null && !said.has(path));
  return { commit, records, files, fates: [...fates, ...strays.map(stray)] };
}

async function knownOf(
  { repository }: RoundPorts,
  { spec, followed }: SpecRecord,
  { commit, signal }: { readonly commit: Commit; readonly signal: AbortSignal },
): Promise<KnownCluster> {
  const before = followed?.head.id ?? commit.id;
  const isDescendant =
    before === commit.id || (await repository.descends(commit.id, before, signal));
  const deletionPolicy = spec.deletionPolicy ?? 'retain';
  return { cluster: spec.cluster, followed: followed ?? null, isDescendant, deletionPolicy };
}

interface Turn {
  readonly ports: RoundPorts;
  readonly head: Head;
  readonly files: readonly ReadFile[];
  readonly cluster: string;
  readonly followed: Followed | null;
  readonly signal: AbortSignal;
}

async function act(turn: Turn, move: Move): Promise<readonly Fate[]> {
  const { ports, head, cluster, followed, signal } = turn;
  signal.throwIfAborted();
  switch (move.kind) {
    case 'settled':
      return followed === null ? [] : [fate(turn, followed.path, { outcome: 'unchanged' })];
    case 'take':
      return [await take(turn, move)];
    case 'refuse':
      return [await refuse(turn, move.path, move.because ?? findingsAt(turn, move.path))];
    case 'hold': {
      const { reason, because: message } = move;
      await ports.note(cluster, 'git-held', message);
      const trouble = { reason, message };
      return [fate(turn, followed?.path ?? '', { outcome: 'held', message, trouble })];
    }
    case 'delete':
      await ports.note(cluster, 'git-delete', `${move.because} (${describe(head.commit)})`);
      signal.throwIfAborted();
      await ports.remove(cluster, followed);
      return [fate(turn, followed?.path ?? '', { outcome: 'deleted', message: move.because })];
  }
}

async function take(turn: Turn, move: Move & { readonly kind: 'take' }): Promise<Fate> {
  const { ports, head, files, cluster, followed, signal } = turn;
  const { path, blob } = move.file;
  const file = files.find((each) => each.path === path);
  if (file === undefined || file.findings.length > 0) {
    return refuse(turn, path, findingsAt(turn, path));
  }
  const { spec, document, findings } = await ports.validate(file.document);
  if (spec === null) return refuse(turn, path, formatFindings(findings));
  const commit = await ports.repository.lastChange(head.commit.id, path, signal);
  const { repository, branch } = head;
  const { id, at } = head.commit;
  const from: Followed = { repository, branch, path, blob, head: { id, at }, commit };
  signal.throwIfAborted();
  const offer = { spec, document, source: { kind: 'git', path, commit } } as const;
  let accepted: Acceptance;
  try {
    accepted = await ports.accept({ ...offer, commit: { from, after: followed } });
  } catch (error) {
    // Too large to be kept, say: the files of other clusters are read all the same.
    if (!(error instanceof OperatingError) || error.kind !== 'refused') throw error;
    return refuse(turn, path, error.message);
  }
  const { outcome, generation } = accepted;
  if (move.remark !== null) await ports.note(cluster, 'git-rewritten', move.remark);
  if (outcome !== 'unchanged') {
    await ports.note(
      cluster,
      'git-commit',
      `generation ${generation}: ${describe(commit)}, ${path}`,
    );
  }
  const result = outcome === 'unchanged' ? 'unchanged' : 'applied';
  return fate(turn, path, { outcome: result, generation, message: move.remark });
}

async function refuse(turn: Turn, path: string, because: string): Promise<Fate> {
  const { ports, head, cluster, signal } = turn;
  const isThere = head.files.some((file) => file.path === path);
  const commit = isThere
    ? await ports.repository.lastChange(head.commit.id, path, signal)
    : head.commit;
  const message = `${path}, ${describe(commit)}: ${because}`;
  await ports.note(cluster, 'git-refused', `refused: ${message.slice(0, NOTE_MAX)}`);
  return fate(turn, path, { outcome: 'refused', message });
}

/** The history has room for a hundred of them; the condition has all of it. */
const NOTE_MAX = 1_000;

/** `commit 1a2b3c4 by Jane, 2026-01-01T00:00:00.000Z: Move the primary`. */
const describe = ({ id, author, at, subject }: Commit): string =>
  `commit ${id.slice(0, 7)} by ${author}, ${at}: ${subject}`;

const findingsAt = ({ files }: Turn, path: string): string =>
  formatFindings(files.find((file) => file.path === path)?.findings ?? []);

const fate = (
  { cluster }: Turn,
  path: string,
  what: Pick<Fate, 'outcome'> & Partial<Fate>,
): Fate => ({ cluster, path, generation: null, message: null, trouble: null, ...what });

/** A file of ours that cannot be read, and was nobody's before. */
function stray({ path, findings, document }: ReadFile): Fate {
  const unnamed = errorAt(`${path}: metadata.name`, 'the cluster has no name', 'give it one');
  const found = findings.length > 0 || clusterOf(document) !== null ? findings : [unnamed];
  const message = formatFindings(found);
  const trouble = { reason: 'FileRefused', message };
  const outcome = 'refused' as const;
  return { cluster: null, path, generation: null, outcome, message, trouble };
}

/** A condition has room for so many; the rest comes to light when these are corrected. */
const TOLD_MAX = 10;

/** Files that are about no cluster that there is: whoever looks at any of them may read it. */
export function homelessTrouble(
  fates: readonly Fate[],
  clusters: readonly string[],
): SourceTrouble | null {
  const homeless = fates.filter(
    ({ cluster, outcome }) => outcome === 'refused' && !clusters.includes(cluster ?? ''),
  );
  if (homeless.length === 0) return null;
  const told = homeless.slice(0, TOLD_MAX).map((fate) => fate.message ?? '');
  const rest = homeless.length - told.length;
  const message = [...told, ...(rest > 0 ? [`and ${rest} more files`] : [])].join('; ');
  return { reason: 'FileRefused', message };
}
