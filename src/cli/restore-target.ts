/** The point of a restore as options of a command. */
import { type Command } from 'commander';
import { parseTarget, type RestoreTarget, type TargetDocument } from '../core/restore/target';
import { refusal } from './exit';

export interface TargetOptions extends Omit<TargetDocument, 'action'> {
  /** Id of the backup to begin with. */
  readonly backup?: string;
}

export const withTargetOptions = (command: Command): Command =>
  command
    .option('--time <TIME>', 'as it was then, such as 2026-11-21T17:14:59Z')
    .option('--lsn <LSN>', 'at a WAL position')
    .option('--xid <ID>', 'when this transaction had committed')
    .option('--name <NAME>', 'at a restore point, made by pg_create_restore_point()')
    .option('--immediate', 'as soon as the backup is consistent')
    .option('--latest', 'at the end of the WAL')
    .option('--exclusive', 'just before the point instead of just after it')
    .option('--timeline <ID>', 'on this timeline instead of the newest')
    .option('--backup <ID>', 'begin with this backup');

/**
 * The target, or a refusal with everything that is wrong with it. What is to be looked at is promoted:
 * paused at its point, it would hold the locks of whatever was under way there, on a table that was
 * about to be dropped above all.
 */
export function targetOf(options: TargetOptions): RestoreTarget {
  const { time, lsn, xid, name, immediate, latest, exclusive, timeline } = options;
  const point = { time, lsn, xid, name, immediate, latest, exclusive, timeline };
  const parsed = parseTarget({ ...point, action: 'promote' }, '');
  if (parsed.kind === 'target') return parsed.target;
  const words = parsed.findings.map(({ message, hint }) => `${message}: ${hint}`).join('; ');
  throw refusal('TargetInvalid', `The point is not clear: ${words}`);
}
