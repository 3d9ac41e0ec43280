/** Every command with its arguments, options and examples; what they do is in `commands/`. */
import { Command, InvalidArgumentError, Option } from 'commander';
import { type ExitCode } from './exit';
import { lazy } from './lazy';
import { type CliPorts } from './ports';
import { version } from './version';
import { type ApplyOptions } from './commands/apply';
import { type ConnectOptions } from './commands/connect';
import { type DeleteOptions } from './commands/delete';
import { type EventsOptions } from './commands/events';
import { type LogsOptions } from './commands/logs';
import { type PlanOptions } from './commands/plan';
import { type PsqlOptions } from './commands/psql';
import { type RecloneOptions } from './commands/reclone';
import { type StatusOptions } from './commands/status';
import { type ValidateOptions } from './commands/validate';

type Finished = (code: ExitCode) => void;

/** The program; `finished` is told the exit code of the command that ran. */
export function buildProgram(ports: CliPorts, finished: Finished): Command {
  const program = new Command('pgswarm')
    .description(
      'PostgreSQL high availability on Docker Swarm: one file names the servers and the primary, pgswarm makes it so.',
    )
    .version(`pgswarm ${version()}`, '-V, --version')
    .exitOverride()
    .showSuggestionAfterError()
    .configureHelp({ sortSubcommands: false, helpWidth: 80 })
    .configureOutput({
      writeOut: (text) => ports.output.print(text.trimEnd()),
      writeErr: (text) => ports.output.note(text.trimEnd()),
      outputError: (text, write) => write(text.replace(/^error: /, 'pgswarm: ')),
    })
    .helpCommand('help [COMMAND]', 'help for a command');
  const commands = [
    ...fileCommands(ports, finished),
    ...lookingCommands(ports, finished),
    ...actingCommands(ports, finished),
  ];
  for (const command of commands) program.addCommand(command.copyInheritedSettings(program));
  program
    .command('version')
    .summary('the version of this program')
    .description('Says the version of this program.')
    .action(() => ports.output.print(`pgswarm ${version()}`));
  program.addHelpText('after', `\n${ENVIRONMENT}`);
  return program;
}

const ENVIRONMENT = `Environment:
  DOCKER_HOST, DOCKER_CONTEXT  a manager of the Swarm, as for docker itself
  NO_COLOR                     no colour

Exit codes: 0 done, 1 refused or failed (the reason is on standard error),
2 wrong usage.`;

// ── files ────────────────────────────────────────────────────────────────────────────────────

function fileCommands(ports: CliPorts, finished: Finished): Command[] {
  return [
    describe('validate', {
      does: 'Reads files and says everything that is wrong with them, at once. Works without Docker; with it, the clusters that there are count too.',
      summary: 'what is wrong with a file',
      examples: ['validate -f examples/pair.yaml', 'validate -f a.yaml -f b.yaml -o json'],
    })
      .requiredOption(
        '-f, --file <FILE>',
        'the file, - for standard input; may be repeated',
        collect,
      )
      .addOption(format('json'))
      .action(async (options: ValidateOptions) => {
        finished(await lazy.validate().run(ports, options));
      }),
    describe('plan', {
      does: 'Says what applying a file would change: in the spec, and then step by step in the Swarm, with the rule behind each step and the time without writes. Changes nothing.',
      summary: 'what applying a file would do',
      examples: ['plan -f examples/pair.yaml', 'plan -f orders.yaml -o json'],
    })
      .requiredOption('-f, --file <FILE>', 'the file, - for standard input')
      .addOption(format('json'))
      .action(async (options: PlanOptions) => {
        finished(await lazy.plan().run(ports, options));
      }),
    describe('apply', {
      does: 'Checks a file and makes it the spec of its cluster. The operator does the rest; with --wait, this command tells what it does until the cluster is ready.',
      summary: 'make a cluster as a file says',
      examples: ['apply -f examples/pair.yaml --wait', 'apply -f orders.yaml --dry-run'],
    })
      .requiredOption('-f, --file <FILE>', 'the file, - for standard input')
      .option('--wait [SECONDS]', 'wait until the cluster is ready, 300 s at most', seconds)
      .option('--dry-run', 'check everything, write nothing')
      .action(async (options: ApplyOptions) => {
        finished(await lazy.apply().run(ports, options));
      }),
  ];
}

// ── looking ──────────────────────────────────────────────────────────────────────────────────

