/** Every command with its arguments, options and examples; what they do is in `commands/`. */
import { Argument, Command, Option } from 'commander';
import { collect, count, duration, format, names, role, seconds, since, size } from './arguments';
import { COMMANDS } from './descriptions';
import { type ExitCode } from './exit';
import { lazy } from './lazy';
import { type CliPorts } from './ports';
import { withTargetOptions } from './restore-target';
import { version } from './version';
import { type Shell } from './completion';
import { type ApplyOptions } from './commands/apply';
import { type ArchiveOptions } from './commands/archive';
import { type BackupOptions, type BackupsOptions } from './commands/backup';
import { type ConnectOptions } from './commands/connect';
import { type DeleteOptions } from './commands/delete';
import { type DrillOptions } from './commands/drill';
import { type EventsOptions } from './commands/events';
import { type FenceOptions } from './commands/fence';
import { type LoadOptions } from './commands/load';
import { type LogsOptions } from './commands/logs';
import { type PlanOptions } from './commands/plan';
import { type PromoteOptions } from './commands/promote';
import { type PsqlOptions } from './commands/psql';
import { type RecloneOptions } from './commands/reclone';
import { type ReportOptions } from './commands/report';
import { type RestartOptions } from './commands/restart';
import { type RestoreOptions } from './commands/restore';
import { type SimulateOptions } from './commands/simulate';
import { type StatusOptions } from './commands/status';
import { type ValidateOptions } from './commands/validate';
import { type WhyOptions } from './commands/why';

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
    ...tellingCommands(ports, finished),
    ...actingCommands(ports, finished),
    ...archiveCommands(ports, finished),
    ...restoreCommands(ports, finished),
    ...maintenanceCommands(ports, finished),
    describe('completion')
      .addArgument(new Argument('<SHELL>', 'the shell').choices(['bash', 'zsh', 'fish']))
      .action((shell: Shell) => ports.output.print(lazy.completion().SCRIPTS[shell])),
    describe('version').action(() => ports.output.print(`pgswarm ${version()}`)),
  ];
  for (const command of commands) program.addCommand(command.copyInheritedSettings(program));
  program.addCommand(completing(ports, finished), { hidden: true });
  program.addHelpText('after', `\n${ENVIRONMENT}`);
  return program;
}

const ENVIRONMENT = `Environment:
  DOCKER_HOST, DOCKER_CONTEXT  a manager of the Swarm, as for docker itself
  NO_COLOR                     no colour

Exit codes: 0 done, 1 refused or failed (the reason is on standard error),
2 wrong usage.`;

/** Whatever follows -- is what the user has typed so far. */
const completing = (ports: CliPorts, finished: Finished): Command =>
  new Command('__complete')
    .argument('[WORDS...]')
    .action(async (words: string[], _, command: Command) => {
      if (command.parent === null) return;
      finished(await lazy.complete().run(ports, command.parent, words));
    });

// ── files ────────────────────────────────────────────────────────────────────────────────────

function fileCommands(ports: CliPorts, finished: Finished): Command[] {
  return [
    describe('validate')
      .requiredOption(
        '-f, --file <FILE>',
        'the file, - for standard input; may be repeated',
        collect,
      )
      .addOption(format('json', 'yaml'))
      .action(async (options: ValidateOptions) => {
        finished(await lazy.validate().run(ports, options));
      }),
    describe('plan')
      .requiredOption('-f, --file <FILE>', 'the file, - for standard input')
      .addOption(format('json', 'yaml'))
      .action(async (options: PlanOptions) => {
        finished(await lazy.plan().run(ports, options));
      }),
    describe('apply')
      .requiredOption('-f, --file <FILE>', 'the file, - for standard input')
      .option('--wait [SECONDS]', 'wait until the cluster is ready, 300 s at most', seconds)
      .option('--dry-run', 'check everything, write nothing')
      .option('-w, --watch', 'apply it again whenever it is saved, until Ctrl-C')
      .action(async (options: ApplyOptions) => {
        finished(await lazy.apply().run(ports, options));
      }),
  ];
}

// ── looking ──────────────────────────────────────────────────────────────────────────────────

