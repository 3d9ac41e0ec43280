#!/usr/bin/env node
/** The three entry points in one program. Each loads only what it needs: memory and time count. */
import { messageOf } from './core/errors';

/* eslint-disable @typescript-eslint/no-require-imports -- loaded when it is wanted, not before */
const ENTRY_POINTS = {
  operator: () => (require('./operator/main') as typeof import('./operator/main')).runOperator,
  instance: () => (require('./instance/main') as typeof import('./instance/main')).runInstance,
  cli: () => (require('./cli/main') as typeof import('./cli/main')).runCli,
};
/* eslint-enable @typescript-eslint/no-require-imports */

async function main(argv: readonly string[]): Promise<number> {
  if (argv[0] === 'operator') return ENTRY_POINTS.operator()(process.env);
  if (argv[0] === 'instance') return ENTRY_POINTS.instance()(process.env);
  return ENTRY_POINTS.cli()([...argv]);
}

main(process.argv.slice(2)).then(
  (code) => {
    process.exitCode = code;
  },
  (error: unknown) => {
    process.stderr.write(`pgswarm: ${messageOf(error)}\n`);
    process.exitCode = 1;
  },
);
