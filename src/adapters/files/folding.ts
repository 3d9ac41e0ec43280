/**
 * The schema validator's errors in our sentences, one per place. The validator says what its rule
 * was; a user wants to know what to write.
 */
import { type ErrorObject } from 'ajv';
import { errorAt, fieldPath, quoted, type Finding } from '../../core/findings';
import { nearest } from '../../core/nearest';
import { parseDuration, parseSize, type Parsed } from '../../core/quantities';

interface Schema {
  readonly description?: string;
  readonly type?: string | readonly string[];
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly examples?: readonly unknown[];
  readonly enum?: readonly unknown[];
  readonly 'x-form'?: string;
}

/** A finding and the place in the document, as a list of keys, that it makes useless. */
export interface SchemaFinding {
  readonly finding: Finding;
  readonly place: readonly string[];
}

/** What the design has and this version has not, so that nobody looks for a spelling mistake. */
const LATER: Readonly<Record<string, string>> = {
  'spec.postgres.extensions': 'put the extensions into an image of your own, `spec.image`',
  'spec.paused': 'use `pgswarm pause`',
};

interface Said {
  readonly message: string;
  readonly hint: string;
}

/** Forms of a number with a unit: without the unit YAML makes it a number. */
const UNITS: readonly string[] = ['size', 'duration'];

/** What a text must look like, where a pattern alone would say nothing to people. */
const FORMS: Readonly<Record<string, (text: string) => Said | null>> = {
  size: (text) => problemOf(parseSize(text)),
  duration: (text) => problemOf(parseDuration(text)),
  name: (text) => ({
    message: `${quoted(text)} is not a name`,
    hint: 'use small letters, digits and `-`, at most 30 characters, such as pg1',
  }),
  identifier: (text) => ({
    message: `${quoted(text)} is not a plain PostgreSQL name`,
    hint: 'use small letters, digits and `_`, at most 63 characters',
  }),
  hostname: (text) => ({
    message: `${quoted(text)} is not a hostname`,
    hint: 'write it as `docker node ls` shows it',
  }),
  nodeId: (text) => ({
    message: `${quoted(text)} is not the id of a node`,
    hint: 'write all 25 characters, as `docker node ls` shows them; a name goes under `hostname`',
  }),
  labelValue: (text) => ({
    message: `${quoted(text)} is not a value of a label`,
    hint: 'write it on one line, as `docker node inspect` shows it',
  }),
  volume: (text) => ({
    message: `${quoted(text)} is not the name of a volume`,
    hint: 'write it as `docker volume ls` shows it on that node',
  }),
  backup: (text) => ({
    message: `${quoted(text)} is not the id of a backup`,
    hint: 'write it as `pgswarm backups` shows it, such as 20261121T020000Z',
  }),
  image: (text) => ({
    message: `${quoted(text)} is not the name of an image`,
    hint: 'write it as for `docker pull`',
  }),
};

const problemOf = (parsed: Parsed): Said | null => (parsed.kind === 'problem' ? parsed : null);

/** At most one finding for each place, in the validator's order. */
export function foldErrors(errors: readonly ErrorObject[]): SchemaFinding[] {
  const seen = new Set<string>();
  return errors
    .filter((error) => error.propertyName === undefined)
    .map(fold)
    .filter(({ finding }) => !seen.has(finding.path) && seen.add(finding.path));
}

function fold(error: ErrorObject): SchemaFinding {
  const place = error.instancePath
    .split('/')
    .slice(1)
    .map((key) => key.replaceAll('~1', '/').replaceAll('~0', '~'));
  const schema = (error.parentSchema ?? {}) as Schema;
  const params = error.params as Readonly<Record<string, unknown>>;
  if (error.keyword === 'required') {
    return missing(place, schema, String(params['missingProperty']));
  }
  if (error.keyword === 'additionalProperties') {
    return unknownField(place, schema, String(params['additionalProperty']));
  }
  if (error.keyword === 'propertyNames') return badKey(place, String(params['propertyName']));
  const path = pathOf(place);
  const { message, hint } = wrongValue(error, schema);
  return { place, finding: errorAt(path, message, hint) };
}

/** `['spec', 'servers', '0', 'port']` is `spec.servers[0].port`. */
const pathOf = (place: readonly string[]): string =>
  place.reduce((path, key) => (/^\d+$/.test(key) ? `${path}[${key}]` : fieldPath(path, key)), '');

function missing(place: readonly string[], schema: Schema, name: string): SchemaFinding {
  const field = schema.properties?.[name];
  const meaning = field?.description === undefined ? '' : ` (${firstSentence(field.description)})`;
  const example = exampleOf(name, field);
  const hint = example === null ? `add it${meaning}` : `add it, such as ${example}${meaning}`;
  // What is missing makes nothing useless: the other fields are still checked.
  return {
    place: [...place, name],
    finding: errorAt(fieldPath(pathOf(place), name), 'this field is required', hint),
  };
}

function unknownField(place: readonly string[], schema: Schema, name: string): SchemaFinding {
  const path = fieldPath(pathOf(place), name);
  const known = Object.keys(schema.properties ?? {});
  const later = Object.hasOwn(LATER, path) ? LATER[path] : undefined;
  const meant = nearest(name, known);
  const finding =
    later === undefined
      ? errorAt(
          path,
          `there is no field ${quoted(name)} here`,
          meant === null ? `known here: ${known.join(', ')}` : `did you mean \`${meant}\`?`,
        )
      : errorAt(path, `${quoted(name)} is not part of this version`, `remove it; ${later}`);
  return { place: [...place, name], finding };
}