function lookingCommands(ports: CliPorts, finished: Finished): Command[] {
  return [
    describe('status')
      .argument('[CLUSTER]', 'its name')
      .addOption(format('json', 'yaml'))
      .option('-w, --watch', 'show it again and again, until Ctrl-C')
      .action(async (cluster: string | undefined, options: StatusOptions) => {
        finished(await lazy.status().run(ports, cluster, options));
      }),
    describe('why')
      .argument('<CLUSTER>', 'its name')
      .addOption(format('json', 'yaml'))
      .action(async (cluster: string, options: WhyOptions) => {
        finished(await lazy.why().run(ports, cluster, options));
      }),
    describe('simulate')
      .argument('<CLUSTER>', 'its name')
      .requiredOption('--lose <NAMES>', 'nodes or servers, with commas; may be repeated', names)
      .addOption(format('json', 'yaml'))
      .action(async (cluster: string, options: SimulateOptions) => {
        finished(await lazy.simulate().run(ports, cluster, options));
      }),
    describe('connect')
      .argument('<CLUSTER>', 'its name')
      .addOption(role())
      .option('--with-password', 'with the owner’s password; mind who sees it')
      .action(async (cluster: string, options: ConnectOptions) => {
        finished(await lazy.connect().run(ports, cluster, options));
      }),
  ];
}

function tellingCommands(ports: CliPorts, finished: Finished): Command[] {
  return [
    describe('events')
      .argument('<CLUSTER>', 'its name')
      .option('-n, --number <N>', 'the newest N; without --since 20', count)
      .option('--since <TIME>', 'so long ago (2h), or a moment (2026-11-21T17:00:00Z)', since)
      .option('-l, --long', 'with what was seen, how long it took, and who applied the spec')
      .option('-w, --watch', 'go on until Ctrl-C')
      .addOption(format('json', 'yaml'))
      .action(async (cluster: string, options: EventsOptions) => {
        finished(await lazy.events().run(ports, cluster, options));
      }),
    describe('page').action(async () => {
      finished(await lazy.page().run(ports));
    }),
    describe('backups')
      .argument('<CLUSTER>', 'its name')
      .addOption(format('json', 'yaml'))
      .action(async (cluster: string, options: BackupsOptions) => {
        finished(await lazy.backup().backups(ports, cluster, options));
      }),
    describe('logs')
      .argument('<CLUSTER>', 'its name')
      .argument('[SERVER]', 'only this server')
      .option('-f, --follow', 'go on until Ctrl-C')
      .option('--tail <N>', 'lines from the end, of each server', count, 100)
      .action(async (cluster: string, server: string | undefined, options: LogsOptions) => {
        finished(await lazy.logs().run(ports, cluster, server, options));
      }),
    describe('report')
      .argument('<CLUSTER>', 'its name')
      .option('-o, --output <FILE>', 'where to; else a name with the time, in this folder')
      .action(async (cluster: string, options: ReportOptions) => {
        finished(await lazy.report().run(ports, cluster, options));
      }),
  ];
}

// ── acting ───────────────────────────────────────────────────────────────────────────────────

function actingCommands(ports: CliPorts, finished: Finished): Command[] {
  return [
    describe('psql')
      .argument('<CLUSTER>', 'its name')
      .argument('[ARGS...]', 'for psql, after --')
      .addOption(role())
      .option('--preview', 'in the preview of a restore; see pgswarm restore --preview')
      .action(async (cluster: string, args: string[], options: PsqlOptions) => {
        finished(await lazy.psql().run(ports, cluster, args, options));
      }),
    describe('delete')
      .argument('<CLUSTER>', 'its name')
      .option('--volumes', 'remove the data and archive volumes, too: all data is gone for good')
      .option('--yes', 'do not ask')
      .action(async (cluster: string, options: DeleteOptions) => {
        finished(await lazy.delete().run(ports, cluster, options));
      }),
    describe('promote')
      .argument('<CLUSTER>', 'its name')
      .argument('<SERVER>', 'the new primary')
      .option('--accept-data-loss', 'promote it although it lacks what others may have')
      .option('--primary-is-dead', 'vouch that the old primary does not come back')
      .option('--yes', 'do not ask')
      .option('--wait <SECONDS>', 'take the wish back if it is not done by then', seconds, 60)
      .action(async (cluster: string, server: string, options: PromoteOptions) => {
        finished(await lazy.promote().run(ports, cluster, server, options));
      }),
  ];
}

// ── maintenance ──────────────────────────────────────────────────────────────────────────────

