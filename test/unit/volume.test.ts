/**
 * A crash may strike between any two steps of filling a volume. What it leaves must be read as
 * empty or as complete, and clearing it away must itself survive a crash.
 */
import { existsSync, promises as files } from 'node:fs';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { createSandbox } from 'sinon';
import {
  abandonFilling,
  beginFilling,
  commitFilling,
  commitRecloning,
  markRewinding,
  NO_MARKS,
  notePrimaryTerm,
  openVolume,
  readMarks,
  readVolume,
  removeOldCopy,
} from '../../src/instance/volume';

/** Where there is one: no crash of the machine is tried here, and syncing takes its time. */
const MEMORY = existsSync('/dev/shm') ? '/dev/shm' : tmpdir();

const OWNER = { cluster: 'orders', server: 'pg1' };
const TAG = { ...OWNER, systemIdentifier: '7', volumeId: 'v1' };
const tagText = (changes: object = {}): string => JSON.stringify({ ...TAG, ...changes });

describe('a data volume', function () {
  this.timeout(20_000);
  let volume: string;
  const sandbox = createSandbox();

  beforeEach(async () => {
    volume = await mkdtemp(join(MEMORY, 'pgswarm-volume-'));
  });
  afterEach(async () => {
    sandbox.restore();
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
      name: 'WAL that was put aside, and the rest taken away',
      directories: ['diverged'],
      files: { 'primary-term': '4' },
      kind: 'empty',
      left: ['diverged', 'primary-term'],
    },
    {
      name: 'a mark of a rewind',
      directories: ['pgdata'],
      files: { 'pgswarm.json': tagText(), rewinding: 'to pg2' },
      kind: 'tagged',
      left: ['pgdata', 'pgswarm.json', 'rewinding'],
    },
    {
      name: 'a re-clone that was cut short',
      directories: ['pgdata', 'pgdata.new', 'pgdata.old'],
      files: { 'pgswarm.json': tagText() },
      kind: 'tagged',
      left: ['pgdata', 'pgdata.old', 'pgswarm.json'],
    },
    {
      name: 'an old copy whose successor was taken away',
      directories: ['pgdata.old', 'pgdata.new'],
      files: { 'pgswarm.json': tagText() },
      kind: 'foreign',
      detail: 'pgswarm.json and pgdata.old is in it but the data directory pgdata is gone',
      left: ['pgdata.new', 'pgdata.old', 'pgswarm.json'],
    },
    {
      name: 'an old copy and no tag',
      directories: ['pgdata.old'],
      kind: 'foreign',
      detail: 'the data directory pgdata is gone',
      left: ['pgdata.old'],
    },
    {
      name: 'a complete re-clone and no tag',
      directories: ['pgdata.next'],
      kind: 'foreign',
      detail: 'no pgswarm.json',
      left: ['pgdata.next'],
    },
    {
      name: "another server's re-clone",
      directories: ['pgdata', 'pgdata.next'],
      files: { 'pgswarm.json': tagText({ server: 'pg2' }) },
      kind: 'foreign',
      detail: 'it belongs to server pg2 of cluster orders',
      left: ['pgdata', 'pgdata.next', 'pgswarm.json'],
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

  /** A data directory that says which copy it is. */
  async function place(name: string, copy: string): Promise<void> {
    await mkdir(join(volume, name, 'base'), { recursive: true });
    await writeFile(join(volume, name, 'base', 'copy'), copy);
  }
  const copyIn = async (name: string): Promise<string> =>
    await readFile(join(volume, name, 'base', 'copy'), 'utf8');

  const beginnings: readonly {
    readonly name: string;
    readonly directories: Readonly<Record<string, string>>;
    readonly oldCopy: string;
  }[] = [
    {
      name: 'the first re-clone',
      directories: { pgdata: 'first', 'pgdata.new': 'clone' },
      oldCopy: 'first',
    },
    {
      name: 'a re-clone after one that never streamed',
      directories: { 'pgdata.old': 'first', pgdata: 'useless', 'pgdata.new': 'clone' },
      oldCopy: 'first',
    },
  ];
  for (const { name, directories, oldCopy } of beginnings) {
    it(`is whole after a crash at any step of ${name}, and after two`, async () => {
      // Whatever changes the volume is a rename or a removal: each of them is the last one once.
      for (let [first, isOver] = [0, false]; !isOver; first += 1) {
        for (let second = 0; second <= first + 1; second += 1) {
          await rm(volume, { recursive: true });
          await mkdir(volume);
          for (const [path, copy] of Object.entries(directories)) await place(path, copy);
          await writeFile(join(volume, 'pgswarm.json'), tagText());
          await markRewinding(volume, 'to pg2');

          isOver = await crashesAfter(first, async () => await commitRecloning(volume));
          await crashesAfter(second, async () => await openVolume(volume, OWNER));
          expect((await readVolume(volume, OWNER)).kind).to.equal('tagged');
          expect((await openVolume(volume, OWNER)).kind).to.equal('tagged');

          const isCommitted = first > 0;
          const copy = isCommitted ? 'clone' : directories['pgdata'];
          expect(await copyIn('pgdata'), `${first}, ${second}`).to.equal(copy);
          const hasOldCopy = isCommitted || 'pgdata.old' in directories;
          const isHalfRewound = !isCommitted;
          expect(await readMarks(volume)).to.deep.equal({ ...NO_MARKS, hasOldCopy, isHalfRewound });
          if (hasOldCopy) expect(await copyIn('pgdata.old')).to.equal(oldCopy);
          expect(await readdir(volume)).not.to.include.members(['pgdata.new']);
          expect(await readdir(volume)).not.to.include.members(['pgdata.next']);
        }
      }
    });
  }

  /** Lets so many changes pass; true when that was enough. */
  async function crashesAfter(changesMax: number, work: () => Promise<unknown>): Promise<boolean> {
    let changes = 0;
    for (const name of ['rename', 'rm'] as const) {
      const real = files[name] as (...given: readonly unknown[]) => Promise<void>;
      sandbox.stub(files, name).callsFake(async (...given: readonly unknown[]) => {
        changes += 1;
        if (changes > changesMax) throw new Error('crash');
        await real(...given);
      });
    }
    const isDone = await work().then(
      () => changes <= changesMax,
      () => false,
    );
    sandbox.restore();
    return isDone;
  }

  it('keeps its data when a re-clone is given up', async () => {
    await place('pgdata', 'first');
    await place('pgdata.new', 'clone');
    await abandonFilling(volume);
    expect(await readdir(volume)).to.deep.equal(['pgdata']);
  });

  it('loses its old copy file by file, as long as nobody calls it off', async () => {
    await place('pgdata', 'clone');
    await place('pgdata.old', 'first');
    const aborter = new AbortController();
    aborter.abort();
    const removal = removeOldCopy(volume, aborter.signal).catch((error: unknown) => error);
    expect(await removal).to.have.property('name', 'AbortError');
    expect(await copyIn('pgdata.old')).to.equal('first');
    await removeOldCopy(volume, new AbortController().signal);
    expect(await readdir(volume)).to.deep.equal(['pgdata']);
  });

  it('remembers the last term as primary', async () => {
    expect(await readMarks(volume)).to.deep.equal(NO_MARKS);
    await notePrimaryTerm(volume, 12);
    expect(await readMarks(volume)).to.deep.equal({ ...NO_MARKS, primaryTerm: 12 });
  });

  it('forgets a cut rewind when it is filled anew', async () => {
    await markRewinding(volume, 'to pg2');
    await beginFilling(volume);
    await commitFilling(volume, TAG);
    expect((await readMarks(volume)).isHalfRewound).to.equal(false);
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
