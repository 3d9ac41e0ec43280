import { expect } from 'chai';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  controlKey,
  deriveOperatorKey,
  deriveSecrets,
  fingerprint,
  fingerprints,
  readRootKey,
} from '../../src/adapters/keys';

const root = Buffer.alloc(32, 1);
const other = Buffer.alloc(32, 2);

describe('derived keys', () => {
  it('are the same for the same root key, cluster and uid, whoever derives them', () => {
    // Recorded: another value here would lock every existing cluster out.
    expect(deriveSecrets(root, 'orders', 'uid-1')).to.deep.equal({
      control: '9a7ae0200fcb08bb09671f459a4e43b5776b87f028fc8f56d3e6136504755a44',
      replication: 'a813df56992ed8dac2221c1fd04c0c9b',
      owner: 'ce52525108106946fd8077a1daf13bad',
    });
  });

  const bases = [
    { name: 'another root key', secrets: deriveSecrets(other, 'orders', 'uid-1') },
    { name: 'another cluster', secrets: deriveSecrets(root, 'invoices', 'uid-1') },
    { name: 'another cluster of the same name', secrets: deriveSecrets(root, 'orders', 'uid-2') },
  ];
  for (const { name, secrets } of bases) {
    it(`are all different for ${name}`, () => {
      const mine = Object.values(deriveSecrets(root, 'orders', 'uid-1'));
      expect(new Set([...mine, ...Object.values(secrets)])).to.have.property('size', 6);
    });
  }

  it('are long enough', () => {
    const secrets = deriveSecrets(root, 'orders', 'uid-1');
    expect(controlKey(secrets)).to.have.length(32);
    expect(secrets.owner).to.match(/^[0-9a-f]{32}$/);
    expect(deriveOperatorKey(root)).to.have.length(32);
  });

  it('have fingerprints that differ with the value and do not contain it', () => {
    const secrets = deriveSecrets(root, 'orders', 'uid-1');
    const { control } = fingerprints(secrets);
    expect(control)
      .to.equal(fingerprint(secrets.control))
      .and.to.match(/^[0-9a-f]{8}$/);
    expect(control).to.not.equal(secrets.control.slice(0, 8));
    expect(control).to.not.equal(fingerprint(secrets.owner));
  });
});

describe('the root key file', () => {
  const folder = mkdtempSync(join(tmpdir(), 'pgswarm-keys-'));
  const file = join(folder, 'root-key');
  after(() => rmSync(folder, { recursive: true }));

  it('is null while it is not mounted', () => {
    expect(readRootKey(file)).to.equal(null);
  });

  it('is read', () => {
    writeFileSync(file, `${root.toString('hex')}\n`);
    expect(readRootKey(file)).to.deep.equal(root);
  });

  it('is refused when it is something else, without showing it', () => {
    writeFileSync(file, 'hunter2');
    expect(() => readRootKey(file))
      .to.throw(/not 64 hexadecimal digits/)
      .with.property('message')
      .that.does.not.include('hunter2');
  });
});
