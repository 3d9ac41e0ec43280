import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { generate, type GeneratedFile } from '../../crds/generate';
import { generateDocuments } from '../../docs/generate';

const ROOT = join(__dirname, '../..');

interface Schema {
  readonly type?: string | readonly string[];
  readonly description?: string;
  readonly examples?: readonly unknown[];
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly items?: Schema;
  readonly additionalProperties?: Schema | boolean;
}

describe('generated files', function () {
  this.timeout(20_000);
  let files: readonly GeneratedFile[];
  before(async () => {
    files = await generate();
  });

  for (const path of ['src/core/generated.ts', 'docs/reference/postgrescluster.md']) {
    it(`${path} is what \`npm run generate\` writes`, () => {
      const file = files.find((one) => one.path === path);
      expect(readFileSync(join(ROOT, path), 'utf8')).to.equal(file?.text);
    });
  }
});

describe('documents made from the code', () => {
  for (const { path, text } of generateDocuments()) {
    it(`${path} is what \`npm run generate\` writes`, () => {
      expect(readFileSync(join(ROOT, path), 'utf8')).to.equal(text);
    });
  }
});

describe('the schema', () => {
  const file = join(ROOT, 'crds/postgrescluster.schema.json');
  const root = JSON.parse(readFileSync(file, 'utf8')) as Schema;

  it('describes every field, gives an example of every value, and leaves no object open', () => {
    const all = below('', root);
    expect(all.flatMap(({ path, schema }) => gapsOf(path, schema))).to.deep.equal([]);
    expect(all).to.have.length.above(25);
  });
});

interface Place {
  readonly path: string;
  readonly schema: Schema;
}

function below(path: string, schema: Schema): Place[] {
  const { properties = {}, items, additionalProperties: others } = schema;
  return [
    { path, schema },
    ...Object.entries(properties).flatMap(([name, field]) => below(`${path}.${name}`, field)),
    ...(items === undefined ? [] : below(`${path}[]`, items)),
    ...(typeof others === 'object' ? below(`${path}.*`, others) : []),
  ];
}

function gapsOf(path: string, schema: Schema): string[] {
  const isGroup = schema.properties !== undefined;
  const isItem = path.endsWith('[]') || path.endsWith('.*');
  const isOpen = isGroup
    ? schema.additionalProperties !== false
    : schema.type === 'object' && typeof schema.additionalProperties !== 'object';
  return [
    ...(schema.description === undefined ? [`${path}: no description`] : []),
    ...(!isGroup && !isItem && schema.examples === undefined ? [`${path}: no example`] : []),
    ...(isOpen ? [`${path}: takes any field`] : []),
  ];
}