function lookingCommands(ports: CliPorts, finished: Finished): Command[] {
  return [
    describe('status', {
      does: 'Shows roles, lag, term and timeline, whatever is not as it should be and why, and the last change of primary. Without a name: all clusters.',
      summary: 'how a cluster is',
      examples: ['status', 'status orders --watch', 'status orders -o json'],
    })
      .argument('[CLUSTER]', 'its name')
      .addOption(format('json', 'yaml'))
      .option('-w, --watch', 'show it again and again, until Ctrl-C')
      .action(async (cluster: string | undefined, options: StatusOptions) => {
        finished(await lazy.status().run(ports, cluster, options));
      }),
    describe('why', {
      does: 'Says for every server whether it may become primary now or exactly what is against it, what the operator does or waits for, and everything that it has found.',
      summary: 'why a cluster is as it is',
      examples: ['why orders'],
    })
      .argument('<CLUSTER>', 'its name')
      .action(async (cluster: string) => {
        finished(await lazy.why().run(ports, cluster));
      }),
    describe('connect', {
      does: 'Prints a libpq URI that names every server: clients find the primary by themselves, before and after a change (target_session_attrs).',
      summary: 'a URI that follows the primary',
      examples: ['connect orders', 'psql "$(pgswarm connect orders --with-password)"'],
    })
      .argument('<CLUSTER>', 'its name')
      .addOption(role())
      .option('--with-password', 'with the owner’s password; mind who sees it')
      .action(async (cluster: string, options: ConnectOptions) => {
        finished(await lazy.connect().run(ports, cluster, options));
      }),
    describe('events', {
      does: 'Shows what the operator has done with a cluster, newest last.',
      summary: 'what happened to a cluster',
      examples: ['events orders', 'events orders -n 5 -o json'],
    })
      .argument('<CLUSTER>', 'its name')
      .option('-n, --number <N>', 'how many', count, 20)
      .addOption(format('json'))
      .action(async (cluster: string, options: EventsOptions) => {
        finished(await lazy.events().run(ports, cluster, options));
      }),
    describe('logs', {
      does: 'Shows what the servers log, each line with its server: readable on a terminal, as it was written elsewhere.',
      summary: 'what the servers log',
      examples: ['logs orders', 'logs orders pg1 -f --tail 10'],
    })
      .argument('<CLUSTER>', 'its name')
      .argument('[SERVER]', 'only this server')
      .option('-f, --follow', 'go on until Ctrl-C')
      .option('--tail <N>', 'lines from the end, of each server', count, 100)
      .action(async (cluster: string, server: string | undefined, options: LogsOptions) => {
        finished(await lazy.logs().run(ports, cluster, server, options));
      }),
  ];
}

// ── acting ───────────────────────────────────────────────────────────────────────────────────

function actingCommands(ports: CliPorts, finished: Finished): Command[] {
  return [
    describe('psql', {
      does: 'Runs psql inside the Swarm, as the owner of the database. What comes after -- is given to psql; its exit code is passed on.',
      summary: 'psql on the primary or a standby',
      examples: ['psql orders', "psql orders --role ro -- -c 'SELECT now()'"],
    })
      .argument('<CLUSTER>', 'its name')
      .argument('[ARGS...]', 'for psql, after --')
      .addOption(role())
      .action(async (cluster: string, args: string[], options: PsqlOptions) => {
        finished(await lazy.psql().run(ports, cluster, args, options));
      }),
    describe('delete', {
      does: 'Takes a cluster away: services, network, secrets, records. The volumes with the data stay on their nodes, unless --volumes is given.',
      summary: 'take a cluster away',
      examples: ['delete orders', 'delete orders --volumes --yes'],
    })
      .argument('<CLUSTER>', 'its name')
      .option('--volumes', 'remove the data and archive volumes, too: all data is gone for good')
      .option('--yes', 'do not ask')
      .action(async (cluster: string, options: DeleteOptions) => {
        finished(await lazy.delete().run(ports, cluster, options));
      }),
    describe('reclone', {
      does: 'Says that the data of a standby is gone, and lets it be cloned again from the primary into its empty volume.',
      summary: 'clone a standby again whose data is gone',
      examples: ['reclone orders pg2 --yes'],
    })
      .argument('<CLUSTER>', 'its name')
      .argument('<SERVER>', 'the standby')
      .option('--yes', 'do not ask')
      .action(async (cluster: string, server: string, options: RecloneOptions) => {
        finished(await lazy.reclone().run(ports, cluster, server, options));
      }),
  ];
}

// ── parts ────────────────────────────────────────────────────────────────────────────────────

interface Description {
  readonly does: string;
  /** A few words for the list of commands. */
  readonly summary: string;
  readonly examples: readonly string[];
}

function describe(name: string, { does, summary, examples }: Description): Command {
  const lines = examples.map(
    (line) => `  $ ${line.startsWith('psql "') ? line : `pgswarm ${line}`}`,
  );
  return new Command(name)
    .summary(summary)
    .description(does)
    .addHelpText('after', `\nExamples:\n${lines.join('\n')}`);
}

const format = (...choices: readonly string[]): Option =>
  new Option('-o, --output <FORMAT>', 'for programs').choices([...choices]);

const role = (): Option =>
  new Option('--role <ROLE>', 'rw: the primary; ro: a standby if there is one')
    .choices(['rw', 'ro'])
    .default('rw');

const collect = (value: string, before: readonly string[] = []): readonly string[] => [
  ...before,
  value,
];

function count(text: string): number {
  if (/^\d{1,6}$/.test(text)) return Number(text);
  throw new InvalidArgumentError('It is not a whole number.');
}

function seconds(text: string): number {
  const value = count(text);
  if (value > 0) return value;
  throw new InvalidArgumentError('It must be more than 0.');
}
