#!/usr/bin/env node
/** The three entry points in one program. Each loads only what it needs. */
import { messageOf } from './core/errors';

async function main(argv: readonly string[]): Promise<number> {
  const [command] = argv;
  switch (command) {
    case 'operator':
      return (await import('./operator/main')).runOperator(process.env);
    case 'instance':
      return (await import('./instance/main')).runInstance(process.env);
    default:
      return (await import('./cli/main')).runCli([...argv]);
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
