/** `pgswarm report`: everything that somebody needs who is to help, in one file and without secrets. */
import { writeFileSync } from 'node:fs';
import { gzipSync } from 'node:zlib';
import { messageOf } from '../../core/errors';
import { DONE, refusal, type ExitCode } from '../exit';
import { type CliPorts } from '../ports';
import { sizeText } from '../quantity-text';
import { collectBundle } from '../report/bundle';
import { tarOf } from '../report/tar';

export interface ReportOptions {
  readonly output?: string;
}

export async function run(
  ports: CliPorts,
  cluster: string,
  options: ReportOptions,
): Promise<ExitCode> {
  const { output, now } = ports;
  const { files, missing } = await collectBundle(ports, cluster);
  const name = `pgswarm-report-${cluster}-${stamp(now())}`;
  const file = options.output ?? `${name}.tar.gz`;
  const inFolder = files.map(({ path, text }) => ({ path: `${name}/${path}`, text }));
  const packed = gzipSync(tarOf(inFolder, now()));
  write(file, packed);
  for (const each of missing) output.note(`not to be had: ${each}`);
  output.print(`${file}: ${files.length} files, ${sizeText(packed.length)}`);
  output.note('Passwords and keys are hidden; look through its logs before you hand it on.');
  return DONE;
}

/** `20260101T001200Z` */
const stamp = (at: Date): string => at.toISOString().replaceAll(/[-:]|\.\d+/g, '');

/** For the owner's eyes, and never over another file. */
function write(file: string, packed: Buffer): void {
  try {
    writeFileSync(file, packed, { mode: 0o600, flag: 'wx' });
  } catch (error) {
    const sentence = `The report cannot be written to ${file}: ${messageOf(error)}. Name another file with -o FILE.`;
    throw refusal('ReportNotWritten', sentence);
  }
}
