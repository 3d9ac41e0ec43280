/** Exit codes of every command. */
import { OperatingError } from '../core/errors';

export const DONE = 0;
/** Refused or failed; the reason is on standard error. */
export const FAILED = 1;
export const WRONG_USAGE = 2;

export type ExitCode = typeof DONE | typeof FAILED | typeof WRONG_USAGE;

/** What ends a command with one sentence on standard error. */
export const refusal = (code: string, sentence: string): OperatingError =>
  new OperatingError('refused', code, sentence);
