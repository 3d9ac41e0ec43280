/** The one place that prints: lines, tables, colour, JSON, questions. */
import { createInterface } from 'node:readline/promises';
import { styleText } from 'node:util';
import Table from 'cli-table3';
import { dump } from 'js-yaml';

export type Tone = 'good' | 'warn' | 'bad' | 'dim' | 'strong';

export interface Output {
  /** Whether a person is likely to read what is printed. */
  readonly isTerminal: boolean;
  /** Results: standard output. */
  readonly print: (text: string) => void;
  /** Everything beside the result: reasons, progress, advice. Standard error. */
  readonly note: (text: string) => void;
  /** Shows `text` in place of what was shown before; only on a terminal. */
  readonly redraw: (text: string) => void;
  /** null when nobody is there to answer. */
  readonly ask: (question: string) => Promise<string | null>;
  readonly paint: Paint;
}

/** Gives a text a colour, or leaves it as it is. */
export type Paint = (tone: Tone, text: string) => string;

const STYLES: Readonly<Record<Tone, Parameters<typeof styleText>[0]>> = {
  good: 'green',
  warn: 'yellow',
  bad: 'red',
  dim: 'dim',
  strong: 'bold',
};

export const plain: Paint = (_, text) => text;
const coloured: Paint = (tone, text) => styleText(STYLES[tone], text, { validateStream: false });

const CLEAR_SCREEN = '\u001b[H\u001b[2J';

/** The terminal, or whatever standard output and standard error are. */
export function standardOutput(environment = process.env): Output {
  const { stdin, stdout, stderr } = process;
  const isTerminal = stdout.isTTY;
  if (isTerminal) fitTo(stdout.columns);
  // Whoever reads has read enough, as in `pgswarm why orders | head`.
  stdout.on('error', () => process.exit(0));
  const isColoured = isTerminal && (environment['NO_COLOR'] ?? '') === '';
  return {
    isTerminal,
    print: (text) => void stdout.write(`${text}\n`),
    note: (text) => void stderr.write(`${text}\n`),
    redraw: (text) => void stdout.write(`${CLEAR_SCREEN}${text}\n`),
    ask: (question) => (stdin.isTTY ? askTerminal(question) : Promise.resolve(null)),
    paint: isColoured ? coloured : plain,
  };
}

/** Ctrl-C and Ctrl-D are an answer, too: an empty one. */
async function askTerminal(question: string): Promise<string> {
  const prompt = createInterface({ input: process.stdin, output: process.stderr });
  const left = new AbortController();
  for (const event of ['SIGINT', 'close']) prompt.once(event, () => left.abort());
  try {
    return await prompt.question(question, { signal: left.signal });
  } catch {
    return '';
  } finally {
    prompt.close();
  }
}

/** Sentences are folded at this width, and at a narrower terminal's own. */
const WIDTH_MAX = 80;
const WIDTH_MIN = 20;
const GAP = 2;

/** Of the terminal; what no terminal reads is cut by nobody. One program has one terminal. */
let terminalColumns = Infinity;
const foldedAt = (): number => Math.min(WIDTH_MAX, terminalColumns);

/** From now on for a terminal of this width; Infinity: for none. */
export function fitTo(columns: number): void {
  terminalColumns = Math.max(columns, WIDTH_MIN);
}

/**
 * Columns without borders; the column `wide` is folded so that a line has at most 80 characters. Where
 * the terminal is too narrow for that, each row becomes a paragraph.
 */
export function table(
  head: readonly string[],
  rows: readonly (readonly string[])[],
  wide: number | null = null,
): string {
  const widths = head.map(
    (title, column) =>
      Math.max(title.length, ...rows.map((row) => printedLength(row[column] ?? ''))) + GAP,
  );
  if (wide !== null) widths[wide] = foldedWidth(widths, wide, head[wide]?.length ?? 0);
  const printed = widths.reduce((sum, width) => sum + width, -GAP);
  if (printed > terminalColumns) return stacked(head, rows);
  const drawn = new Table({
    head: [...head],
    colWidths: widths,
    wordWrap: true,
    chars: NO_BORDERS,
    style: { head: [], border: [], compact: true, 'padding-left': 0, 'padding-right': GAP },
  });
  drawn.push(...rows.map((row) => [...row]));
  return drawn
    .toString()
    .split('\n')
    .map((line) => line.trimEnd())
    .join('\n');
}

function foldedWidth(widths: readonly number[], wide: number, least: number): number {
  const others = widths.reduce((sum, width, column) => (column === wide ? sum : sum + width), 0);
  const own = widths[wide] ?? 0;
  return Math.min(own, Math.max(least + GAP, foldedAt() + GAP - others));
}

/** The first column is the title of each paragraph. */
function stacked(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const [, ...names] = head;
  const nameWidth = Math.max(0, ...names.map(({ length }) => length));
  return rows
    .map(([title = '', ...cells]) =>
      [title, ...cells.map((cell, index) => `  ${(names[index] ?? '').padEnd(nameWidth)}  ${cell}`)]
        .map((line) => line.trimEnd())
        .join('\n'),
    )
    .join('\n\n');
}

// eslint-disable-next-line no-control-regex -- colours are control characters
const COLOUR = /\u001b\[\d+m/g;
const printedLength = (text: string): number => text.replaceAll(COLOUR, '').length;

const NO_BORDERS = Object.fromEntries(
  ['top', 'bottom', 'left', 'right'].flatMap((side) => [
    [side, ''],
    [`${side}-mid`, ''],
    [`${side}-left`, ''],
    [`${side}-right`, ''],
  ]),
) as Record<string, string>;
Object.assign(NO_BORDERS, { mid: '', 'mid-mid': '', middle: '' });

/** What `-o` may ask for. */
export type Format = 'json' | 'yaml';

/** As `-o json` or `-o yaml` prints it. */
export const serialised = (value: unknown, format: Format): string =>
  format === 'json' ? json(value) : dump(JSON.parse(json(value))).trimEnd();

/** As `-o json` prints it. */
export const json = (value: unknown): string => JSON.stringify(value, null, 2);

/** Breaks a sentence into lines of at most 80 characters, or the terminal's width, each indented. */
export function fold(text: string, indent: number): string {
  const lines = [''];
  for (const word of text.split(' ')) {
    const line = lines.at(-1) ?? '';
    const longer = line === '' ? word : `${line} ${word}`;
    if (line !== '' && printedLength(longer) > foldedAt() - indent) lines.push(word);
    else lines[lines.length - 1] = longer;
  }
  return lines.map((line) => ' '.repeat(indent) + line).join('\n');
}
