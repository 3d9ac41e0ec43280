import { execFileSync } from 'node:child_process';
import { expect } from 'chai';
import { type Command } from 'commander';
import { complete, completionText, SCRIPTS, type Names } from '../../src/cli/completion';
import { runCli } from '../../src/cli/main';
import { buildProgram } from '../../src/cli/program';
import { portsOf, recordingOutput, running, world } from '../support/cli-ports';
import { spec } from '../support/world';

const names: Names = {
  clusters: () => Promise.resolve(['ledger', 'orders']),
  servers: (cluster) => Promise.resolve(cluster === 'orders' ? ['pg1', 'pg2'] : []),
  nodes: () => Promise.resolve(['n1', 'n2']),
};

describe('completion', () => {
  let program: Command;
  before(async () => {
    program = buildProgram(portsOf(await world(null), recordingOutput()), () => undefined);
  });

  const rows: readonly (readonly [line: string, candidates: readonly string[] | 'files'])[] = [
    ['sim', ['simulate']],
    ['status ', ['ledger', 'orders']],
    ['status o', ['orders']],
    ['status orders ', []],
    ['status orders --w', ['--watch']],
    ['status -o ', ['json', 'yaml']],
    ['status -o json ', ['ledger', 'orders']],
    ['fence orders ', ['pg1', 'pg2']],
    ['fence --yes orders pg2', ['pg2']],
    ['fence ledger ', []],
    ['backup orders --server ', ['pg1', 'pg2']],
    ['connect orders --role ', ['rw', 'ro']],
    ['backup orders --max-rate ', []],
    ['archive ', ['pause', 'resume']],
    ['archive pause ', ['ledger', 'orders']],
    ['plan -f ', 'files'],
    ['report orders --output x', 'files'],
    ['simulate orders --lose ', ['n1', 'n2', 'pg1', 'pg2']],
    ['simulate orders --lose n1,n', ['n1,n1', 'n1,n2']],
    ['psql orders -- -', []],
    ['completion ', ['bash', 'zsh', 'fish']],
    ['nonsense ', []],
    ['__', []],
  ];
  for (const [line, expected] of rows) {
    it(`pgswarm ${line}`, async () => {
      const found = await complete(program, line.split(' '), names);
      const given = found.kind === 'files' ? 'files' : found.candidates.map(({ text }) => text);
      expect(given).to.deep.equal(expected);
    });
  }

  it('of nothing: every command, with what it is for', async () => {
    const found = await complete(program, [''], names);
    const lines = completionText(found).split('\n');
    expect(lines).to.include('status\thow a cluster is');
    expect(lines.join()).not.to.contain('__complete');
  });

  it('takes names from the store, and has none when there is no Swarm', async () => {
    const ask = async (line: string, isThere: boolean): Promise<string> => {
      const output = recordingOutput();
      const ports = portsOf(await world(running(spec())), output);
      const connect = (): never => {
        throw new Error('no Docker');
      };
      const code = await runCli(
        ['__complete', '--', ...line.split(' ')],
        isThere ? ports : { ...ports, connect },
      );
      expect(code).to.equal(0);
      return output.text();
    };
    expect(await ask('status ', true)).to.equal('orders');
    expect(await ask('fence orders ', true)).to.equal('pg1\npg2');
    expect(await ask('simulate orders --lose n', true)).to.equal('n1\nn2\nn3');
    expect(await ask('status ', false)).to.equal('');
  });

  it('bash offers what it is told', () => {
    const bash = (answer: string, words: string): readonly string[] => {
      const script = [
        `pgswarm() { [[ "$1 $2" == "__complete --" ]] && printf '%b' '${answer}'; }`,
        SCRIPTS.bash,
        `COMP_WORDS=(pgswarm ${words}); COMP_CWORD=$(( \${#COMP_WORDS[@]} - 1 ))`,
        `_pgswarm; printf '%s\\n' "\${COMPREPLY[@]}"`,
      ].join('\n');
      return execFileSync('bash', ['-c', script]).toString().trim().split('\n');
    };
    expect(bash('status\\thow a cluster is\\nstop', 'st')).to.deep.equal(['status', 'stop']);
    expect(bash(':files', 'plan -f package.js')).to.include('package.json');
  });
});
