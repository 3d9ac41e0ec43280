/**
 * What may come next on a command line. The shells' scripts only ask; the answer comes from the program
 * that parses the commands, so that it knows every option, and from the Swarm, for names.
 */
import { type Argument, type Command, type Option } from 'commander';

/** Names that only the Swarm knows. */
export interface Names {
  readonly clusters: () => Promise<readonly string[]>;
  readonly servers: (cluster: string) => Promise<readonly string[]>;
  readonly nodes: (cluster: string) => Promise<readonly string[]>;
}

export interface Candidate {
  readonly text: string;
  readonly about: string;
}

export type Completion =
  | { readonly kind: 'candidates'; readonly candidates: readonly Candidate[] }
  /** The shell knows best. */
  | { readonly kind: 'files' };

/** `words` follow the program's name; the last one is being written. */
export async function complete(
  program: Command,
  words: readonly string[],
  names: Names,
): Promise<Completion> {
  const current = words.at(-1) ?? '';
  const found = await possible(program, words.slice(0, -1), current, names);
  if (found === 'files') return { kind: 'files' };
  const candidates = found.filter(({ text }) => text.startsWith(current));
  return { kind: 'candidates', candidates };
}

async function possible(
  program: Command,
  before: readonly string[],
  current: string,
  names: Names,
): Promise<readonly Candidate[] | 'files'> {
  const [name, ...rest] = before;
  if (name === undefined) return program.commands.flatMap(asCandidate);
  const command = program.commands.find((each) => each.name() === name);
  // What comes after -- is somebody else's.
  if (command === undefined || rest.includes('--')) return [];
  const awaited = optionAwaiting(command, rest.at(-1));
  const given = positionals(command, rest);
  if (awaited !== undefined) return valuesOf(awaited, given, current, names);
  if (current.startsWith('-')) return command.options.map(optionCandidate);
  const argument = argumentAt(command, given.length);
  return argument === undefined ? [] : argumentValues(argument, given, names);
}

const asCandidate = (command: Command): readonly Candidate[] =>
  command.name().startsWith('__') ? [] : [{ text: command.name(), about: command.summary() }];

const optionCandidate = ({ long, short, description }: Option): Candidate => ({
  text: long ?? short ?? '',
  about: description,
});

/** The option that `word` is, when its value comes next. */
function optionAwaiting({ options }: Command, word: string | undefined): Option | undefined {
  const option = options.find(
    ({ long, short }) => word !== undefined && (word === long || word === short),
  );
  return option !== undefined && (option.required || option.optional) ? option : undefined;
}

function positionals(command: Command, words: readonly string[]): readonly string[] {
  return words.filter(
    (word, index) =>
      !word.startsWith('-') && optionAwaiting(command, words[index - 1]) === undefined,
  );
}

function argumentAt({ registeredArguments }: Command, index: number): Argument | undefined {
  const last = registeredArguments.at(-1);
  return registeredArguments[index] ?? (last?.variadic === true ? last : undefined);
}

const plain = (texts: readonly string[]): readonly Candidate[] =>
  texts.map((text) => ({ text, about: '' }));

async function valuesOf(
  option: Option,
  [cluster = '']: readonly string[],
  current: string,
  names: Names,
): Promise<readonly Candidate[] | 'files'> {
  if (option.argChoices !== undefined) return plain(option.argChoices);
  if (option.flags.includes('<FILE>')) return 'files';
  if (option.flags.includes('<SERVER>')) return plain(await names.servers(cluster));
  if (option.long !== '--lose') return [];
  const known = [...(await names.nodes(cluster)), ...(await names.servers(cluster))];
  const begun = current.slice(0, current.lastIndexOf(',') + 1);
  return plain(known.map((name) => `${begun}${name}`));
}

async function argumentValues(
  argument: Argument,
  given: readonly string[],
  names: Names,
): Promise<readonly Candidate[]> {
  if (argument.argChoices !== undefined) return plain(argument.argChoices);
  if (argument.name() === 'CLUSTER') return plain(await names.clusters());
  return argument.name() === 'SERVER' ? plain(await names.servers(given.at(-1) ?? '')) : [];
}

// ── the shells ───────────────────────────────────────────────────────────────────────────────

export type Shell = 'bash' | 'zsh' | 'fish';

/** For the scripts: one candidate a line, a tab before what it is about. */
export const completionText = (completion: Completion): string =>
  completion.kind === 'files'
    ? ':files'
    : completion.candidates
        .map(({ text, about }) => (about === '' ? text : `${text}\t${about}`))
        .join('\n');

export const SCRIPTS: Readonly<Record<Shell, string>> = {
  bash: `# pgswarm completion bash > /etc/bash_completion.d/pgswarm
_pgswarm() {
  local IFS=$'\\n' current="\${COMP_WORDS[COMP_CWORD]}"
  local found=($(pgswarm __complete -- "\${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null))
  if [[ "\${found[0]}" == :files ]]; then
    compopt -o filenames 2>/dev/null
    COMPREPLY=($(compgen -f -- "$current"))
  else
    COMPREPLY=("\${found[@]%%$'\\t'*}")
  fi
}
complete -F _pgswarm pgswarm`,
  zsh: `#compdef pgswarm
# pgswarm completion zsh > "\${fpath[1]}/_pgswarm"
_pgswarm() {
  local -a found
  found=("\${(@f)$(pgswarm __complete -- "\${(@)words[2,CURRENT]}" 2>/dev/null)}")
  if [[ "\${found[1]}" == :files ]]; then
    _files
  else
    found=("\${(@)found//:/\\\\:}")
    found=("\${(@)found/$'\\t'/:}")
    _describe pgswarm found
  fi
}
compdef _pgswarm pgswarm`,
  fish: `# pgswarm completion fish > ~/.config/fish/completions/pgswarm.fish
function __pgswarm_complete
    set -l words (commandline -opc) (commandline -ct)
    set -l found (pgswarm __complete -- $words[2..-1] 2>/dev/null)
    if test "$found[1]" = :files
        __fish_complete_path (commandline -ct)
    else
        printf '%s\\n' $found
    end
end
complete -c pgswarm -f -a '(__pgswarm_complete)'`,
};
