/** The reference of all commands, made from the program that parses them. */
import { type Argument, type Command, type Option } from 'commander';
import { COMMANDS } from './descriptions';
import { refusal } from './exit';
import { plain } from './output';
import { type CliPorts } from './ports';
import { buildProgram } from './program';

/** `docs/reference/cli.md`. */
export function renderCliReference(): string {
  const program = buildProgram(NOWHERE, () => undefined);
  const commands = program.commands.filter((command) => command.name() in COMMANDS);
  return [
    '# The command line',
    '<!-- Generated from src/cli/program.ts by `npm run generate`; do not edit. -->',
    program.description(),
    commandTable(commands),
    'Docker is found as the `docker` command finds it: `DOCKER_HOST`, else `DOCKER_CONTEXT`, else the current context; it must be a manager of the Swarm. `NO_COLOR` turns colour off. Exit codes: 0 done, 1 refused or failed, with the reason on standard error, 2 wrong usage; `psql` passes on its own.',
    ...commands.map(section),
    '',
  ].join('\n\n');
}

const table = (rows: readonly (readonly string[])[]): string =>
  rows.map((row) => `| ${row.map(cell).join(' | ')} |`).join('\n');
const cell = (text: string): string => text.replaceAll('|', '\\|');

function commandTable(commands: readonly Command[]): string {
  const rows = commands.map((each) => [`[${each.name()}](#${each.name()})`, each.summary()]);
  return table([['command', 'for'], ['---', '---'], ...rows]);
}

function section(command: Command): string {
  const usage = `pgswarm ${command.name()} ${command.usage()}`.trim();
  const { examples } = COMMANDS[command.name() as keyof typeof COMMANDS];
  return [
    `## ${command.name()}`,
    command.description(),
    `\`\`\`\n${usage}\n\`\`\``,
    ...parameters(command),
    `\`\`\`sh\n${examples.join('\n')}\n\`\`\``,
  ].join('\n\n');
}

function parameters({ registeredArguments, options }: Command): readonly string[] {
  const rows = [...registeredArguments.map(argumentRow), ...options.map(optionRow)];
  return rows.length === 0
    ? []
    : [table([['argument or option', 'meaning'], ['---', '---'], ...rows])];
}

const argumentRow = (argument: Argument): readonly string[] => [
  `\`${argument.required ? argument.name() : `[${argument.name()}]`}\``,
  argument.description,
];

function optionRow({
  flags,
  description,
  argChoices,
  defaultValue,
  defaultValueDescription,
}: Option): readonly string[] {
  const choices = argChoices === undefined ? '' : ` (${argChoices.join(', ')})`;
  const preset =
    defaultValue === undefined
      ? ''
      : `; default ${defaultValueDescription ?? String(defaultValue)}`;
  return [`\`${flags}\``, `${description}${choices}${preset}`];
}

/** The reference does nothing and prints nothing. */
/** For a program that is only looked at. */
export const NOWHERE: CliPorts = {
  output: {
    isTerminal: false,
    print: () => undefined,
    note: () => undefined,
    redraw: () => undefined,
    ask: () => Promise.resolve(null),
    paint: plain,
  },
  connect: () => {
    throw refusal('NoSwarm', 'There is no Swarm here.');
  },
  signal: new AbortController().signal,
  now: () => new Date(0),
  user: '',
  clock: { monotonicMs: () => 0, pause: () => Promise.resolve(false) },
};
