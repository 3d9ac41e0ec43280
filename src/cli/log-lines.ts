/** The servers' log lines, for people. */
import { type Paint, type Tone } from './output';

const TONES: Readonly<Record<string, Tone>> = { error: 'bad', warn: 'warn', debug: 'dim' };

/** Fields that are the same on every line of a server. */
const SAID_ELSEWHERE: readonly string[] = ['cluster', 'server', 'component', 'node'];

/** Puts chunks together to lines; `flush` gives the last one, which has no end. */
export function splitLines(found: (line: string) => void): {
  readonly push: (chunk: Buffer) => void;
  readonly flush: () => void;
} {
  let rest = Buffer.alloc(0);
  return {
    push: (chunk) => {
      rest = Buffer.concat([rest, chunk]);
      for (let end = rest.indexOf('\n'); end >= 0; end = rest.indexOf('\n')) {
        found(rest.subarray(0, end).toString());
        rest = rest.subarray(end + 1);
      }
    },
    flush: () => {
      if (rest.length > 0) found(rest.toString());
      rest = Buffer.alloc(0);
    },
  };
}

/** One of our JSON lines made readable; any other line as it is. */
export function readableLine(line: string, paint: Paint): string {
  const fields = parse(line);
  if (fields === null) return line;
  const { timestamp, level, message, ...others } = fields;
  const tone = TONES[textOf(level)];
  const said = tone === undefined ? textOf(message) : paint(tone, textOf(message));
  const extra = Object.entries(others)
    .filter(([name]) => !SAID_ELSEWHERE.includes(name))
    .map(([name, value]) => `${name}=${textOf(value)}`);
  const tail = extra.length === 0 ? '' : `  ${paint('dim', extra.join(' '))}`;
  return `${paint('dim', textOf(timestamp))}  ${said}${tail}`;
}

function parse(line: string): Readonly<Record<string, unknown>> | null {
  if (!line.startsWith('{')) return null;
  try {
    const value = JSON.parse(line) as Readonly<Record<string, unknown>>;
    return typeof value['message'] === 'string' ? value : null;
  } catch {
    return null;
  }
}

function textOf(value: unknown): string {
  if (typeof value === 'string') return value;
  return value === undefined ? '' : JSON.stringify(value);
}
