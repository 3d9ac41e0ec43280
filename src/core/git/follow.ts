/**
 * What a branch's head means for one cluster, given what was taken for it before. A table of cases:
 *
 * - The branch moves on: what its file says is taken, when the file has changed.
 * - The branch is older than what was taken: an old copy of the repository that a new leader looks
 *   at, or a branch that was set back. It never moves a primary back (decision 14).
 * - The branch's history was written anew: followed, and said aloud.
 * - The file is gone: nothing is destroyed, unless the cluster's own spec has asked for that.
 */
import { describeCommit, shortId, type Commit, type Followed } from './source';

/** A file below the path that is about one of our kinds. */
export interface GitFile {
  readonly path: string;
  readonly blob: string;
  /** Whose file it is; null when that cannot be told. */
  readonly cluster: string | null;
}

export interface Head {
  readonly repository: string;
  readonly branch: string;
  /** Files below it are looked at; empty: all. */
  readonly path: string;
  readonly commit: Commit;
  /** Sorted by path. */
  readonly files: readonly GitFile[];
}

export interface KnownCluster {
  readonly cluster: string;
  /** null: it does not come from Git. */
  readonly followed: Followed | null;
  /** The head is what was taken last, or descends from it. */
  readonly isDescendant: boolean;
  readonly deletionPolicy: 'retain' | 'delete';
}

export type Move =
  | { readonly kind: 'settled' }
  | {
      readonly kind: 'take';
      readonly file: GitFile;
      /** What a person should know beyond the commit; null: nothing. */
      readonly remark: string | null;
    }
  /** The file stays out; the last good spec stays in force. */
  | { readonly kind: 'refuse'; readonly path: string; readonly because: string | null }
  /** Nothing is taken for this cluster. */
  | { readonly kind: 'hold'; readonly reason: HoldReason; readonly because: string }
  | { readonly kind: 'delete'; readonly because: string };

export type HoldReason = 'RepositoryOlder' | 'Orphaned' | 'PathEmpty';

/** What becomes of the cluster; `known` is null for one that is not in the store yet. */
export function moveOf(head: Head, cluster: string, known: KnownCluster | null): Move {
  const followed = known?.followed ?? null;
  const left = known?.isDescendant === false ? followed : null;
  if (left !== null && !isNewer(head, left)) return older(head, left);
  const own = head.files.filter((file) => file.cluster === cluster);
  const [file, ...more] = own;
  if (file === undefined) return gone(head, known);
  if (more.length > 0) return declaredTwice(cluster, own);
  if (left !== null) return { kind: 'take', file, remark: rewritten(head, left) };
  return isTaken(head, file, followed) ? SETTLED : { kind: 'take', file, remark: null };
}

const isTaken = (head: Head, file: GitFile, followed: Followed | null): boolean =>
  followed?.blob === file.blob &&
  followed.path === file.path &&
  followed.repository === head.repository &&
  followed.branch === head.branch;

const SETTLED: Move = { kind: 'settled' };

/** Whoever writes history anew makes a newer commit; an old copy has none. */
const isNewer = ({ commit }: Head, { head }: Followed): boolean =>
  Date.parse(commit.at) > Date.parse(head.at);

function older({ branch, commit }: Head, { head }: Followed): Move {
  const because = `${branch} is at ${describeCommit(commit)}, which is older than ${shortId(head.id)}, the one that was followed last: an old copy of the repository, or the branch was set back. To go back, commit it: git revert ${shortId(head.id)}`;
  return { kind: 'hold', reason: 'RepositoryOlder', because };
}

function rewritten({ repository, branch, commit }: Head, { head, ...before }: Followed): string {
  if (repository !== before.repository || branch !== before.branch) {
    return `${branch} of ${repository} is followed now, which does not descend from ${shortId(head.id)} (${before.branch} of ${before.repository})`;
  }
  return `the history of ${branch} was written anew: ${shortId(commit.id)} does not descend from ${shortId(head.id)}`;
}

function declaredTwice(cluster: string, files: readonly GitFile[]): Move {
  const paths = files.map(({ path }) => path);
  const because = `${cluster} is declared ${files.length} times, in ${paths.join(' and in ')}: keep one of them`;
  return { kind: 'refuse', path: paths[0] ?? '', because };
}

/** The name of the cluster stands in no file that could be read. */
function gone(head: Head, known: KnownCluster | null): Move {
  if (known?.followed == null) return SETTLED;
  const { cluster, followed, isDescendant, deletionPolicy } = known;
  const { path } = followed;
  const unreadable = head.files.filter((file) => file.cluster === null);
  if (unreadable.some((file) => file.path === path)) return { kind: 'refuse', path, because: null };
  const where = `${head.branch} at ${shortId(head.commit.id)}`;
  if (head.files.length === 0) {
    const because = `there is no file of a cluster in ${where} any more: is the path right?`;
    return { kind: 'hold', reason: 'PathEmpty', because };
  }
  // What cannot be read may be the file under another name; and what was not looked for is not gone.
  const isKnownGone = isDescendant && unreadable.length === 0 && isLookedAt(head, followed);
  if (deletionPolicy === 'delete' && isKnownGone) {
    const because = `${path} is gone from ${where}, and deletionPolicy is delete: the cluster is taken away, its volumes are kept`;
    return { kind: 'delete', because };
  }
  const because = `${path} is gone from ${where}: the cluster goes on as it is. Bring the file back, or run \`pgswarm delete ${cluster}\``;
  return { kind: 'hold', reason: 'Orphaned', because };
}

/** Another repository, branch or path may have been set meanwhile: that is no commit. */
const isLookedAt = (head: Head, { repository, branch, path }: Followed): boolean =>
  repository === head.repository &&
  branch === head.branch &&
  (head.path === '' || path === head.path || path.startsWith(`${head.path}/`));
