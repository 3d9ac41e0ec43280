/**
 * Writes what follows from the schema: types and defaults for the code, the reference for people.
 * `npm run generate`; test/tidy proves that both are fresh.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { compile } from 'json-schema-to-typescript';
import { format, resolveConfig } from 'prettier';

const ROOT = join(__dirname, '..');
const SCHEMA = 'crds/postgrescluster.schema.json';

interface Schema {
  readonly description?: string;
  readonly type?: string | readonly string[];
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
  readonly items?: Schema;
  readonly additionalProperties?: Schema | boolean;
  readonly enum?: readonly unknown[];
  readonly const?: unknown;
  readonly default?: unknown;
  readonly examples?: readonly unknown[];
  readonly minItems?: number;
  readonly maxItems?: number;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly 'x-form'?: string;
}

export interface GeneratedFile {
  /** Relative to the package. */
  readonly path: string;
  readonly text: string;
}

export async function generate(): Promise<GeneratedFile[]> {
  const source = readFileSync(join(ROOT, SCHEMA), 'utf8');
  return [
    { path: 'src/core/generated.ts', text: await renderTypes(source) },
    {
      path: 'docs/reference/postgrescluster.md',
      text: renderReference(JSON.parse(source) as Schema),
    },
  ];
}

async function renderTypes(source: string): Promise<string> {
  const schema = JSON.parse(source) as Parameters<typeof compile>[0];
  const types = await compile(schema, 'PostgresCluster', {
    bannerComment: `/** Generated from ${SCHEMA} by \`npm run generate\`; do not edit. */`,
    ignoreMinAndMaxItems: true,
    format: false,
  });
  const defaults = JSON.stringify(defaultsOf((schema as Schema).properties?.['spec'] ?? {}));
  const text = `${types}
/** Defaults of the spec's fields; under \`servers\` those of one server. */
export const DEFAULTS = ${defaults} as const;
`;
  const style = await resolveConfig(join(ROOT, 'src/core/generated.ts'));
  return format(text, { ...style, parser: 'typescript' });
}

/** The defaults below a schema, in the shape of the document; undefined when there are none. */
function defaultsOf(schema: Schema): unknown {
  if (schema.default !== undefined) return schema.default;
  if (schema.items !== undefined) return defaultsOf(schema.items);
  const entries = Object.entries(schema.properties ?? {})
    .map(([name, field]) => [name, defaultsOf(field)] as const)
    .filter(([, value]) => value !== undefined);
  return entries.length === 0 ? undefined : Object.fromEntries(entries);
}

// ── the reference ────────────────────────────────────────────────────────────────────────────

const FORMS: Readonly<Record<string, string>> = {
  duration: 'duration',
  size: 'size',
  subnet: 'IPv4 subnet',
  name: 'name',
};

function renderReference(schema: Schema): string {
  return [
    '# PostgresCluster',
    `<!-- Generated from ${SCHEMA} by \`npm run generate\`; do not edit. -->`,
    schema.description ?? '',
    'Durations are a number and one of `ms`, `s`, `m`, `h`, `d`: `500ms`, `5s`, `2m`. Sizes are a ' +
      'number and one of `B`, `kB`, `MB`, `GB`, `TB`, in units of 1024 as in PostgreSQL: `16MB`. ' +
      'A field that is not listed here is refused. `pgswarm validate -f FILE` names everything ' +
      'that is wrong with a file at once.',
    ...renderObject('', schema),
    '',
  ].join('\n\n');
}

/** The table of an object, then those of the objects below it. */
function renderObject(path: string, schema: Schema): string[] {
  const fields = Object.entries(schema.properties ?? {});
  if (fields.length === 0) return [];
  const rows = fields.map(([name, field]) => {
    const required = schema.required?.includes(name) === true;
    return [
      `\`${name}\``,
      typeOf(field),
      defaultOf(field, required),
      meaning(field),
      example(field),
    ];
  });
  const head = ['field', 'type', 'default', 'meaning', 'example'];
  const lines = [head, head.map(() => '---'), ...rows].map((row) => `| ${row.join(' | ')} |`);
  const below = fields.flatMap(([name, field]) => {
    const under = path === '' ? name : `${path}.${name}`;
    return field.items === undefined
      ? renderObject(under, field)
      : renderObject(`${under}[]`, field.items);
  });
  const title = path === '' ? [] : [`## ${path}`, schema.description ?? ''];
  return [...title, lines.join('\n'), ...below];
}

function typeOf(field: Schema): string {
  if (field.const !== undefined) return code(field.const);
  if (field.enum !== undefined) return field.enum.map(code).join(' or ');
  if (field.items !== undefined) {
    const bounds = `${field.minItems ?? 0} to ${field.maxItems ?? 'any number'}`;
    return `list (${bounds}) of ${typeOf(field.items)}`;
  }
  if (typeof field.additionalProperties === 'object') {
    return `map of name to ${typeOf(field.additionalProperties)}`;
  }
  const form = FORMS[field['x-form'] ?? ''];
  if (form !== undefined) return form;
  const type = [field.type ?? 'any'].flat().join(', ');
  return field.maximum === undefined ? type : `${type}, ${field.minimum ?? 0} to ${field.maximum}`;
}

function defaultOf(field: Schema, required: boolean): string {
  if (required) return '(required)';
  return field.default === undefined ? '' : code(field.default);
}

const meaning = (field: Schema): string => cell(field.description ?? '');
const example = (field: Schema): string =>
  field.examples?.[0] === undefined ? '' : code(field.examples[0]);
const code = (value: unknown): string =>
  `\`${cell(typeof value === 'string' ? value : JSON.stringify(value))}\``;
const cell = (text: string): string => text.replaceAll('|', '\\|');

async function main(): Promise<void> {
  for (const { path, text } of await generate()) writeFileSync(join(ROOT, path), text);
}

if (require.main === module) void main();
