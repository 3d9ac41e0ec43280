/**
 * From a file to a spec, or to everything that is wrong with it at once: the text, the fields and
 * their types (`crds/`), and how they fit together (`core/checks`).
 */
import { closeSync, openSync, readFileSync, readSync } from 'node:fs';
import { join } from 'node:path';
import { Ajv, type ErrorObject, type ValidateFunction } from 'ajv';
import { checkSpec, type OtherCluster } from '../../core/checks';
import { type Draft } from '../../core/draft';
import { withDefaults } from '../../core/defaults';
import { errorAt, hasErrors, quoted, sortFindings, type Finding } from '../../core/findings';
import { messageOf } from '../../core/errors';
import { type PostgresCluster } from '../../core/generated';
import { nearest } from '../../core/nearest';
import { type Spec } from '../../core/spec';
import { foldErrors, type SchemaFinding } from './folding';
import { FILE_BYTES_MAX, parseYaml, tooLarge, type Parsed } from './yaml';

const KIND = 'PostgresCluster';
/** Kinds that one may look for, and what to do instead. */
const KINDS_ELSEWHERE: Readonly<Record<string, string>> = {
  Backup: 'run `pgswarm backup`',
  ScheduledBackup: `write it under spec.backup.schedules of the ${KIND}`,
  Restore: `use ${KIND}, the one kind there is`,
};

/** The same place seen from `src` and from `dist`. */
const SCHEMA_FILE = join(__dirname, '../../../crds/postgrescluster.schema.json');

/** Whoever has made more mistakes has taken another file. */
const ERRORS_MAX = 200;

export interface Validated {
  /** null exactly when one of the findings is an error. */
  readonly spec: Spec | null;
  readonly document: unknown;
  readonly findings: readonly Finding[];
}

/** Reads one document; nothing of its content has been judged yet. */
export function readDocument(path: string): Parsed {
  let bytes: Buffer;
  try {
    bytes = readStart(path, FILE_BYTES_MAX + 1);
  } catch (error) {
    return { document: undefined, findings: [unreadable(path, error)] };
  }
  return documentOf(bytes, path);
}

export interface Decoded extends Parsed {
  /** null when it is too large, or not text. */
  readonly text: string | null;
}

/** The document in a file's content; null: it is larger than any that is read. */
export function documentOf(bytes: Buffer | null, path: string): Decoded {
  if (bytes === null || bytes.length > FILE_BYTES_MAX) return { ...tooLarge(path), text: null };
  const text = decode(bytes);
  if (text !== null) return { ...parseDocument(text, path), text };
  const hint = 'save it as UTF-8: is it this file?';
  const finding = errorAt(path, 'the file is not text in UTF-8', hint);
  return { document: undefined, findings: [finding], text };
}

function decode(bytes: Buffer): string | null {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (error) {
    if (error instanceof TypeError) return null;
    throw error;
  }
}

export const parseDocument = (text: string, sourceName: string): Parsed =>
  parseYaml(text, sourceName);

/** Never reads more than it may use, whatever the path stands for. */
function readStart(path: string, bytesMax: number): Buffer {
  const file = openSync(path, 'r');
  try {
    const buffer = Buffer.alloc(bytesMax);
    let length = 0;
    let read: number;
    do {
      read = readSync(file, buffer, length, bytesMax - length, null);
      length += read;
    } while (read > 0 && length < bytesMax);
    return buffer.subarray(0, length);
  } finally {
    closeSync(file);
  }
}

const UNREADABLE: Readonly<Record<string, readonly [message: string, hint: string]>> = {
  ENOENT: ['there is no such file', 'check the path'],
  EISDIR: ['this is a directory', 'name the file in it'],
  EACCES: ['the file may not be read', 'check its permissions'],
};

function unreadable(path: string, error: unknown): Finding {
  const code = (error as NodeJS.ErrnoException).code ?? '';
  const known = Object.hasOwn(UNREADABLE, code) ? UNREADABLE[code] : undefined;
  const [message, hint] = known ?? [
    `the file cannot be read: ${messageOf(error)}`,
    'check the path',
  ];
  return errorAt(path, message, hint);
}

/** Everything that is right or wrong with a document; `others` are the clusters there are already. */
export function validate(document: unknown, others: readonly OtherCluster[] = []): Validated {
  const stranger = checkKind(document);
  if (stranger !== null) return { spec: null, document, findings: [stranger] };
  const validator = schemaValidator();
  const errors = validator(document) ? [] : (validator.errors ?? []);
  if (errors.length > ERRORS_MAX) return hopeless(document, errors);
  const faults = foldErrors(errors);
  const sound = withoutFaults(document, faults) as Draft<PostgresCluster>;
  const findings = sortFindings([
    ...faults.map(({ finding }) => finding),
    ...checkSpec(sound, others),
  ]);
  // No error means that the schema has found none: it is the whole document.
  const spec = hasErrors(findings) ? null : withDefaults(document as PostgresCluster);
  return { spec, document, findings };
}

/** Some of it, so that it is neither long to find out nor long to read. */
function hopeless(document: unknown, errors: readonly ErrorObject[]): Validated {
  const faults = foldErrors(errors.slice(0, ERRORS_MAX)).map(({ finding }) => finding);
  const message = `more than ${ERRORS_MAX} things are wrong`;
  const more = errorAt('document', message, 'correct these, and look again: is it this file?');
  return { spec: null, document, findings: [...sortFindings(faults), more] };
}

let compiled: ValidateFunction | null = null;

function schemaValidator(): ValidateFunction {
  if (compiled !== null) return compiled;
  const ajv = new Ajv({ strict: true, allErrors: true, verbose: true, allowUnionTypes: true });
  ajv.addVocabulary(['x-form']);
  compiled = ajv.compile(JSON.parse(readFileSync(SCHEMA_FILE, 'utf8')) as object);
  return compiled;
}

/** The fields of another kind say nothing about this one: no more is looked at. */
function checkKind(document: unknown): Finding | null {
  if (typeof document !== 'object' || document === null || Array.isArray(document)) {
    const hint = `begin with \`apiVersion: pgswarm.dev/v1\` and \`kind: ${KIND}\``;
    return errorAt('document', 'this is not a mapping', hint);
  }
  const { kind } = document as { readonly kind?: unknown };
  if (typeof kind !== 'string' || kind === KIND || nearest(kind, [KIND]) !== null) return null;
  const instead = Object.hasOwn(KINDS_ELSEWHERE, kind) ? KINDS_ELSEWHERE[kind] : undefined;
  if (instead !== undefined) return errorAt('kind', `${kind} is not part of this version`, instead);
  return errorAt('kind', `there is no kind ${quoted(kind)}`, `write \`kind: ${KIND}\``);
}

/**
 * A copy in which everything that is wrong is undefined. It keeps its place: the items of a list
 * keep their numbers, and a mapping with one wrong entry does not look empty.
 */
function withoutFaults(document: unknown, faults: readonly SchemaFinding[]): unknown {
  const copy = structuredClone(document);
  for (const { place } of faults) {
    let holder: unknown = { document: copy };
    for (const key of ['document', ...place.slice(0, -1)]) {
      holder = isHolder(holder) ? holder[key] : undefined;
    }
    const last = place.at(-1);
    if (last === undefined) return {};
    if (isHolder(holder) && Object.hasOwn(holder, last)) holder[last] = undefined;
  }
  return copy;
}

const isHolder = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null;
