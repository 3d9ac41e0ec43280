/**
 * A crash may strike between any two steps of filling a volume. What it leaves must be read as
 * empty or as complete, and clearing it away must itself survive a crash.
 */
import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { beginFilling, commitFilling, openVolume, readVolume } from '../../src/instance/volume';

const OWNER = { cluster: 'orders', server: 'pg1' };
const TAG = { ...OWNER, systemIdentifier: '7', volumeId: 'v1' };
const tagText = (changes: object = {}): string => JSON.stringify({ ...TAG, ...changes });

describe('a data volume', () => {
  let volume: string;

  beforeEach(async () => {
    volume = await mkdtemp(join(tmpdir(), 'pgswarm-volume-'));
  });
  afterEach(async () => {
    await rm(volume, { recursive: true });
  });

  interface Row {
    readonly name: string;
    readonly directories?: readonly string[];
    readonly files?: Readonly<Record<string, string>>;
    readonly kind: string;
    readonly detail?: string;
    /** What is in it afterwards. */
    readonly left: readonly string[];
  }
  const rows: readonly Row[] = [
    { name: 'nothing', kind: 'empty', left: [] },
    {
      name: 'only what mkfs and the lock leave',
      directories: ['lost+found'],
      files: { '.lock': '' },
      kind: 'empty',
      left: ['.lock', 'lost+found'],
    },
    {
      name: 'a filling that was cut short',
      directories: ['pgdata.new'],
      kind: 'empty',
      left: [],
    },
    {
      name: 'a filling that was cut short between its tag and its name',
      directories: ['pgdata.new'],
      files: { 'pgswarm.json': tagText() },
      kind: 'empty',
      left: [],
    },
    {
      name: 'a tag whose writing was cut short',
      directories: ['pgdata.new'],
      files: { 'pgswarm.json.new': '{"clus' },
      kind: 'empty',
      left: ['pgswarm.json.new'],
    },
    {
      name: 'a complete filling',
      directories: ['pgdata'],
      files: { 'pgswarm.json': tagText() },
      kind: 'tagged',
      left: ['pgdata', 'pgswarm.json'],
    },
    {
      name: 'a tag whose data directory was taken away',
      files: { 'pgswarm.json': tagText() },
      kind: 'foreign',
      detail: 'the data directory pgdata is gone',
      left: ['pgswarm.json'],
    },
    {
      name: 'a data directory without a tag',
      directories: ['pgdata'],
      kind: 'foreign',
      detail: 'no pgswarm.json',
      left: ['pgdata'],
    },
    {
      name: "another server's data",
      directories: ['pgdata', 'pgdata.new'],
      files: { 'pgswarm.json': tagText({ server: 'pg2' }) },
      kind: 'foreign',
      detail: 'it belongs to server pg2 of cluster orders',
      left: ['pgdata', 'pgdata.new', 'pgswarm.json'],
    },
    {
      name: 'a tag that is no tag',
      directories: ['pgdata'],
      files: { 'pgswarm.json': '[]' },
      kind: 'foreign',
      detail: 'not readable',
      left: ['pgdata', 'pgswarm.json'],
    },
    {
      name: 'something unknown',
      directories: ['pgdata.new'],
      files: { 'holiday.jpg': '' },
      kind: 'foreign',
      detail: 'holiday.jpg',
      left: ['holiday.jpg', 'pgdata.new'],
    },
  ];
  for (const { name, directories = [], files = {}, kind, detail = '', left } of rows) {
    it(`with ${name} is ${kind}`, async () => {
      for (const directory of directories) await mkdir(join(volume, directory));
      for (const [file, text] of Object.entries(files)) await writeFile(join(volume, file), text);
      const report = await openVolume(volume, OWNER);
      expect(report.kind).to.equal(kind);
      if ('detail' in report) expect(report.detail).to.include(detail);
      expect((await readdir(volume)).toSorted()).to.deep.equal(left);
    });
  }

  it('is complete once it has been filled', async () => {
    await writeFile(join(await beginFilling(volume), 'PG_VERSION'), '17\n');
    await commitFilling(volume, TAG);
    expect(await openVolume(volume, OWNER)).to.deep.equal({ kind: 'tagged', tag: TAG });
    expect(await readdir(join(volume, 'pgdata'))).to.deep.equal(['PG_VERSION']);
  });

  it('is read without being changed', async () => {
    await mkdir(join(volume, 'pgdata.new'));
    expect(await readVolume(volume, OWNER)).to.deep.equal({ kind: 'empty' });
    expect(await readdir(volume)).to.deep.equal(['pgdata.new']);
  });

  it('that cannot be read is unusable', async () => {
    expect((await openVolume(join(volume, 'absent'), OWNER)).kind).to.equal('unusable');
  });
});
