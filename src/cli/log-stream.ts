/** A service's log, through the manager, wherever its containers run. */
import { finished } from 'node:stream/promises';
import { readFrames } from './frames';
import { splitLines } from './log-lines';
import { type CliPorts, type LogOptions } from './ports';

/** Calls back with each line; ends with the log, or with Ctrl-C. */
export async function followLog(
  { connect, signal }: CliPorts,
  service: string,
  options: Omit<LogOptions, 'signal'>,
  found: (line: string) => void,
): Promise<void> {
  const lines = splitLines(found);
  const stream = await connect().serviceLog(service, { ...options, signal });
  stream.on(
    'data',
    readFrames((_, bytes) => lines.push(bytes)),
  );
  try {
    await finished(stream);
  } catch (error) {
    if (!signal.aborted) throw error;
  }
  lines.flush();
}

/** The end of it, as it was written. */
export async function readLog(ports: CliPorts, service: string, tail: number): Promise<string> {
  const lines: string[] = [];
  await followLog(ports, service, { isFollowed: false, tail }, (line) => void lines.push(line));
  return lines.join('\n');
}
