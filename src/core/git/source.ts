/** What is known of the commit that a spec comes from. */

export interface Commit {
  /** Git's full hash. */
  readonly id: string;
  /** Name of its author. */
  readonly author: string;
  /** ISO 8601; when it was made, not when what is in it was first written. */
  readonly at: string;
  /** First line of its message. */
  readonly subject: string;
}

/** What was taken for a cluster from a Git repository last; kept in the store, for later leaders. */
export interface Followed {
  /** Never with a password. */
  readonly repository: string;
  readonly branch: string;
  readonly path: string;
  /** Git's hash of the file's content. */
  readonly blob: string;
  /** The branch when the file was taken. What comes next must descend from it. */
  readonly head: Pick<Commit, 'id' | 'at'>;
  /** The last commit up to there that has changed the file. */
  readonly commit: Commit;
}

/** As people write it. */
export const shortId = (id: string): string => id.slice(0, 7);

/** `commit 1a2b3c4 by Jane Doe`. */
export const describeCommit = ({ id, author }: Pick<Commit, 'id' | 'author'>): string =>
  `commit ${shortId(id)} by ${author}`;

/** What `git log` is asked for. */
export const COMMIT_FORMAT = '--format=%H%x00%an%x00%cI%x00%s';

/** From that; whoever may push has written it, and it goes into records, logs and terminals. */
export function parseCommit(text: string): Commit {
  const [id = '', author = '', at = '', subject = ''] = text.trimEnd().split('\0');
  const date = new Date(at);
  // One that no calendar has is newer than nothing.
  const made = Number.isNaN(date.getTime()) ? new Date(0) : date;
  return {
    id,
    author: shortLine(author, 100),
    at: made.toISOString(),
    subject: shortLine(subject, 200),
  };
}

/** Without what moves a terminal's cursor, or turns the direction of what follows. */
const shortLine = (text: string, lengthMax: number): string =>
  text
    .replace(/[\s\p{Cc}\p{Cf}]+/gu, ' ')
    .trim()
    .slice(0, lengthMax);
