import { expect } from 'chai';
import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { findDocker } from '../../src/adapters/swarm/endpoint';

const folder = mkdtempSync(join(tmpdir(), 'pgswarm-docker-'));
const broken = mkdtempSync(join(tmpdir(), 'pgswarm-docker-'));
const base = { DOCKER_CONFIG: folder };

function addContext(name: string, host: string, hasTls: boolean): string {
  const id = createHash('sha256').update(name).digest('hex');
  const meta = join(folder, 'contexts', 'meta', id);
  const tls = join(folder, 'contexts', 'tls', id, 'docker');
  mkdirSync(meta, { recursive: true });
  const content = { Name: name, Endpoints: { docker: { Host: host } } };
  writeFileSync(join(meta, 'meta.json'), JSON.stringify(content));
  if (hasTls) mkdirSync(tls, { recursive: true });
  return tls;
}

describe('where Docker is', () => {
  let labTls = '';
  before(() => {
    labTls = addContext('lab', 'tcp://lab:2376', true);
    addContext('remote', 'ssh://admin@manager', false);
    writeFileSync(join(folder, 'config.json'), JSON.stringify({ currentContext: 'remote' }));
    writeFileSync(join(broken, 'config.json'), '{');
  });
  after(() => {
    for (const each of [folder, broken]) rmSync(each, { recursive: true });
  });

  const rows = [
    {
      name: 'DOCKER_HOST, before any context',
      environment: { ...base, DOCKER_HOST: 'tcp://h:2375', DOCKER_CONTEXT: 'lab' },
      expected: () => ({ address: 'tcp://h:2375', certificates: null }),
    },
    {
      name: 'DOCKER_HOST without a scheme',
      environment: { ...base, DOCKER_HOST: 'h:2375' },
      expected: () => ({ address: 'tcp://h:2375', certificates: null }),
    },
    {
      name: 'DOCKER_HOST with TLS',
      environment: {
        ...base,
        DOCKER_HOST: 'tcp://h:2376',
        DOCKER_TLS_VERIFY: '1',
        DOCKER_CERT_PATH: '/certs',
      },
      expected: () => ({ address: 'tcp://h:2376', certificates: '/certs' }),
    },
    {
      name: 'DOCKER_CONTEXT, before the current one',
      environment: { ...base, DOCKER_CONTEXT: 'lab' },
      expected: () => ({ address: 'tcp://lab:2376', certificates: labTls }),
    },
    {
      name: 'the current context',
      environment: base,
      expected: () => ({ address: 'ssh://admin@manager', certificates: null }),
    },
    {
      name: 'the default socket in the default context',
      environment: { ...base, DOCKER_CONTEXT: 'default' },
      expected: () => ({ address: 'unix:///var/run/docker.sock', certificates: null }),
    },
    {
      name: 'the default socket without any settings',
      environment: { DOCKER_CONFIG: join(folder, 'nowhere') },
      expected: () => ({ address: 'unix:///var/run/docker.sock', certificates: null }),
    },
  ];
  for (const { name, environment, expected } of rows) {
    it(`is ${name}`, () => {
      expect(findDocker(environment)).to.deep.equal(expected());
    });
  }

  it('is refused with what to do when the context does not exist', () => {
    const environment = { ...base, DOCKER_CONTEXT: 'gone' };
    expect(() => findDocker(environment)).to.throw(/context "gone" does not exist.*context ls/);
  });

  it('is refused with the file’s name when the settings are broken', () => {
    expect(() => findDocker({ DOCKER_CONFIG: broken })).to.throw(
      /config\.json cannot be read as JSON/,
    );
  });
});
