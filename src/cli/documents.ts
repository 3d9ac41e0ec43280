/** Files that the user names: read, checked, and their findings shown. */
import { readFileSync } from 'node:fs';
import { type OtherCluster } from '../core/checks';
import { formatFindings, type Finding } from '../core/findings';
import { type Spec } from '../core/spec';
import { parseDocument, readDocument, validate } from '../adapters/files/documents';
import { type Output } from './output';

export interface Checked {
  /** As the user named it. */
  readonly file: string;
  /** null exactly when one of the findings is an error. */
  readonly spec: Spec | null;
  readonly document: unknown;
  readonly findings: readonly Finding[];
}

/** Reads and checks one file; `-` is standard input. */
export function checkFile(file: string, others: readonly OtherCluster[]): Checked {
  const { document, findings } =
    file === '-' ? parseDocument(readFileSync(0, 'utf8'), 'stdin') : readDocument(file);
  if (document === undefined) return { file, spec: null, document, findings };
  return { file, ...validate(document, others) };
}

/** Shows everything that was found, or nothing. */
export function showFindings(output: Output, { file, findings }: Checked): void {
  if (findings.length === 0) return;
  output.note(`${file}:`);
  output.note(paintFindings(output, findings));
}

function paintFindings({ paint }: Output, findings: readonly Finding[]): string {
  return formatFindings(findings)
    .split('\n')
    .map((line) => {
      if (line.startsWith('  →')) return paint('dim', line);
      const [word = ''] = line.split(':', 1);
      return paint(word === 'error' ? 'bad' : 'warn', word) + line.slice(word.length);
    })
    .join('\n');
}
