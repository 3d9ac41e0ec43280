import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { parseDocument, readDocument, validate } from '../../src/adapters/files/documents';
import { hasErrors, type Finding } from '../../src/core/findings';
import { nearest } from '../../src/core/nearest';

const HEAD = 'apiVersion: pgswarm.dev/v1\nkind: PostgresCluster\nmetadata: { name: orders }\n';
const SPEC = `spec:
  postgres: { version: 17 }
  network: { subnet: 10.0.200.0/24 }
  primary: pg1
  servers:
    - { name: pg1, node: { hostname: n1 } }
`;

/** As the CLI does it: the text, and then the document, unless it could not be read. */
function findingsOf(text: string): readonly Finding[] {
  const parsed = parseDocument(text, 'orders.yaml');
  return parsed.findings.length > 0 ? parsed.findings : validate(parsed.document).findings;
}

const short = (findings: readonly Finding[]): string[] =>
  findings.map(({ path, message, hint }) => `${path}: ${message} → ${hint}`);

const TEXTS = [
  {
    name: 'nothing',
    text: '',
    findings: ['orders.yaml: the file is empty → write one PostgresCluster, as in examples/'],
  },
  {
    name: 'comments only',
    text: '# later\n---\n',
    findings: ['orders.yaml: the file is empty → write one PostgresCluster, as in examples/'],
  },
  {
    name: 'two documents',
    text: `${HEAD}---\n${HEAD}`,
    findings: ['orders.yaml: the file holds 2 documents → write each cluster in a file of its own'],
  },
  {
    name: 'not YAML',
    text: `${HEAD}spec:\n  primary: pg1\n   servers: []\n`,
    findings: [
      'orders.yaml:6:11: not YAML: bad indentation of a mapping entry → look at this line: "servers: []"',
    ],
  },
  {
    name: 'a key twice',
    text: `${HEAD}kind: x\n`,
    findings: ['orders.yaml:4:1: not YAML: duplicated mapping key → look at this line: "kind: x"'],
  },
  {
    name: 'a list',
    text: '- a\n',
    findings: [
      'orders.yaml: the file holds a list, and not a mapping → begin with `apiVersion: pgswarm.dev/v1` and `kind: PostgresCluster`',
    ],
  },
  {
    name: 'a word',
    text: 'orders\n',
    findings: [
      'orders.yaml: the file holds a single value, and not a mapping → begin with `apiVersion: pgswarm.dev/v1` and `kind: PostgresCluster`',
    ],
  },
  {
    name: 'an alias that stands for itself',
    text: 'a: &a [*a]\n',
    findings: ['orders.yaml: its aliases stand for too much → write the values themselves'],
  },
  {
    name: 'aliases of aliases',
    text: [
      'a0: &a0 [x, x, x, x, x, x, x, x, x, x]',
      ...[1, 2, 3, 4, 5, 6, 7].map(
        (level) =>
          `a${level}: &a${level} [${Array(9)
            .fill(`*a${level - 1}`)
            .join(', ')}]`,
      ),
    ].join('\n'),
    findings: ['orders.yaml: its aliases stand for too much → write the values themselves'],
  },
  {
    name: 'a chain of aliases, each a level deeper',
    text: [
      'a0: &a0 [x]',
      ...Array.from({ length: 101 }, (_, n) => `a${n + 1}: &a${n + 1} [*a${n}]`),
    ].join('\n'),
    message: 'orders.yaml:102:15: not YAML: aliases exceeded maxAliases (100)',
  },
  {
    name: 'a label whose name Swarm cannot look for',
    text: `${HEAD}${SPEC.replace('hostname: n1', 'labels: { "rack=b": c }')}`,
    findings: [
      'spec.servers[0].node.labels["rack=b"]: "rack=b" is not a name of a label → write it without `=` and spaces: `rack: b`',
    ],
  },
  {
    name: 'too deep a nesting',
    text: `${'['.repeat(60)}${']'.repeat(60)}`,
    message: 'orders.yaml:1:50: not YAML: nesting exceeded maxDepth (50)',
  },
  {
    name: 'a tag',
    text: 'a: !!js/function x\n',
    message: 'orders.yaml:1:4: not YAML: unknown scalar tag !<tag:yaml.org,2002:js/function>',
  },
  {
    name: 'another kind of the design',
    text: 'apiVersion: pgswarm.dev/v1\nkind: ScheduledBackup\nspec: { x: 1 }\n',
    findings: [
      'kind: ScheduledBackup is not part of this version → write it under spec.backup.schedules of the PostgresCluster',
    ],
  },
  {
    name: 'a kind of somebody else',
    text: 'apiVersion: apps/v1\nkind: Deployment\n',
    findings: ['kind: there is no kind "Deployment" → write `kind: PostgresCluster`'],
  },
  {
    name: 'an apiVersion that is not ours and a kind that is misspelt',
    text: `apiVersion: pgswarm.dev/v2\nkind: PostgressCluster\nmetadata: { name: a }\n${SPEC}`,
    findings: [
      'apiVersion: "pgswarm.dev/v2" is not possible here → write pgswarm.dev/v1',
      'kind: "PostgressCluster" is not possible here → write PostgresCluster',
    ],
  },
  {
    name: 'everything missing',
    text: 'kind: PostgresCluster\n',
    findings: [
      'apiVersion: this field is required → add it, such as `apiVersion: pgswarm.dev/v1` (Version of this format)',
      "metadata: this field is required → add it (The cluster's identity)",
      'spec: this field is required → add it (What the cluster shall be)',
    ],
  },
  {
    name: 'schedules with a mistake each',
    text: `${HEAD}${SPEC}  backup:
    retention: { keep: 0, maxAge: 7 }
    schedules:
      - { name: a, schedule: "0 0 2 * * *", timeZone: Mars/Olympus }
      - { name: a, schedule: "0 2 * * *", method: dump, incremental: true, server: pg7 }
      - { name: B, schedule: "@daily", incremental: true }
      - { name: c, schedule: "@daily", method: snapshot, incremental: true }
`,
    findings: [
      'spec.backup.retention.keep: must be 1 or more → use a larger number',
      'spec.backup.retention.maxAge: "7" is not a duration: the unit is missing → write a number and one of ms, s, m, h, d: 500ms, 5s, 2m, 1h, 14d',
      'spec.backup.schedules[0].schedule: "0 0 2 * * *" is not a schedule: it has 6 fields instead of 5: minute, hour, day of the month, month, day of the week → write it as in a crontab: "0 2 * * *" is every night at two',
      'spec.backup.schedules[0].timeZone: there is no time zone "Mars/Olympus" → use an IANA name, such as Europe/Berlin or UTC',
      'spec.backup.schedules[1].incremental: a dump is never incremental → remove it, or write `method: base`',
      'spec.backup.schedules[1].name: there is a schedule a already, at spec.backup.schedules[0] → give each schedule a name of its own',
      'spec.backup.schedules[1].server: there is no server "pg7" → name one of the servers (pg1), or remove it',
      'spec.backup.schedules[2].name: "B" is not a name → use small letters, digits and `-`, at most 30 characters, such as pg1',
      'spec.backup.schedules[3].incremental: a snapshot is never incremental → remove it, or write `method: base`',
      'spec.backup.schedules[2].incremental: WAL is not summarized, so every one of these backups will be full → write `summarize_wal: on` under spec.postgres.parameters',
    ],
  },
  {
    name: 'a field that is misspelt, and one that is unknown',
    text: `${HEAD}${SPEC}  zzzzzz: 1\n  fail-over: {}\n`,
    findings: [
      'spec.fail-over: there is no field "fail-over" here → did you mean `failover`?',
      'spec.zzzzzz: there is no field "zzzzzz" here → known here: image, postgres, network, primary, servers, bootstrap, replication, switchover, update, failover, archive, deletionPolicy, backup',
    ],
  },
  {
    name: 'a prototype for a field',
    text: `${HEAD}${SPEC}  __proto__: { primary: pg2 }\n  constructor: 1\n`,
    messages: [
      'spec.__proto__: there is no field "__proto__" here',
      'spec.constructor: there is no field "constructor" here',
    ],
  },
  {
    name: 'a node chosen twice, and one not at all: one finding each',
    text: `${HEAD}${SPEC}    - { name: pg2, node: { hostname: n2, labels: { rack: b } } }\n    - { name: pg3, node: {} }\n`,
    findings: [
      'spec.servers[1].node: the node is chosen 2 times: hostname, labels → keep exactly one of `hostname`, `id` and `labels`',
      'spec.servers[2].node: no node is chosen → keep exactly one of `hostname`, `id` and `labels`',
    ],
  },
  {
    name: 'numbers and texts in each other’s place',
    text: `${HEAD}${SPEC.replace('17', '"17"')}    - { name: 2, node: { labels: { rack: 2 } }, port: '5432' }\n  switchover: { maxLag: 16, timeout: true }\n`,
    findings: [
      'spec.postgres.version: must be a whole number, and is a text → write it without quotation marks: 17',
      'spec.servers[1].name: must be a text, and is a number → put it in quotation marks: "2"',
      'spec.servers[1].node.labels.rack: must be a text, and is a number → put it in quotation marks: "2"',
      'spec.servers[1].port: must be a whole number, and is a text → write it without quotation marks: 5432',
      'spec.switchover.maxLag: "16" is not a size: the unit is missing → write a number and one of B, kB, MB, GB, TB (units of 1024, as in PostgreSQL): 16MB, 1GB',
      'spec.switchover.timeout: must be a text, and is true or false → put it in quotation marks: "true"',
    ],
  },
  {
    name: 'values that are left empty',
    text: `${HEAD}${SPEC.replace('primary: pg1', 'primary:')}    -\n`,
    findings: [
      'spec.primary: there is no value → write one, such as `pg1`, or remove it',
      'spec.servers[1]: there is no value → write one, or remove it',
    ],
  },
  {
    name: 'names that are none',
    text: `${HEAD.replace('orders', 'Or_ders')}${SPEC}    - { name: pg_2, node: { hostname: 'n 2' }, port: 70000 }\n`,
    messages: [
      'metadata.name: "Or_ders" is not a name',
      'spec.servers[1].name: "pg_2" is not a name',
      'spec.servers[1].node.hostname: "n 2" is not a hostname',
      'spec.servers[1].port: must be 65535 or less',
    ],
  },
  {
    name: 'a version that is not there yet',
    text: `${HEAD}${SPEC.replace('17', '18')}`,
    findings: ['spec.postgres.version: "18" is not possible here → write 17'],
  },
  {
    name: 'faults of fields and between fields, at once',
    text: `${HEAD}${SPEC.replace('primary: pg1', 'primary: pg7').replace('200.0', '200.9')}  switchover: []\n`,
    messages: [
      'spec.network.subnet: "10.0.200.9/24" is an address inside a subnet, not the subnet',
      'spec.primary: there is no server "pg7"',
      'spec.switchover: must be a mapping (`name: value` lines), and is a list (lines that begin with `-`)',
    ],
  },
  {
    name: 'how standbys follow and who takes over, in wrong words',
    text: `${HEAD}${SPEC}  replication: { synchronous: { mode: quorum, durability: always } }\n  failover: { failback: later, delay: 5, priorities: { pg1: 1.5 } }\n`,
    findings: [
      'spec.failover.delay: "5" is not a duration: the unit is missing → write a number and one of ms, s, m, h, d: 500ms, 5s, 2m, 1h, 14d',
      'spec.failover.failback: "later" is not possible here → write hold or auto or adopt',
      'spec.failover.priorities.pg1: must be a whole number, and is a number → write a whole number',
      'spec.replication.synchronous.durability: "always" is not possible here → write required or preferred',
      'spec.replication.synchronous.mode: "quorum" is not possible here → write any or first',
      'spec.replication.synchronous.number: this field is required → add it, such as `number: 1` (How many standbys must have a commit before it is acknowledged)',
    ],
  },
  {
    name: 'no servers, and too many',
    text: `${HEAD}${SPEC.replace(/servers:[^]*/, 'servers: []\n')}`,
    findings: ['spec.servers: must have 1 or more items → add one'],
  },
];

