/** Files beside the socket that answer PostgreSQL's commands without a question to anybody. */
import { rmSync, writeFileSync } from 'node:fs';
import { type Log } from '../../adapters/log';
import { messageOf } from '../../core/errors';

/**
 * It is there, or gone, when this returns. A mark only saves time: what keeps it from being set must
 * not keep anything else from being done.
 */
export function setMark(path: string, isSet: boolean, log: Pick<Log, 'warn'>): void {
  try {
    if (isSet) writeFileSync(path, '');
    else rmSync(path, { force: true });
  } catch (error) {
    log.warn('A mark for PostgreSQL cannot be set', { path, error: messageOf(error) });
  }
}
