#!/usr/bin/env node
/** The three entry points in one program. Each loads only what it needs: memory and time count. */
import type * as Cli from './cli/main';
import { messageOf } from './core/errors';
import type * as InstanceManager from './instance/main';
import type * as Operator from './operator/main';

/* eslint-disable @typescript-eslint/no-require-imports -- loaded when it is wanted, not before */
async function main(argv: readonly string[]): Promise<number> {
  switch (argv[0] ?? '') {
    case 'operator':
      return (require('./operator/main') as typeof Operator).runOperator(
        argv.slice(1),
        process.env,
      );
    case 'instance':
      return (require('./instance/main') as typeof InstanceManager).runInstance(process.env);
    default:
      return (require('./cli/main') as typeof Cli).runCli([...argv]);
  }
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