const badKey = (place: readonly string[], name: string): SchemaFinding => ({
  place: [...place, name],
  finding: errorAt(
    fieldPath(pathOf(place), name),
    `${quoted(name)} is not a name of a label`,
    'write it without `=` and spaces: `rack: b`',
  ),
});

function wrongValue(error: ErrorObject, schema: Schema): Said {
  const value: unknown = error.data;
  const form = schema['x-form'] ?? '';
  if (error.keyword === 'type') return wrongType(value, schema);
  if (error.keyword === 'const' || error.keyword === 'enum') {
    return wrongChoice(value, schema, error);
  }
  if (form === 'node') return wrongNode(value);
  const said = typeof value === 'string' && value !== '' ? FORMS[form]?.(value) : null;
  return said ?? outOfBounds(error);
}

function wrongNode(value: unknown): Said {
  const given = Object.keys(value as object);
  const hint = 'keep exactly one of `hostname`, `id` and `labels`';
  if (given.length === 0) return { message: 'no node is chosen', hint };
  return { message: `the node is chosen ${given.length} times: ${given.join(', ')}`, hint };
}

const NOUNS: Readonly<Record<string, string>> = {
  object: 'a mapping (`name: value` lines)',
  array: 'a list (lines that begin with `-`)',
  string: 'a text',
  integer: 'a whole number',
  number: 'a number',
  boolean: 'true or false',
  null: 'nothing',
};

const nounOf = (type: string): string => NOUNS[type] ?? type;

function kindOf(value: unknown): string {
  if (value === null || value === undefined) return 'null';
  if (Array.isArray(value)) return 'array';
  return typeof value;
}

function wrongType(value: unknown, schema: Schema): Said {
  const wanted = [schema.type ?? []].flat();
  const kind = kindOf(value);
  const example = exampleOf(null, schema);
  const such = example === null ? '' : `, such as ${example}`;
  if (kind === 'null') {
    return { message: 'there is no value', hint: `write one${such}, or remove it` };
  }
  const isUnitless = typeof value === 'number' && UNITS.includes(schema['x-form'] ?? '');
  const said = isUnitless ? FORMS[schema['x-form'] ?? '']?.(String(value)) : null;
  if (said !== null && said !== undefined) return said;
  const message = `must be ${wanted.map(nounOf).join(' or ')}, and is ${nounOf(kind)}`;
  return {
    message,
    hint: quoting(value, wanted) ?? `write ${wanted.map(nounOf).join(' or ')}${such}`,
  };
}

/** YAML decides by the quotation marks what is a number. */
function quoting(value: unknown, wanted: readonly string[]): string | null {
  if (wanted.includes('string') && (typeof value === 'number' || typeof value === 'boolean')) {
    return `put it in quotation marks: "${String(value)}"`;
  }
  if (wanted.includes('integer') && typeof value === 'string' && /^\d+$/.test(value)) {
    return `write it without quotation marks: ${value}`;
  }
  return null;
}

function wrongChoice(value: unknown, schema: Schema, error: ErrorObject): Said {
  const params = error.params as { readonly allowedValue?: unknown };
  const allowed = (schema.enum ?? [params.allowedValue]).map(String);
  const shown = typeof value === 'object' && value !== null ? nounOf(kindOf(value)) : String(value);
  const meant = nearest(shown, allowed);
  const hint = `write ${(meant === null ? allowed : [meant]).join(' or ')}`;
  return { message: `${quoted(shown)} is not possible here`, hint };
}

/** Sentences for the bounds that the schema has. */
const BOUNDS: Readonly<
  Record<string, (limit: number) => readonly [message: string, hint: string]>
> = {
  minimum: (limit) => [`must be ${limit} or more`, 'use a larger number'],
  maximum: (limit) => [`must be ${limit} or less`, 'use a smaller number'],
  minLength: () => ['must not be empty', 'write a value'],
  maxLength: (limit) => [`is longer than ${limit} characters`, 'shorten it'],
  minItems: (limit) => [`must have ${limit} or more items`, 'add one'],
  maxItems: (limit) => [`has more than ${limit} items`, 'remove some'],
  minProperties: (limit) => [`must have ${limit} or more fields`, 'add one'],
  maxProperties: (limit) => [`has more than ${limit} fields`, 'remove some'],
};

function outOfBounds(error: ErrorObject): Said {
  const { limit } = error.params as { readonly limit?: number };
  const bound = BOUNDS[error.keyword]?.(limit ?? 0);
  if (bound === undefined) {
    return { message: error.message ?? 'is wrong', hint: 'see the reference' };
  }
  return { message: bound[0], hint: bound[1] };
}

function exampleOf(name: string | null, schema: Schema | undefined): string | null {
  const example = schema?.examples?.[0];
  if (example === undefined) return null;
  const text = typeof example === 'string' ? example : JSON.stringify(example);
  return name === null ? `\`${text}\`` : `\`${name}: ${text}\``;
}

const firstSentence = (text: string): string => text.split(/[.:](?: |$)/)[0] ?? text;
