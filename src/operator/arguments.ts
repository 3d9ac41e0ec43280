/** `pgswarm operator`: options of its command line stand for variables of its environment. */
import { parseArgs } from 'node:util';
import { messageOf, OperatingError } from '../core/errors';

export const OPERATOR_USAGE =
  'Usage: pgswarm operator [--watch DIR]\n\n' +
  'Runs the operator in the foreground, on a manager of the Swarm, until SIGTERM.\n\n' +
  '  --watch DIR   apply each *.yaml in DIR when it changes (PGSWARM_WATCH)\n';

export type OperatorCall =
  { readonly kind: 'run'; readonly environment: NodeJS.ProcessEnv } | { readonly kind: 'usage' };

/** Throws `UsageError` for what it does not know. */
export function operatorCall(
  args: readonly string[],
  environment: NodeJS.ProcessEnv,
): OperatorCall {
  const { watch, help } = optionsIn(args);
  if (help === true) return { kind: 'usage' };
  if (watch === undefined) return { kind: 'run', environment };
  return { kind: 'run', environment: { ...environment, PGSWARM_WATCH: watch } };
}

function optionsIn(args: readonly string[]): { readonly watch?: string; readonly help?: boolean } {
  try {
    const options = { watch: { type: 'string' }, help: { type: 'boolean', short: 'h' } } as const;
    return parseArgs({ args: [...args], options }).values;
  } catch (error) {
    throw new OperatingError('refused', 'UsageError', `${messageOf(error)}\n${OPERATOR_USAGE}`);
  }
}
