/** A volume in trouble: said in words, nothing lost, and over when the trouble is. */
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync, promises as files } from 'node:fs';
import { mkdir, mkdtemp, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { createSandbox } from 'sinon';
import { parseWalFile, type WalFile } from '../../src/core/archive/wal-files';
import { ArchiveStore } from '../../src/instance/archive/archive-store';
import { availableCompressions } from '../../src/instance/archive/filters';
import { failureOf } from '../support/failure';

const MEMORY = existsSync('/dev/shm') ? '/dev/shm' : tmpdir();
const SEGMENT_BYTES = 1024 * 1024;

describe('an archive volume in trouble', function () {
  this.timeout(30_000);
  let place: string;
  let volume: string;
  let isMounted = false;
  const sandbox = createSandbox();

  beforeEach(async () => {
    place = await mkdtemp(join(MEMORY, 'pgswarm-trouble-'));
    volume = join(place, 'archive');
    await mkdir(volume);
  });
  afterEach(async () => {
    sandbox.restore();
    if (isMounted) execFileSync('umount', [volume]);
    isMounted = false;
    await rm(place, { recursive: true });
  });

  /** A file system of its own; needs root. */
  function mount(options: string): boolean {
    try {
      execFileSync('mount', ['-t', 'tmpfs', '-o', options, 'tmpfs', volume], { stdio: 'pipe' });
      isMounted = true;
    } catch {
      console.log('    skipped: a file system cannot be mounted here');
    }
    return isMounted;
  }
  const remount = (how: string): void =>
    void execFileSync('mount', ['-o', `remount,${how}`, volume], { stdio: 'pipe' });

  const newStore = (compression: 'none' | 'zstd' = 'none'): ArchiveStore =>
    new ArchiveStore({
      ...{ volume, systemIdentifier: '7', segmentBytes: SEGMENT_BYTES, compression },
      mayDiffer: () => false,
      onCorrupt: (_, because) => {
        throw new Error(`nothing is corrupt here: ${because}`);
      },
    });

  const segments = Array.from({ length: 6 }, (_, n) =>
    parseWalFile(`0000000100000000000000A${n}`)!,
  );
  async function handOver(): Promise<string> {
    const path = join(place, 'handed-over');
    await writeFile(path, randomBytes(SEGMENT_BYTES));
    return path;
  }

  /** Stores until it does not work any more. */
  async function fill(store: ArchiveStore, path: string): Promise<readonly WalFile[]> {
    for (const [index, file] of segments.entries()) {
      const isStored = await store.put(file, path).then(
        () => true,
        () => false,
      );
      if (!isStored) return segments.slice(0, index);
    }
    throw new Error('it was never full');
  }

  for (const compression of ['none', 'zstd'] as const) {
    it(`is full: ${compression}`, async function () {
      if (!(await availableCompressions()).includes(compression)) this.skip();
      if (!mount('size=2500k')) this.skip();
      const store = newStore(compression);
      const path = await handOver();
      const stored = await fill(store, path);
      expect(stored).to.have.length(2);
      const next = segments[stored.length]!;
      const failure = await failureOf(store.put(next, path));
      expect(failure.code).to.equal('ArchiveVolumeFull');
      expect(failure.message).to.include('its volume is full').and.to.include('PostgreSQL keeps');
      expect(await readdir(join(store.directory, 'incoming'))).to.be.empty;
      expect(store.has(next)).to.equal(false);
      // What is there can still be read, and it goes on by itself.
      expect(await store.get(stored[0]!, join(place, 'back'))).to.equal(true);
      remount('size=6m');
      expect(await store.put(next, path)).to.equal('stored');
    });
  }

  it('is read-only', async function () {
    if (!mount('size=8m')) this.skip();
    const path = await handOver();
    const [one, two] = segments as [WalFile, WalFile];
    await newStore().put(one, path);
    await writeFile(join(volume, '7', 'incoming', 'left-over'), '');
    remount('ro');
    const store = newStore();
    expect((await failureOf(store.put(two, path))).code).to.equal('ArchiveVolumeReadOnly');
    expect(await store.put(one, path)).to.equal('present');
    expect(await store.get(one, join(place, 'back'))).to.equal(true);
    remount('rw');
    expect(await store.put(two, path)).to.equal('stored');
  });

  it('has disappeared, and comes back', async () => {
    const store = newStore();
    const path = await handOver();
    const [one, two, three] = segments as [WalFile, WalFile, WalFile];
    await store.put(one, path);
    const elsewhere = join(place, 'elsewhere');
    await rename(store.directory, elsewhere);
    const put = async (): Promise<unknown> => await store.put(two, path);
    const get = async (): Promise<unknown> => await store.get(one, join(place, 'back'));
    for (const attempt of [put, put, get]) {
      const failure = await failureOf(attempt());
      expect(failure.code).to.equal('ArchiveVolumeGone');
      expect(failure.message).to.include('Was the volume unmounted');
    }
    // Nothing is written where the volume was: that would be another disk.
    expect(await readdir(volume)).to.be.empty;
    await rename(elsewhere, store.directory);
    expect(await store.put(two, path)).to.equal('stored');
    // What had been brought meanwhile is known.
    await newStore().put(three, path);
    await rename(store.directory, elsewhere);
    await failureOf(store.put(three, path));
    await rename(elsewhere, store.directory);
    expect(await store.put(three, path)).to.equal('present');
  });

  const injected = [
    { errno: 'EIO', call: 'sync', code: 'ArchiveVolumeBroken' },
    { errno: 'EIO', call: 'write', code: 'ArchiveVolumeBroken' },
    { errno: 'EDQUOT', call: 'write', code: 'ArchiveVolumeFull' },
    { errno: 'EROFS', call: 'rename', code: 'ArchiveVolumeReadOnly' },
    { errno: 'EACCES', call: 'open', code: 'ArchiveVolumeDenied' },
    { errno: 'EIO', call: 'read', code: 'WalFileUnreadable' },
  ] as const;
  for (const { errno, call, code } of injected) {
    it(`answers ${errno} of ${call} with ${code}, and leaves nothing behind`, async () => {
      const store = newStore();
      const path = await handOver();
      const [one, two] = segments as [WalFile, WalFile];
      await store.put(one, path);
      breakCalls(call, errno);
      expect((await failureOf(store.put(two, path))).code).to.equal(code);
      sandbox.restore();
      expect(await readdir(join(store.directory, 'incoming'))).to.be.empty;
      expect(await store.put(two, path)).to.equal('stored');
    });
  }

  it('cannot be read: the words are not those of the data volume', async () => {
    const store = newStore();
    const path = await handOver();
    await store.put(segments[0]!, path);
    breakCalls('read', 'EIO');
    const failure = await failureOf(store.get(segments[0]!, join(place, 'back')));
    expect(failure.code).to.equal('ArchiveVolumeBroken');
    sandbox.restore();
    const nowhere = join(place, 'nowhere', 'back');
    expect((await failureOf(store.get(segments[0]!, nowhere))).code).to.equal('WalFileNotWritten');
    expect(store.has(segments[0]!)).to.equal(true);
  });

  it('says which file PostgreSQL has not handed over', async () => {
    const failure = await failureOf(newStore().put(segments[0]!, join(place, 'not-there')));
    expect(failure.code).to.equal('WalFileUnreadable');
  });

  type Broken = (typeof injected)[number]['call'];
  function breakCalls(call: Broken, code: string): void {
    const broken = async (): Promise<never> => {
      await Promise.resolve();
      throw Object.assign(new Error(`${code}: injected, ${call}`), { code, syscall: call });
    };
    const { open } = files;
    if (call === 'rename') {
      sandbox.stub(files, 'rename').callsFake(broken);
      return;
    }
    sandbox.stub(files, 'open').callsFake(async (...given) => {
      if (call === 'open') return given[1] === 'wx' ? await broken() : await open(...given);
      return Object.assign(await open(...given), { [call]: broken });
    });
  }
});
