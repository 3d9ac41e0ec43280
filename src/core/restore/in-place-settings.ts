/** The settings of a copy that is looked at, until it is accepted. */
import { assignments, GENERATED, restoreCommand, type Machine } from '../settings';
import { targetParameters, type RestoreTarget } from './target';

/**
 * `pgswarm-restore.conf`: how far the copy is replayed, and what it may do then. Its timeline is in no
 * archive, so that one that is given up has never been.
 */
export function renderRestore(target: RestoreTarget, machine: Machine): string {
  const parameters = {
    ...targetParameters(target),
    archive_mode: 'off',
    default_transaction_read_only: 'on',
    restore_command: restoreCommand(machine, 'recover'),
    // What is written while nothing is archived is archived when it is accepted.
    wal_keep_size: '1TB',
  };
  return `${[GENERATED, ...assignments(parameters)].join('\n')}\n`;
}
