/** Write-ahead logs as a tree: every promotion begins a branch where the WAL before it ended. */
import { type Lineage } from '../../../src/core/timelines';
import { type Lsn } from '../../../src/core/lsn';

export interface Branch {
  readonly systemIdentifier: string;
  readonly timeline: number;
  /** Where it left its parent; null for the first timeline. */
  readonly fork: Position | null;
}

export interface Position {
  readonly branch: Branch;
  readonly lsn: number;
}

/** Where the WAL of a new database cluster begins. */
export const FIRST_LSN = 0x3000000;
/** Length of every record: a commit, a checkpoint, the end of recovery. */
export const RECORD_BYTES = 0x80;

/** Whether everything up to `part` is in the WAL that ends at `whole`. */
export function contains(whole: Position, part: Position): boolean {
  let { branch, lsn } = whole;
  while (branch !== part.branch) {
    if (branch.fork === null) return false;
    lsn = Math.min(lsn, branch.fork.lsn);
    branch = branch.fork.branch;
  }
  return part.lsn <= lsn;
}

/** Where two logs part. */
export function commonAncestor(a: Position, b: Position): Position {
  for (let at: Position | null = a; at !== null; at = at.branch.fork) {
    for (let other: Position | null = b; other !== null; other = other.branch.fork) {
      if (other.branch === at.branch) {
        return { branch: at.branch, lsn: Math.min(at.lsn, other.lsn) };
      }
    }
  }
  throw new Error('the two logs have nothing in common');
}

/** What a promotion at this position begins. */
export function branchAt(fork: Position): Branch {
  const { systemIdentifier, timeline } = fork.branch;
  return { systemIdentifier, timeline: timeline + 1, fork };
}

export const after = ({ branch, lsn }: Position, records = 1): Position => ({
  branch,
  lsn: lsn + records * RECORD_BYTES,
});

export const lsnText = (lsn: number): Lsn => `0/${Math.floor(lsn).toString(16).toUpperCase()}`;

/** For people. */
export const positionText = ({ branch, lsn }: Position): string =>
  `${lsnText(lsn)} on timeline ${String(branch.timeline)}`;

/** What a server itself knows of its WAL: numbers of timelines, and where each one ended. */
export function lineageOf({ branch }: Position): Lineage {
  const history = [];
  for (let at = branch.fork; at !== null; at = at.branch.fork) {
    history.unshift({ timeline: at.branch.timeline, endLsn: lsnText(at.lsn) });
  }
  return { timeline: branch.timeline, history };
}

/** Why PostgreSQL refuses to stream `to` from `from`, by those numbers alone; null when it does not. */
export function streamRefusal(from: Position, to: Position): string | null {
  const { timeline } = to.branch;
  let { branch, lsn } = from;
  if (branch.timeline < timeline) return `highest timeline ${branch.timeline} is behind`;
  while (branch.timeline !== timeline) {
    if (branch.fork === null) return "requested timeline is not in this server's history";
    ({ branch, lsn } = branch.fork);
  }
  if (to.lsn <= lsn) return null;
  return branch === from.branch
    ? 'requested starting point is ahead of the WAL flush position of this server'
    : "requested starting point is not in this server's history";
}
