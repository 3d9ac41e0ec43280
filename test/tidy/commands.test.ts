import { expect } from 'chai';
import { readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { buildProgram } from '../../src/cli/program';
import { NOWHERE } from '../../src/cli/reference';

const ROOT = join(__dirname, '../..');

const pages = [
  ...readdirSync(join(ROOT, 'docs'), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.md'))
    .map((name) => join(ROOT, 'docs', name)),
  join(ROOT, 'README.md'),
];
/** What the containers run, not people. */
const PROGRAMS = ['operator', 'instance'];
const { commands } = buildProgram(NOWHERE, () => undefined);

/** Commands in blocks, and those in the middle of a sentence. */
const commandLines = (text: string): readonly string[] =>
  [...text.matchAll(/(?:^|`)pgswarm ([a-z][^`\n]*)/gm)].map((match) => match[1]!);

/** What the program would not understand; verbs may be given as `fence|unfence`, or `fence`, `pause`. */
function unknownIn(line: string): readonly string[] {
  const words = line
    .split(/ # | -- /)[0]!
    .split(/[\s,[\]()]+/)
    .filter((word) => word !== '');
  return (words[0] ?? '').split(/\\?\|/).flatMap((verb) => {
    const command = commands.find((each) => each.name() === verb);
    if (command === undefined) return PROGRAMS.includes(verb) ? [] : [`pgswarm ${verb}`];
    const known = command.options.flatMap(({ long, short }) => [long, short]);
    return words
      .flatMap((word) => word.split(/\\?\|/))
      .map((word) => /^--?[a-z][a-z-]*/.exec(word)?.[0])
      .filter((option) => option !== undefined && option !== '--help' && !known.includes(option))
      .map((option) => `pgswarm ${verb} ${option}`);
  });
}

describe('commands that the pages tell people to run', () => {
  for (const page of pages) {
    it(relative(ROOT, page), () => {
      const unknown = commandLines(readFileSync(page, 'utf8')).flatMap(unknownIn);
      expect(unknown).to.deep.equal([]);
    });
  }

  it('are found out when they do not exist', () => {
    const text =
      'Run `pgswarm fly orders`, or:\n\n```sh\npgswarm status orders --wings # no\n```\n';
    expect(commandLines(text).flatMap(unknownIn)).to.deep.equal([
      'pgswarm fly',
      'pgswarm status --wings',
    ]);
  });
});
