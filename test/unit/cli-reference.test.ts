import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { renderCliReference } from '../../src/cli/reference';

const FILE = join(__dirname, '../../docs/reference/cli.md');

describe('reference of the command line', () => {
  it('is fresh: npm run generate', () => {
    expect(renderCliReference()).to.equal(readFileSync(FILE, 'utf8'));
  });
});
