/**
 * YAML text from a file, with bounds on everything that a file can make large: its length, its
 * depth, and what its aliases stand for.
 */
import { loadAll, YAMLException } from 'js-yaml';
import { errorAt, quoted, type Finding } from '../../core/findings';

/** No cluster's file is longer; Swarm's store could not keep one that is. */
export const FILE_BYTES_MAX = 1024 * 1024;
const DEPTH_MAX = 50;
/** Each may add as many levels again as a document has. */
const ALIASES_MAX = 100;
/** Values and characters once every alias is written out. */
const EXPANDED_MAX = 1_000_000;

export interface Parsed {
  /** undefined when nothing could be read. */
  readonly document: unknown;
  readonly findings: readonly Finding[];
}

const problem = (path: string, message: string, hint: string): Parsed => ({
  document: undefined,
  findings: [errorAt(path, message, hint)],
});

export const tooLarge = (sourceName: string): Parsed =>
  problem(
    sourceName,
    'the file is larger than 1 MB',
    'a cluster takes a few lines: is it this file?',
  );

/** The one document of a text. `sourceName` is shown in findings: a file's name, `stdin`. */
export function parseYaml(text: string, sourceName: string): Parsed {
  if (text.length > FILE_BYTES_MAX) return tooLarge(sourceName);
  let documents: unknown[];
  try {
    documents = loadAll(text, { maxDepth: DEPTH_MAX, maxAliases: ALIASES_MAX });
  } catch (error) {
    return notYaml(error, text, sourceName);
  }
  // A `---` at the end, or a comment before the first one, is an empty document.
  const [document, ...more] = documents.filter((found) => found !== null && found !== undefined);
  if (document === undefined) {
    return problem(sourceName, 'the file is empty', 'write one PostgresCluster, as in examples/');
  }
  if (more.length > 0) {
    const message = `the file holds ${more.length + 1} documents`;
    return problem(sourceName, message, 'write each cluster in a file of its own');
  }
  if (isTooLarge(document)) {
    return problem(sourceName, 'its aliases stand for too much', 'write the values themselves');
  }
  if (typeof document !== 'object' || Array.isArray(document)) {
    const kind = Array.isArray(document) ? 'a list' : 'a single value';
    return problem(
      sourceName,
      `the file holds ${kind}, and not a mapping`,
      'begin with `apiVersion: pgswarm.dev/v1` and `kind: PostgresCluster`',
    );
  }
  return { document, findings: [] };
}

function notYaml(error: unknown, text: string, sourceName: string): Parsed {
  const reason = error instanceof YAMLException ? error.reason : String(error);
  const mark = error instanceof YAMLException ? error.mark : undefined;
  if (mark === undefined) return problem(sourceName, `not YAML: ${reason}`, 'correct the file');
  const line = text.split(/\r\n|\r|\n/)[mark.line] ?? '';
  const path = `${sourceName}:${mark.line + 1}:${mark.column + 1}`;
  const hint =
    line.trim() === '' ? 'look at the lines above' : `look at this line: ${quoted(line.trim())}`;
  return problem(path, `not YAML: ${reason}`, hint);
}

/** Counts with every alias written out, and stops early: an alias may even stand for itself. */
function isTooLarge(document: unknown): boolean {
  const open: unknown[] = [document];
  let size = 0;
  while (open.length > 0) {
    const value = open.pop();
    size += typeof value === 'string' ? value.length + 1 : 1;
    if (typeof value === 'object' && value !== null) {
      const entries = Object.entries(value as Readonly<Record<string, unknown>>);
      for (const [key, item] of entries) {
        size += key.length;
        open.push(item);
      }
    }
    if (size > EXPANDED_MAX) return true;
  }
  return false;
}
