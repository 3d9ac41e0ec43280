/** Joins the lines of PostgreSQL's log into messages. */
import { createInterface } from 'node:readline';
import { type Readable } from 'node:stream';
import { parseLogLine, type LogEntry, type LogLine } from './log-line';

/** DETAIL and HINT are written together with their message: later than this none comes. */
const PARTS_WAIT_MS = 20;
/** A statement may be megabytes long. */
const TEXT_LENGTH_MAX = 8000;

type MutableEntry = { -readonly [K in keyof LogEntry]: LogEntry[K] };

/**
 * Calls back with each message, its DETAIL, HINT, CONTEXT and STATEMENT as fields. Lines of other
 * processes between those of one message end it: PostgreSQL writes them in one piece.
 */
export class LogReader {
  readonly #onEntry: (entry: LogEntry) => void;
  #entry: MutableEntry | null = null;
  #pid: string | null = null;
  /** Field to which continuation lines belong; null means the message itself. */
  #part: string | null = null;
  #timer: NodeJS.Timeout | null = null;

  constructor(onEntry: (entry: LogEntry) => void) {
    this.#onEntry = onEntry;
  }

  follow(stream: Readable): void {
    const lines = createInterface({ input: stream, crlfDelay: Infinity });
    lines.on('line', (line) => this.read(line));
    lines.on('close', () => this.flush());
  }

  read(line: string): void {
    if (line.trim() === '') return;
    const parsed = parseLogLine(line);
    if (this.#entry === null || !this.#belongs(parsed)) this.#begin(parsed);
    else this.#append(parsed);
    this.#timer ??= setTimeout(() => this.flush(), PARTS_WAIT_MS);
  }

  /** Hands over the message that is being joined. */
  flush(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    const entry = this.#entry;
    this.#entry = null;
    if (entry !== null) this.#onEntry(entry);
  }

  #belongs(line: LogLine): boolean {
    if (line.kind === 'message') return false;
    return line.kind === 'continuation' || line.pid === this.#pid;
  }

  #begin(line: LogLine): void {
    this.flush();
    this.#part = null;
    if (line.kind === 'message') {
      this.#pid = line.pid;
      this.#entry = { ...line.entry };
      return;
    }
    this.#pid = line.kind === 'part' ? line.pid : null;
    this.#entry = { severity: 'info', level: 'LOG', message: line.text, fields: {} };
  }

  #append(line: LogLine): void {
    if (this.#entry === null || line.kind === 'message') return;
    if (line.kind === 'part') this.#part = line.name;
    const { fields, message } = this.#entry;
    if (this.#part === null) {
      this.#entry.message = bounded(`${message}\n${line.text}`);
      return;
    }
    const before = fields[this.#part];
    const text = before === undefined ? line.text : `${before}\n${line.text}`;
    this.#entry.fields = { ...fields, [this.#part]: bounded(text) };
  }
}

const bounded = (text: string): string =>
  text.length <= TEXT_LENGTH_MAX ? text : `${text.slice(0, TEXT_LENGTH_MAX)} […]`;
