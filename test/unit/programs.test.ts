import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { runProgram } from '../../src/adapters/postgres/programs';
import { failureOf } from '../support/failure';

describe('a program that is run', () => {
  let binDirectory: string;

  before(() => {
    binDirectory = mkdtempSync(join(tmpdir(), 'pgswarm-programs-'));
  });

  after(() => rmSync(binDirectory, { recursive: true, force: true }));

  const program = (name: string, script: string): string => {
    const path = join(binDirectory, name);
    writeFileSync(path, `#!/bin/sh\n${script}\n`);
    chmodSync(path, 0o755);
    return name;
  };

  it('is heard line by line, in whatever pieces a line comes', async () => {
    // Each piece is there for long enough to be read alone.
    const pieces = ['  1/2 kB', ' (50%)', '\\r', '  2/2 kB (100%)\\n', 'prog: ', 'error: ', 'oh'];
    const script = pieces.map((piece) => `printf '${piece.replaceAll('%', '%%')}' >&2; sleep 0.02`);
    const heard: string[] = [];
    const name = program('talks', `${script.join('\n')}\nexit 3`);
    const failure = await failureOf(
      runProgram(name, [], { binDirectory, onLine: (line) => heard.push(line) }),
    );
    expect(heard).to.deep.equal(['  1/2 kB (50%)', '  2/2 kB (100%)', 'prog: error: oh']);
    expect(failure.message).to.contain('prog: error: oh');
  });
});
