import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { run } from '../../src/cli/commands/apply';
import { specRecordName } from '../../src/core/names';
import { type SpecRecord } from '../../src/core/spec';
import { portsOf, recordingOutput, world } from '../support/cli-ports';

const file = (primary: string): string => `
apiVersion: pgswarm.dev/v1
kind: PostgresCluster
metadata: { name: orders }
spec:
  postgres: { version: 17 }
  network: { subnet: 10.0.200.0/24 }
  primary: ${primary}
  servers: [{ name: pg1, node: { hostname: n1 } }, { name: pg2, node: { hostname: n2 } }]
`;

describe('pgswarm apply --watch', () => {
  const folder = mkdtempSync(join(tmpdir(), 'pgswarm-watch-'));
  after(() => rmSync(folder, { recursive: true, force: true }));

  it('applies what is saved, shows mistakes, and goes on until Ctrl-C', async () => {
    const path = join(folder, 'orders.yaml');
    const swarm = await world(null);
    const output = recordingOutput();
    const generations: (number | undefined)[] = [];
    const texts = [file('pg1'), file('pg9'), file('pg2')];
    const looks = 4 * texts.length;
    let look = 0;
    const pause = async (): Promise<boolean> => {
      const record = await swarm.store.read<SpecRecord>(specRecordName('orders'));
      generations.push(record?.value.generation);
      const text = texts[look / 4];
      if (text !== undefined) writeFileSync(path, text);
      look += 1;
      return look <= looks;
    };
    const ports = { ...portsOf(swarm, output), clock: { monotonicMs: () => 0, pause } };
    expect(await run(ports, { file: path, watch: true })).to.equal(0);
    // Saved, seen to be still at the second look, and applied before the third.
    expect(generations).to.deep.equal([undefined, undefined, 1, 1, 1, 1, 1, 1, 1, 1, 2, 2, 2]);
    expect(output.text()).to.match(/orders created.*there is no server "pg9".*orders changed/s);
  });
});
