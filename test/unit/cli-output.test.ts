/** Goal: what is printed fits the terminal, and is the same whatever the format. */
import { load } from 'js-yaml';
import { expect } from 'chai';
import { runCli } from '../../src/cli/main';
import { fitTo, fold, standardOutput, table } from '../../src/cli/output';
import { portsOf, recordingOutput, running, world } from '../support/cli-ports';
import { spec } from '../support/world';

const HEAD = ['SERVER', 'STATE', 'ADDRESS'];
const ROWS = [
  ['pg1', 'running', '192.0.2.1:5432'],
  ['pg2', 'cloning from pg1 with pg_basebackup, 12 of 80 GB', '192.0.2.2:5432'],
];

const run = async (line: string): Promise<string> => {
  const output = recordingOutput();
  const code = await runCli(line.split(' '), portsOf(await world(running(spec())), output));
  expect(code, output.text()).to.equal(0);
  return output.text();
};
const longest = (text: string): number => Math.max(...text.split('\n').map(({ length }) => length));

describe('what is printed', () => {
  afterEach(() => fitTo(Infinity));

  it('folds the widest column', () => {
    fitTo(50);
    expect(longest(table(HEAD, ROWS, 1))).to.be.at.most(50);
  });

  it('makes each row a paragraph where nothing else fits', () => {
    fitTo(40);
    expect(table(HEAD, ROWS)).to.equal(
      [
        'pg1',
        '  STATE    running',
        '  ADDRESS  192.0.2.1:5432',
        '',
        'pg2',
        '  STATE    cloning from pg1 with pg_basebackup, 12 of 80 GB',
        '  ADDRESS  192.0.2.2:5432',
      ].join('\n'),
    );
  });

  it('keeps tables whole where no terminal is: another program reads', () => {
    const wide = table(HEAD, [['pg1', 'x'.repeat(200), 'y']]);
    expect(wide.split('\n')).to.have.length(2);
  });

  it('folds sentences at 80, and at a narrower terminal’s width', () => {
    const sentence = 'word '.repeat(60).trim();
    fitTo(200);
    expect(longest(fold(sentence, 2))).to.be.within(76, 80);
    fitTo(40);
    expect(longest(fold(sentence, 2))).to.be.within(36, 40);
  });

  for (const columns of [40, 80]) {
    for (const line of ['status orders', 'status', 'why orders', 'simulate orders --lose n1']) {
      it(`pgswarm ${line} fits ${columns} columns`, async () => {
        fitTo(columns);
        expect(longest(await run(line))).to.be.at.most(columns);
      });
    }
  }

  for (const line of ['status orders', 'why orders', 'backups orders', 'events orders']) {
    it(`pgswarm ${line} says the same in JSON and YAML`, async () => {
      const notes = /^Only what .*\n/gm;
      const json: unknown = JSON.parse((await run(`${line} -o json`)).replace(notes, ''));
      const yaml: unknown = load((await run(`${line} -o yaml`)).replace(notes, ''));
      expect(yaml).to.deep.equal(json);
    });
  }

  it('has colour on a terminal only, and not where NO_COLOR forbids it', () => {
    const { stdout } = process;
    const before = stdout.isTTY;
    try {
      stdout.isTTY = true;
      expect(standardOutput({}).paint('good', 'x')).to.equal('\u001b[32mx\u001b[39m');
      expect(standardOutput({ NO_COLOR: '1' }).paint('good', 'x')).to.equal('x');
      stdout.isTTY = false;
      expect(standardOutput({}).paint('good', 'x')).to.equal('x');
    } finally {
      stdout.isTTY = before;
    }
  });
});