describe('documents', () => {
  for (const row of TEXTS) {
    it(row.name, () => {
      const findings = findingsOf(row.text);
      expect(hasErrors(findings)).to.equal(true);
      for (const { hint } of findings) expect(hint).not.to.equal('');
      const messages = findings.map(({ path, message }) => `${path}: ${message}`);
      if (row.findings !== undefined) expect(short(findings)).to.deep.equal(row.findings);
      else expect(messages).to.deep.equal(row.messages ?? [row.message]);
    });
  }

  it('gives a spec when there are only warnings, and none when there is an error', () => {
    const warned = parseDocument(
      `${HEAD}${SPEC}  failover: { mode: manual, failback: auto }\n`,
      'a.yaml',
    );
    const sound = validate(warned.document);
    expect(sound.findings.map(({ severity }) => severity)).to.deep.equal(['warning']);
    expect(sound.spec?.failover.mode).to.equal('manual');
    expect(validate(warned.document, [{ cluster: 'b', subnet: '10.0.0.0/16' }]).spec).to.equal(
      null,
    );
  });

  it('are not judged to the last when almost everything is wrong', () => {
    const junk = Array.from({ length: 300 }, (_, index) => `  key${index}: 1\n`).join('');
    const findings = findingsOf(`${HEAD}${SPEC}${junk}`);
    expect(findings).to.have.length(201);
    expect(short(findings.slice(-1))).to.deep.equal([
      'document: more than 200 things are wrong → correct these, and look again: is it this file?',
    ]);
  });

  it('does not change the document', () => {
    const { document } = parseDocument(`${HEAD}${SPEC}  archive: {}\n`, 'a.yaml');
    const before = structuredClone(document);
    expect(validate(document).document).to.equal(document);
    expect(document).to.deep.equal(before);
  });

  for (const value of [null, undefined, 1, 'x', [], true]) {
    it(`refuses ${JSON.stringify(value)} for a document`, () => {
      const { spec, findings } = validate(value);
      expect(spec).to.equal(null);
      expect(findings.map(({ message }) => message)).to.deep.equal(['this is not a mapping']);
    });
  }

  it('keeps parameters and labels whose names are those of JavaScript', () => {
    const text = SPEC.replace('17 }', '17, parameters: { constructor: 1 } }').replace(
      'hostname: n1',
      'labels: { toString: "", disk: very fast }',
    );
    const { spec } = validate(parseDocument(`${HEAD}${text}`, 'a.yaml').document);
    expect(spec?.postgres.parameters).to.deep.equal({ constructor: '1' });
    expect(spec?.servers[0]!.node).to.deep.equal({
      labels: { toString: '', disk: 'very fast' },
    });
  });

  describe('files', () => {
    let folder: string;
    beforeEach(() => {
      folder = mkdtempSync(join(tmpdir(), 'pgswarm-documents-'));
    });
    afterEach(() => rmSync(folder, { recursive: true }));

    const messages = (path: string): string[] => readDocument(path).findings.map((f) => f.message);

    it('says that there is none', () =>
      expect(messages(join(folder, 'none.yaml'))).to.deep.equal(['there is no such file']));

    it('says that it is a directory', () =>
      expect(messages(folder)).to.deep.equal(['this is a directory']));

    it('says that it is not text', () => {
      const path = join(folder, 'picture.yaml');
      writeFileSync(path, Buffer.from([0x61, 0xff, 0xfe]));
      expect(messages(path)).to.deep.equal(['the file is not text in UTF-8']);
    });

    it('refuses a large file without parsing it', () => {
      const path = join(folder, 'large.yaml');
      // Ten megabytes of what takes a parser longest: it would be empty, not too large.
      writeFileSync(path, '#\n'.repeat(5 * 1024 * 1024));
      const start = performance.now();
      expect(messages(path)).to.deep.equal(['the file is larger than 1 MB']);
      expect(performance.now() - start).to.be.below(500);
    });

    it('accepts a file of exactly 1 MB', () => {
      const path = join(folder, 'full.yaml');
      const text = `${HEAD}${SPEC}`;
      writeFileSync(path, text + '#'.repeat(1024 * 1024 - text.length));
      expect(readDocument(path).findings).to.deep.equal([]);
    });

    it('refuses a device that never ends', () =>
      expect(messages('/dev/zero')).to.deep.equal(['the file is larger than 1 MB']));
  });

  describe('examples', () => {
    const folder = join(__dirname, '../../examples');
    const examples = readdirSync(folder)
      .filter((file) => file.endsWith('.yaml'))
      .map((file) => ({ file, ...readDocument(join(folder, file)) }));

    it('are there', () =>
      expect(examples.map(({ file }) => file)).to.include.members([
        'one-node.yaml',
        'pair.yaml',
        'trio.yaml',
      ]));

    for (const { file, document, findings } of examples) {
      it(`${file} has nothing to be found, beside all the others`, () => {
        const others = examples.flatMap((other) => {
          const spec = other.file === file ? null : validate(other.document).spec;
          return spec === null ? [] : [{ ...spec, subnet: spec.network.subnet }];
        });
        expect(others).to.have.length(examples.length - 1);
        expect([...findings, ...validate(document, others).findings]).to.deep.equal([]);
      });
    }
  });
});

describe('nearest', () => {
  for (const { word, meant } of [
    { word: 'subent', meant: 'subnet' },
    { word: 'max_lag', meant: 'maxLag' },
    { word: 'Primary', meant: 'primary' },
    { word: 'hostnme', meant: 'hostname' },
    { word: 'tll', meant: 'ttl' },
    { word: 'xyz', meant: null },
    { word: '', meant: null },
    { word: 'p'.repeat(100_000), meant: null },
  ]) {
    it(`to ${word.slice(0, 20)} is ${meant ?? 'nothing'}`, () =>
      expect(nearest(word, ['subnet', 'maxLag', 'primary', 'hostname', 'ttl'])).to.equal(meant));
  }
});
