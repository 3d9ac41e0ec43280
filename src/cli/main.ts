/** The command line: reads the arguments, runs one command, and turns what went wrong into a sentence. */
import { CommanderError } from 'commander';
import { messageOf } from '../core/errors';
import { createClock } from './clock';
import { DONE, FAILED, WRONG_USAGE, type ExitCode } from './exit';
import { openSwarm } from './lazy';
import { standardOutput } from './output';
import { type CliPorts, type SwarmAccess } from './ports';
import { buildProgram } from './program';

/** Runs one command; `argv` is what comes after the program's name. Gives the exit code. */
export async function runCli(argv: readonly string[], ports = realPorts()): Promise<number> {
  let code: number = DONE;
  const program = buildProgram(ports, (result) => {
    code = result;
  });
  try {
    if (argv.length === 0) program.outputHelp();
    else await program.parseAsync([...argv], { from: 'user' });
    return code;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? DONE : WRONG_USAGE;
    return explain(error, ports);
  }
}

function explain(error: unknown, { output }: CliPorts): ExitCode {
  const text =
    process.env['PGSWARM_LOG_LEVEL'] === 'debug' && error instanceof Error ? error.stack : null;
  output.note(`${output.paint('bad', 'pgswarm:')} ${text ?? messageOf(error)}`);
  return FAILED;
}

function realPorts(): CliPorts {
  let access: SwarmAccess | null = null;
  const signal = interruption();
  return {
    output: standardOutput(),
    connect: () => (access ??= openSwarm()),
    signal,
    now: () => new Date(),
    user: process.env['SUDO_USER'] ?? process.env['USER'] ?? 'unknown',
    clock: createClock(signal),
  };
}

/** A command that waits leaves at once on Ctrl-C; one that is busy is not waited for long. */
const LEAVE_TIMEOUT_MS = 1_000;
/** As shells say of a program that was interrupted. */
const INTERRUPTED = 130;

function interruption(): AbortSignal {
  const controller = new AbortController();
  process.once('SIGINT', () => {
    controller.abort();
    setTimeout(() => process.exit(INTERRUPTED), LEAVE_TIMEOUT_MS).unref();
  });
  return controller.signal;
}
