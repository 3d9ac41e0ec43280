import { expect } from 'chai';
import { editPrimary } from '../../src/adapters/files/edit-primary';

const before = (line: string, more = ''): string =>
  `# primary: pg1 is where it began\nmetadata: { name: orders }\nspec:\n${line}\n  servers: [{ name: pg1 }, { name: pg2 }]\n${more}`;

describe('changing the declared primary in a file', () => {
  const EDITS: readonly (readonly [name: string, text: string, after: string])[] = [
    ['a line', before('  primary: pg1'), before('  primary: pg2')],
    ['a line with a comment', before('  primary:   pg1 # why'), before('  primary:   pg2 # why')],
    ['quotation marks', before(`  primary: 'pg1'`), before(`  primary: 'pg2'`)],
    ['a quoted key', before(`  "primary": "pg1"`), before(`  "primary": "pg2"`)],
    [
      'braces',
      'metadata: { name: orders }\nspec: { primary: pg1, servers: [] }\n',
      'metadata: { name: orders }\nspec: { primary: pg2, servers: [] }\n',
    ],
    [
      'the same words elsewhere',
      before('  primary: pg1', '  labels: { primary: pg1 }\n'),
      before('  primary: pg2', '  labels: { primary: pg1 }\n'),
    ],
    [
      'line ends of Windows, and a byte order mark',
      `\uFEFF${before('  primary: pg1').replaceAll('\n', '\r\n')}`,
      `\uFEFF${before('  primary: pg2').replaceAll('\n', '\r\n')}`,
    ],
  ];
  for (const [name, text, after] of EDITS) {
    it(`keeps all else: ${name}`, () => {
      expect(editPrimary(text, 'pg1', 'pg2')).to.deep.equal({ kind: 'edited', text: after });
    });
  }

  const REFUSALS: readonly (readonly [name: string, text: string])[] = [
    ['an anchor', before('  primary: &first pg1')],
    ['an alias', before('  first: &first pg1\n  primary: *first')],
    ['a value on the next line', before('  primary:\n    pg1')],
    ['another primary', before('  primary: pg3')],
    ['no YAML', '{'],
  ];
  for (const [name, text] of REFUSALS) {
    it(`refuses ${name}`, () => {
      expect(editPrimary(text, 'pg1', 'pg2').kind).to.equal('refused');
    });
  }
});
