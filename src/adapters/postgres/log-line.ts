/** Lines of PostgreSQL's log, as `LOG_LINE_PREFIX` in core/settings.ts lays them out. */

export type Severity = 'debug' | 'info' | 'warn' | 'error';

export interface LogEntry {
  readonly severity: Severity;
  /** PostgreSQL's own word: `LOG`, `ERROR`, `FATAL`, … */
  readonly level: string;
  readonly message: string;
  readonly fields: Readonly<Record<string, string>>;
}

/** One line of standard error: a message, a further part of one, or more text of the last part. */
export type LogLine =
  | { readonly kind: 'message'; readonly pid: string | null; readonly entry: LogEntry }
  | {
      readonly kind: 'part';
      readonly pid: string | null;
      readonly name: string;
      readonly text: string;
    }
  | { readonly kind: 'continuation'; readonly text: string };

const PREFIX = /^\[\d+\.\d+\|(\d+)\|(\w{5})\|([^\]]*)\] (?:<([^>]*)> )?/;
/** Before the configuration is read PostgreSQL uses its own prefix: time, zone, process id. */
const EARLY_PREFIX = /^(?:[\d-]+ [\d:.]+ \S+ \[(\d+)\] |postgres: )?/;
const PART = /^(DETAIL|HINT|QUERY|CONTEXT|LOCATION|STATEMENT): {1,2}(.*)$/s;
const MESSAGE = /^([A-Z]+[1-5]?): {1,2}(.*)$/s;

/** Manual: "Message Severity Levels". A client's error is not the server's: it is only noted. */
const SEVERITIES: Readonly<Record<string, Severity>> = {
  LOG: 'info',
  INFO: 'info',
  NOTICE: 'info',
  WARNING: 'warn',
  ERROR: 'warn',
  FATAL: 'warn',
  PANIC: 'error',
};

export function parseLogLine(line: string): LogLine {
  // PostgreSQL puts a tab in front of every line of a message but its first.
  if (line.startsWith('\t')) return { kind: 'continuation', text: line.slice(1) };
  const match = PREFIX.exec(line);
  const rest = line.slice(match?.[0].length ?? 0);
  if (match !== null) return parseText(rest, match[1] ?? null, prefixFields(match));
  const early = EARLY_PREFIX.exec(line);
  return parseText(line.slice(early?.[0].length ?? 0), early?.[1] ?? null, {});
}

function parseText(
  text: string,
  pid: string | null,
  fields: Readonly<Record<string, string>>,
): LogLine {
  const part = PART.exec(text);
  if (part?.[1] !== undefined && part[2] !== undefined) {
    return { kind: 'part', pid, name: part[1].toLowerCase(), text: part[2] };
  }
  const [, level = 'LOG', message = text] = MESSAGE.exec(text) ?? [];
  const severity = SEVERITIES[level] ?? 'debug';
  return { kind: 'message', pid, entry: { severity, level, message, fields } };
}

function prefixFields([, pid, sqlstate, backend, session]: readonly (
  string | undefined
)[]): Readonly<Record<string, string>> {
  return {
    ...(pid === undefined ? {} : { pid }),
    ...(sqlstate === undefined || sqlstate === '00000' ? {} : { sqlstate }),
    ...(backend === undefined ? {} : { backend }),
    ...(session === undefined || session === '@' ? {} : { session }),
  };
}
