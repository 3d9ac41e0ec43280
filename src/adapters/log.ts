/**
 * Log lines: JSON for machines, one readable line on a terminal. The message is a constant
 * sentence, what varies goes into fields. Anything under a name that smells of a secret is hidden.
 */
import { createLogger, format, transports, type Logger } from 'winston';

export type Log = Logger;

const SECRET = /password|secret|passfile|token|controlKey|rootKey/i;

const redact = format((info) => {
  for (const name of Object.keys(info)) if (SECRET.test(name)) info[name] = '[hidden]';
  return info;
});

const readable = format.printf(({ level, message, timestamp, ...fields }) => {
  const rest = Object.entries(fields).map(([name, value]) => `${name}=${JSON.stringify(value)}`);
  return [timestamp, level.padEnd(5), message, ...rest].join(' ');
});

/** A log whose every line carries `fields`, e.g. `{ component: 'operator', node: 'n1' }`. */
export function createLog(fields: Readonly<Record<string, string>>): Log {
  return createLogger({
    level: process.env['PGSWARM_LOG_LEVEL'] ?? 'info',
    defaultMeta: fields,
    format: format.combine(
      redact(),
      format.timestamp(),
      process.stdout.isTTY ? readable : format.json(),
    ),
    // eslint-disable-next-line @typescript-eslint/no-unsafe-class-instance-assignment -- winston types its transports in two ways
    transports: new transports.Console(),
  });
}
