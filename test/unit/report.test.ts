/**
 * Goal: a report holds what helps, and no secret of the cluster. Method: a world in which secrets lie
 * wherever they have been seen to lie, and one look through all that was packed.
 */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { expect } from 'chai';
import { runCli } from '../../src/cli/main';
import { redactText, redactValue } from '../../src/cli/report/redact';
import { tarOf } from '../../src/cli/report/tar';
import { type Situation } from '../../src/core/situation';
import { portsOf, recordingOutput, running, world, type World } from '../support/cli-ports';
import { spec } from '../support/world';

const OWNER = 'kq7-owner';
const SECRETS = [
  OWNER,
  'eisen',
  'zinn!',
  'blei',
  'messing',
  'kupfer',
  'SCRAM-SHA-256$4096:c2Fs$zink',
  'md5aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa',
];

const LOG = [
  '{"message":"statement: ALTER ROLE app PASSWORD \'eisen\'","level":"info"}',
  '{"message":"could not connect with password=zinn! to 192.0.2.1"}',
  '{"message":"FATAL: postgresql://app:blei@pg1:5432/app refused"}',
  "ALTER ROLE app PASSWORD 'SCRAM-SHA-256$4096:c2Fs$zink'",
  'role app has md5aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa',
  `hello from the log, ${OWNER}`,
].join('\n');

async function secretWorld(): Promise<World> {
  const base = spec();
  const hba = ['host all all all ldap ldapserver=l ldapbindpasswd="messing"'];
  const situation: Situation = running({ ...base, postgres: { ...base.postgres, hba } });
  const document = { spec: { postgres: { hba, parameters: { ssl_passphrase_command: 'eisen' } } } };
  return {
    ...(await world({ ...situation, record: { ...situation.record, document } })),
    logs: { 'pgswarm-orders-pg1': LOG },
    credentials: () => Promise.resolve({ owner: 'app', database: 'app', password: OWNER }),
  };
}

describe('pgswarm report', () => {
  let folder = '';
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'pgswarm-report-'));
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  async function report(made: World): Promise<{ file: string; text: string; output: string }> {
    const output = recordingOutput();
    const file = join(folder, 'report.tar.gz');
    const code = await runCli(['report', 'orders', '-o', file], portsOf(made, output));
    expect(code, output.text()).to.equal(0);
    return { file, text: gunzipSync(readFileSync(file)).toString(), output: output.text() };
  }

  it('holds no secret of its cluster', async () => {
    const { text } = await report(await secretWorld());
    expect(text).to.contain('hello from the log').and.to.contain('[hidden]');
    for (const secret of SECRETS) expect(text).not.to.contain(secret);
  });

  it('is a tar for its owner, with everything in it', async () => {
    const { file, output } = await report(await secretWorld());
    expect(statSync(file).mode & 0o777).to.equal(0o600);
    const paths = execFileSync('tar', ['tzf', file]).toString().trim().split('\n');
    expect(paths.map((path) => path.slice(path.indexOf('/') + 1))).to.deep.equal([
      'README.txt',
      'status.txt',
      'status.json',
      'why.txt',
      'spec.yaml',
      'spec.json',
      'record.json',
      'events.json',
      'observation.json',
      'docker/version.json',
      'docker/info.json',
      'logs/pg1.log',
      'logs/pg2.log',
      'logs/operator.log',
    ]);
    // What cannot be had is said, and keeps nothing else back.
    expect(output).to.match(/not to be had: logs\/pg2\.log/);
  });

  it('is never written over another file', async () => {
    const made = await secretWorld();
    const { file } = await report(made);
    const output = recordingOutput();
    expect(await runCli(['report', 'orders', '-o', file], portsOf(made, output))).to.equal(1);
    expect(output.text()).to.match(/Name another file with -o FILE/);
  });
});

describe('what is secret', () => {
  const rows: readonly (readonly [text: string, redacted: string])[] = [
    ['host=pg1 password=x user=app', 'host=pg1 password=[hidden] user=app'],
    ['PGPASSWORD="a b" psql', 'PGPASSWORD=[hidden] psql'],
    ["passfile='/run/pgpass'", "passfile='/run/pgpass'"],
    ['"password": "x", "port": 5', '"password": [hidden], "port": 5'],
    ["CREATE ROLE a PASSWORD 'it''s' LOGIN", 'CREATE ROLE a PASSWORD [hidden] LOGIN'],
    ['http://ada:x@proxy:3128/', 'http://ada:[hidden]@proxy:3128/'],
    ['http://proxy:3128/a@b', 'http://proxy:3128/a@b'],
    ['postgres://ada:x@y@pg1/app', 'postgres://ada:[hidden]@pg1/app'],
    ['redis://:x@cache/', 'redis://:[hidden]@cache/'],
    ['https://x@git.example.com/a.git', 'https://[hidden]@git.example.com/a.git'],
    [
      "primary_conninfo = 'host=pg1 password=''x y'''",
      "primary_conninfo = 'host=pg1 password=[hidden]'",
    ],
    ["password='it\\'s' user=app", 'password=[hidden] user=app'],
    ["ldapbindpasswd = 'it''s', a", 'ldapbindpasswd = [hidden], a'],
    ["password='cut off", 'password=[hidden] off'],
    ['{"message":"{\\"token\\":\\"x y\\"}"}', '{"message":"{\\"token\\":[hidden]}"}'],
    ['AWS_SECRET_ACCESS_KEY=x', 'AWS_SECRET_ACCESS_KEY=[hidden]'],
    ['repo1-cipher-pass=x', 'repo1-cipher-pass=[hidden]'],
    ['Authorization: Basic eDp5', 'Authorization: Basic [hidden]'],
    ['ghp_0123456789abcdefghij', '[hidden]'],
    [
      'password authentication failed for user "app"',
      'password authentication failed for user "app"',
    ],
  ];
  for (const [text, redacted] of rows) {
    it(text, () => expect(redactText(text, [])).to.equal(redacted));
  }

  it('by the name of a field, however deep; counts and names of secrets stay', () => {
    const value = {
      a: [{ ssl_passphrase_command: 'x' }],
      tokens: 3,
      Secrets: [{ SecretName: 'n' }],
    };
    expect(redactValue(value, [])).to.deep.equal({
      a: [{ ssl_passphrase_command: '[hidden]' }],
      tokens: 3,
      Secrets: [{ SecretName: 'n' }],
    });
  });
});

describe('a tar archive', () => {
  it('is what tar reads, whatever the length', () => {
    const files = [0, 1, 511, 512, 513].map((length) => ({
      path: `a/${length}`,
      text: 'x'.repeat(length),
    }));
    const packed = tarOf(files, new Date(0));
    const listed = execFileSync('tar', ['tvf', '-'], { input: packed }).toString();
    for (const length of [0, 1, 511, 512, 513]) {
      expect(listed).to.match(new RegExp(`\\s${length} 1970-01-01.* a/${length}\\n`));
    }
  });
});