function maintenanceCommands(ports: CliPorts, finished: Finished): Command[] {
  return [
    describe('pause')
      .argument('<CLUSTER>', 'its name')
      .action(async (cluster: string) => {
        finished(await lazy.pause().pause(ports, cluster));
      }),
    describe('resume')
      .argument('<CLUSTER>', 'its name')
      .action(async (cluster: string) => {
        finished(await lazy.pause().resume(ports, cluster));
      }),
    describe('fence')
      .argument('<CLUSTER>', 'its name')
      .argument('<SERVER>', 'the server')
      .option('--yes', 'do not ask')
      .action(async (cluster: string, server: string, options: FenceOptions) => {
        finished(await lazy.fence().fence(ports, cluster, server, options));
      }),
    describe('unfence')
      .argument('<CLUSTER>', 'its name')
      .argument('<SERVER>', 'the server')
      .action(async (cluster: string, server: string) => {
        finished(await lazy.fence().unfence(ports, cluster, server));
      }),
    describe('restart')
      .argument('<CLUSTER>', 'its name')
      .argument('[SERVER]', 'only this server')
      .option('--wait <SECONDS>', 'how long to wait for it', seconds, 600)
      .action(async (cluster: string, server: string | undefined, options: RestartOptions) => {
        finished(await lazy.restart().run(ports, cluster, server, options));
      }),
    describe('reclone')
      .argument('<CLUSTER>', 'its name')
      .argument('<SERVER>', 'the standby')
      .option('--yes', 'do not ask')
      .action(async (cluster: string, server: string, options: RecloneOptions) => {
        finished(await lazy.reclone().run(ports, cluster, server, options));
      }),
  ];
}

// ── archives and backups ─────────────────────────────────────────────────────────────────────

function archiveCommands(ports: CliPorts, finished: Finished): Command[] {
  return [
    describe('archive')
      .addArgument(new Argument('<ACTION>', 'pause or resume').choices(['pause', 'resume']))
      .argument('<CLUSTER>', 'its name')
      .option('--server <SERVER>', 'only on this server')
      .addOption(
        new Option('--for <DURATION>', 'how long, 24h at most')
          .argParser(duration)
          .default(30 * 60_000, '30m'),
      )
      .action(async (action: 'pause' | 'resume', cluster: string, options: ArchiveOptions) => {
        finished(await lazy.archive()[action](ports, cluster, options));
      }),
    describe('backup')
      .argument('<CLUSTER>', 'its name')
      .option('--server <SERVER>', 'the server that takes it')
      .addOption(
        new Option(
          '--method <METHOD>',
          'base: of the whole server; dump: of its databases, by pg_dump; snapshot: of the whole server, by the file system',
        )
          .choices(['base', 'dump', 'snapshot'])
          .default('base'),
      )
      .option('--incremental', 'only what has changed since the newest one on that server')
      .option('--plain', 'the data directory as it is, neither packed nor compressed')
      .option('--max-rate <SIZE>', 'read so much in a second at most, such as 50MB', size)
      .option('--wait <SECONDS>', 'how long to wait for it', seconds, 86_400)
      .option('--cancel', 'end the one that is under way, instead')
      .action(async (cluster: string, options: BackupOptions) => {
        finished(await lazy.backup().backup(ports, cluster, options));
      }),
    describe('drill')
      .argument('<CLUSTER>', 'its name')
      .option('--server <SERVER>', 'the server that makes it')
      .option('--wait <SECONDS>', 'how long to wait for it', seconds, 86_400)
      .option('--cancel', 'end the one that is under way, instead')
      .action(async (cluster: string, options: DrillOptions) => {
        finished(await lazy.drill().run(ports, cluster, options));
      }),
  ];
}

function restoreCommands(ports: CliPorts, finished: Finished): Command[] {
  return [
    withTargetOptions(describe('restore').argument('<CLUSTER>', 'its name'))
      .option('--accept', 'go on with what was restored')
      .option('--undo', 'go on with what was there before')
      .option('--preview', 'on a copy, to be looked at; the cluster is left alone')
      .option('--server <SERVER>', 'with --preview: the server that keeps the copy')
      .option('--end-preview', 'throw the copy away')
      .option('--yes', 'do not ask')
      .option('--wait <SECONDS>', 'how long to wait for it', seconds, 86_400)
      .action(async (cluster: string, options: RestoreOptions) => {
        finished(await lazy.restore().restore(ports, cluster, options));
      }),
    describe('load')
      .argument('<CLUSTER>', 'its name')
      .argument('<BACKUP>', 'id of a dump')
      .option('--database <NAME>', 'the database; without it that of the spec')
      .option('--replace', 'it may exist: replace it when the new one is whole')
      .option('--yes', 'do not ask')
      .option('--wait <SECONDS>', 'how long to wait for it', seconds, 86_400)
      .action(async (cluster: string, backup: string, options: LoadOptions) => {
        finished(await lazy.load().run(ports, cluster, backup, options));
      }),
  ];
}

// ── parts ────────────────────────────────────────────────────────────────────────────────────

function describe(name: keyof typeof COMMANDS): Command {
  const { does, summary, examples } = COMMANDS[name];
  const lines = examples.map((line) => `  $ ${line}`);
  return new Command(name)
    .summary(summary)
    .description(does)
    .addHelpText('after', `\nExamples:\n${lines.join('\n')}`);
}
