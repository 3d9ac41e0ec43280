/**
 * The archive's promise: what it has said to have stored is there, whole, and what is not whole is
 * never taken for it, whatever the moment at which everything ended.
 */
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createHash, randomBytes } from 'node:crypto';
import { expect } from 'chai';
import { renderStoredFile, type Compression } from '../../src/core/archive/stored-files';
import { parseWalFile, renderWalFile, type WalFile } from '../../src/core/archive/wal-files';
import { ArchiveStore } from '../../src/instance/archive/archive-store';
import { availableCompressions } from '../../src/instance/archive/filters';
import { failureOf } from '../support/failure';
import { FileSteps } from '../support/file-steps';

const MEMORY = existsSync('/dev/shm') ? '/dev/shm' : tmpdir();
const SEGMENT_BYTES = 64 * 1024;
const SYSTEM = '7301234567890123456';
const NAME = '000000010000000000000007';

const file = (name: string): WalFile => parseWalFile(name)!;
const hashOf = (bytes: Buffer): string =>
  createHash('sha256').update(bytes).digest('hex').slice(0, 32);

describe('the archive store', function () {
  this.timeout(30_000);
  let place: string;
  let volume: string;
  let corrupt: string[];

  beforeEach(async () => {
    place = await mkdtemp(join(MEMORY, 'pgswarm-archive-'));
    volume = join(place, 'archive');
    await mkdir(volume);
    corrupt = [];
  });
  afterEach(async () => await rm(place, { recursive: true }));

  const newStore = (compression: Compression = 'none'): ArchiveStore =>
    new ArchiveStore({
      ...{ volume, systemIdentifier: SYSTEM, segmentBytes: SEGMENT_BYTES, compression },
      mayDiffer: (file) => file.kind === 'partial',
      onCorrupt: (stored, because) => corrupt.push(`${renderStoredFile(stored)}: ${because}`),
    });

  /** As WAL is: half of it compresses well. */
  const segment = (): Buffer =>
    Buffer.concat([randomBytes(SEGMENT_BYTES / 2), Buffer.alloc(SEGMENT_BYTES / 2)]);

  async function handOver(name: string, bytes: Buffer): Promise<string> {
    const path = join(place, name);
    await writeFile(path, bytes);
    return path;
  }

  const inside = (...names: string[]): string => join(volume, SYSTEM, ...names);
  const storedNames = async (): Promise<string[]> =>
    (await readdir(inside('wal'), { recursive: true, withFileTypes: true }))
      .filter((each) => each.isFile())
      .map(({ name }) => name);

  for (const compression of ['none', 'gzip', 'lz4', 'zstd'] as const) {
    it(`gives back what it was given: ${compression}`, async function () {
      if (!(await availableCompressions()).includes(compression)) this.skip();
      const bytes = segment();
      const store = newStore(compression);
      expect(await store.put(file(NAME), await handOver(NAME, bytes))).to.equal('stored');
      const ending = { none: '', gzip: '.gz', lz4: '.lz4', zstd: '.zst' }[compression];
      expect(await storedNames()).to.deep.equal([`${NAME}-${hashOf(bytes)}${ending}`]);

      const later = newStore();
      expect(await later.get(file(NAME), join(place, 'back'))).to.equal(true);
      expect((await readFile(join(place, 'back'))).equals(bytes)).to.equal(true);
      expect((await readdir(place)).toSorted()).to.deep.equal([NAME, 'archive', 'back']);
      expect(await readdir(inside('incoming'))).to.be.empty;
    });
  }

  it('keeps each kind of file in its folder, and lists them all', async () => {
    const names = [
      '00000002.history',
      '000000020000000100000003',
      NAME,
      `${NAME}.00000028.backup`,
      '000000010000000000000008.partial',
    ];
    const store = newStore();
    for (const name of names) await store.put(file(name), await handOver(name, segment()));
    const expected = [
      NAME,
      `${NAME}.00000028.backup`,
      '000000010000000000000008.partial',
      '000000020000000100000003',
      '00000002.history',
    ];
    const list = (some: ArchiveStore): string[] =>
      [...some.files()].map((stored) => renderWalFile(stored.file));
    expect(list(store)).to.have.members(expected);
    const later = newStore();
    await later.open();
    expect(list(later)).to.have.ordered.members(expected);
    expect(await readdir(inside('wal', 'histories'))).to.have.length(1);
    expect(later.has(file(NAME))).to.equal(true);
    expect(later.has(file('000000010000000000000009'))).to.equal(false);
    expect(later.locate(file(NAME))!.path).to.satisfy(existsSync);
  });

  it('says success to the same bytes, and writes nothing', async () => {
    const bytes = segment();
    const path = await handOver(NAME, bytes);
    expect(await newStore('gzip').put(file(NAME), path)).to.equal('stored');
    const steps = new FileSteps();
    try {
      // Of another compression, and by a process that does not remember.
      expect(await newStore('none').put(file(NAME), path)).to.equal('present');
    } finally {
      await steps.restore();
    }
    expect(steps.names).to.not.include('rename');
    expect(await storedNames()).to.deep.equal([`${NAME}-${hashOf(bytes)}.gz`]);
  });

  it('stores other bytes once a person has moved the wrong file away, as the words advise', async () => {
    const store = newStore();
    await store.put(file(NAME), await handOver('one', segment()));
    const other = await handOver('other', segment());
    expect((await failureOf(store.put(file(NAME), other))).code).to.equal('ArchiveConflict');
    await rm(store.locate(file(NAME))!.path);
    expect(await store.put(file(NAME), other)).to.equal('stored');
  });

  it('keeps both where one server may rightly have two', async () => {
    const store = newStore();
    const partial = file(`${NAME}.partial`);
    expect(await store.put(partial, await handOver('one', segment()))).to.equal('stored');
    expect(await store.put(partial, await handOver('other', segment()))).to.equal('stored');
    expect(await storedNames()).to.have.length(2);
  });

  it('refuses other bytes under the same name, and says what to do', async () => {
    const [one, other] = [segment(), segment()];
    const store = newStore();
    await store.put(file(NAME), await handOver(NAME, one));
    const failure = await failureOf(store.put(file(NAME), await handOver('other', other)));
    expect(failure).to.include({ kind: 'refused', code: 'ArchiveConflict' });
    expect(failure.message).to.include(hashOf(one)).and.to.include(hashOf(other));
    expect(failure.message).to.include('find out which of them belongs to this cluster');
    expect(await storedNames()).to.deep.equal([`${NAME}-${hashOf(one)}`]);
  });

  it('stores once what is handed over twice at the same time', async () => {
    const path = await handOver(NAME, segment());
    const store = newStore();
    const both = [store.put(file(NAME), path), store.put(file(NAME), path)];
    expect(await Promise.all(both)).to.deep.equal(['stored', 'present']);
    expect(await storedNames()).to.have.length(1);
  });

  it('stores again what somebody has deleted behind its back', async () => {
    const path = await handOver(NAME, segment());
    const store = newStore();
    await store.put(file(NAME), path);
    await rm(store.locate(file(NAME))!.path);
    expect(await store.put(file(NAME), path)).to.equal('stored');
    await rm(store.locate(file(NAME))!.path);
    expect(await store.get(file(NAME), join(place, 'back'))).to.equal(false);
    expect(corrupt).to.have.length(1);
    expect(store.has(file(NAME))).to.equal(false);
  });

  it('deletes what it is told to delete', async () => {
    const store = newStore();
    await store.put(file(NAME), await handOver(NAME, segment()));
    await store.remove(file(NAME));
    await store.remove(file(NAME));
    expect(store.has(file(NAME))).to.equal(false);
    expect(await storedNames()).to.be.empty;
    await newStore().open();
    expect(await readdir(inside('wal'))).to.be.empty;
  });

  it('knows how much room there is', async () => {
    const store = newStore();
    await store.open();
    const { freeBytes, totalBytes } = await store.space();
    expect(freeBytes).to.be.above(0).and.at.most(totalBytes);
  });

  describe('a file that is not what its name says', () => {
    const rows = [
      { name: 'one byte is another', compression: 'none', at: 1000 },
      { name: 'one byte is another', compression: 'zstd', at: 1000 },
      { name: 'the end is missing', compression: 'none', at: null },
      { name: 'the end is missing', compression: 'lz4', at: null },
      { name: 'the end is missing', compression: 'gzip', at: null },
    ] as const;
    for (const { name, compression, at } of rows) {
      it(`is put aside, and counts as missing: ${name}, ${compression}`, async function () {
        if (!(await availableCompressions()).includes(compression)) this.skip();
        const path = await handOver(NAME, segment());
        const store = newStore(compression);
        await store.put(file(NAME), path);
        const stored = store.locate(file(NAME))!.path;
        const bytes = await readFile(stored);
        if (at === null) await writeFile(stored, bytes.subarray(0, -9));
        else await writeFile(stored, Buffer.from(bytes.with(at, bytes[at]! ^ 1)));

        const back = join(place, 'back');
        expect(await store.get(file(NAME), back)).to.equal(false);
        expect(existsSync(back) || existsSync(`${back}.new`)).to.equal(false);
        expect(corrupt).to.have.length(1);
        expect(await readdir(inside('corrupt'))).to.have.length(1);
        expect(store.has(file(NAME))).to.equal(false);
        // The next who has it may bring it again.
        expect(await store.put(file(NAME), path)).to.equal('stored');
        expect(await store.get(file(NAME), back)).to.equal(true);
      });
    }

    it('is a segment of another size, too', async () => {
      const store = newStore();
      await store.put(file(NAME), await handOver(NAME, segment().subarray(1)));
      expect(await store.get(file(NAME), join(place, 'back'))).to.equal(false);
      expect(corrupt[0]).to.include('65535 bytes');
    });
  });

  it('makes a file durable before it is seen, and its name before it is said', async () => {
    const store = newStore();
    await store.put(file(NAME), await handOver(NAME, segment()));
    const next = '000000010000000000000008';
    const path = await handOver(next, segment());
    const steps = new FileSteps();
    try {
      await store.put(file(next), path);
    } finally {
      await steps.restore();
    }
    const written = steps.names.filter((name) => ['write', 'sync', 'rename'].includes(name));
    expect(written).to.deep.equal(['write', 'sync', 'rename', 'sync']);
    expect(steps.steps.findLast(({ name }) => name === 'open')?.path).to.equal(
      inside('wal', next.slice(0, 16)),
    );
  });

  describe('killed at any step', () => {
    for (const moment of ['before', 'after'] as const) {
      it(`of storing, ${moment} it: the file is whole or absent`, async () => {
        const bytes = segment();
        const path = await handOver(NAME, bytes);
        const outcomes = await atEveryStep(
          moment,
          async (store) => {
            await store.put(file(NAME), path);
          },
          async (store) => {
            await store.open();
            expect(await readdir(inside('incoming'))).to.be.empty;
            const isThere = store.has(file(NAME));
            expect(await store.get(file(NAME), join(place, 'back'))).to.equal(isThere);
            expect(await store.put(file(NAME), path)).to.equal(isThere ? 'present' : 'stored');
            expect(await store.get(file(NAME), join(place, 'back'))).to.equal(true);
            expect((await readFile(join(place, 'back'))).equals(bytes)).to.equal(true);
            return isThere;
          },
        );
        // Both must have been met, or the steps are not those of storing.
        expect(outcomes).to.include(true).and.to.include(false);
      });

      it(`of reading, ${moment} it: the destination is whole or absent`, async () => {
        const bytes = segment();
        await newStore().put(file(NAME), await handOver(NAME, bytes));
        const back = join(place, 'back');
        const outcomes = await atEveryStep(
          moment,
          async (store) => {
            await store.get(file(NAME), back);
          },
          async (store) => {
            const isThere = existsSync(back);
            if (isThere) expect((await readFile(back)).equals(bytes)).to.equal(true);
            await rm(back, { force: true });
            expect(await store.get(file(NAME), back)).to.equal(true);
            expect(existsSync(`${back}.new`)).to.equal(false);
            await rm(back);
            return isThere;
          },
          false,
        );
        expect(outcomes).to.include(true).and.to.include(false);
      });
    }

    /** A step that never ends is what a killed process has done last. */
    async function atEveryStep(
      moment: 'before' | 'after',
      work: (store: ArchiveStore) => Promise<void>,
      check: (store: ArchiveStore) => Promise<boolean>,
      isFresh = true,
    ): Promise<boolean[]> {
      const outcomes: boolean[] = [];
      for (let step = 1; ; step += 1) {
        if (isFresh) await rm(volume, { recursive: true });
        await mkdir(volume, { recursive: true });
        const steps = new FileSteps({ step, moment });
        const end = await Promise.race([
          work(newStore()).then(() => 'done'),
          steps.reached.then(() => 'killed'),
        ]).finally(async () => await steps.restore());
        if (end === 'done') return outcomes;
        outcomes.push(await check(newStore()));
      }
    }
  });

  it('reads thousands of names in no time', async () => {
    for (let folder = 0; folder < 20; folder += 1) {
      const name = `00000001${folder.toString(16).toUpperCase().padStart(8, '0')}`;
      await mkdir(inside('wal', name), { recursive: true });
      const low = Array.from({ length: 250 }, (_, n) => n.toString(16).toUpperCase());
      const names = low.map((each) => `${name}${each.padStart(8, '0')}-${'a'.repeat(32)}.zst`);
      await Promise.all(names.map(async (each) => await writeFile(inside('wal', name, each), '')));
    }
    const store = newStore();
    const sinceMs = performance.now();
    await store.open();
    expect(performance.now() - sinceMs).to.be.below(1000);
    expect([...store.files()]).to.have.length(5_000);
    const sinceAbsentMs = performance.now();
    expect(await store.get(file('0000000100000000000000FF'), join(place, 'x'))).to.equal(false);
    expect(performance.now() - sinceAbsentMs).to.be.below(50);
  });
});
