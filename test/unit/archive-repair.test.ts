/** The archive of a server, filled from a peer's: all that it lacks, and nothing that retention has removed. */
import { mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import { isDeepStrictEqual } from 'node:util';
import { expect } from 'chai';
import sinon from 'sinon';
import { createLogger } from 'winston';
import { type PeerClient } from '../../src/adapters/control/peer-client';
import { nameHash } from '../../src/core/archive/stored-files';
import { nameOfSegment } from '../../src/core/archive/wal-files';
import { Archive } from '../../src/instance/archive/archive';
import { eventually } from '../support/eventually';
import { archive as ranges } from './archive-world';

const DATABASE = { systemIdentifier: '7575', segmentBytes: 1024 ** 2 };
const LAST = 9;
const segment = (number: number): string =>
  nameOfSegment({ timeline: 1, number }, DATABASE.segmentBytes);

describe('the repair of an archive', function () {
  this.timeout(90_000);

  let root: string;
  let archive: Archive;
  let clock: sinon.SinonFakeTimers;
  const fetched: string[] = [];

  /** It has all segments up to the last one. */
  const peer: Pick<PeerClient, 'holdingsOf' | 'openArchived'> = {
    holdingsOf: () => Promise.resolve({ ...DATABASE, ranges: ranges([1, 0, LAST]), histories: {} }),
    openArchived: (_, { file }) => {
      fetched.push(file);
      const bytes = Buffer.alloc(DATABASE.segmentBytes, file);
      const hash = nameHash(createHash('sha256').update(bytes).digest('hex'));
      return Promise.resolve({ stored: `${file}-${hash}`, stream: Readable.from([bytes]) });
    },
  };

  beforeEach(async () => {
    root = mkdtempSync(join(tmpdir(), 'pgswarm-repair-'));
    for (const folder of ['volume', 'pg_wal', 'spool', 'run']) mkdirSync(join(root, folder));
    clock = sinon.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
    archive = new Archive({
      volume: join(root, 'volume'),
      socket: join(root, 'run/wal'),
      walDirectory: join(root, 'pg_wal'),
      spoolDirectory: join(root, 'spool'),
      peers: peer,
      backups: () => [],
      log: createLogger({ silent: true }),
    });
    await archive.listen();
    archive.know(['pg2']);
    archive.use(DATABASE);
    archive.compression = 'none';
    fetched.splice(0);
  });

  afterEach(() => {
    archive.close();
    clock.restore();
    rmSync(root, { recursive: true, force: true });
  });

  const stored = (): readonly string[] => {
    const folder = join(root, 'volume', DATABASE.systemIdentifier, 'wal');
    return readdirSync(folder, { recursive: true, encoding: 'utf8' })
      .flatMap((path) => /\/([0-9A-F]{24})-/.exec(path)?.[1] ?? [])
      .toSorted();
  };
  const from = (first: number): readonly string[] =>
    Array.from({ length: LAST - first + 1 }, (_, index) => segment(first + index));

  /** Twice: what is lacking for the first time may be on its way. */
  async function lookAfter(until: () => boolean | Promise<boolean>): Promise<void> {
    await eventually(async () => {
      clock.tick(10_000);
      if (!(await until())) throw new Error(stored().join(', '));
    });
  }

  /** As the archive itself knows: a file has its name a moment before it counts. */
  const isWhole = async (): Promise<boolean> => {
    const here = await archive.retained();
    return isDeepStrictEqual(here?.inventory, ranges([1, 0, LAST]));
  };

  it('waits until it is known what is to be kept', async () => {
    let looks = 0;
    const { holdingsOf } = peer;
    peer.holdingsOf = async (name) => {
      looks += 1;
      return await holdingsOf(name);
    };
    await lookAfter(() => looks > 4);
    expect(fetched).to.deep.equal([]);
    archive.keepFrom([]);
    await lookAfter(isWhole);
    peer.holdingsOf = holdingsOf;
  });

  it('brings nothing back that was thrown away', async () => {
    archive.keepFrom([]);
    await lookAfter(isWhole);
    const floors = [{ timeline: 1, below: 6, because: 'a test' }];
    archive.keepFrom(floors);
    const here = await archive.retained();
    if (here === null) throw new Error('it is not known what is here');
    const { signal } = new AbortController();
    const foreign = { ...here, systemIdentifier: '1' };
    expect(await archive.discard(foreign, floors, signal)).to.equal(0);
    expect(await archive.discard(here, floors, signal)).to.equal(6);
    expect(stored()).to.deep.equal(from(6));
    fetched.splice(0);
    const lost = join(root, 'volume', DATABASE.systemIdentifier, 'wal');
    for (const path of readdirSync(lost, { recursive: true, encoding: 'utf8' })) {
      if (path.includes(segment(8))) rmSync(join(lost, path));
    }
    archive.use(DATABASE);
    archive.keepFrom(floors);
    await lookAfter(() => stored().includes(segment(8)));
    expect(fetched).to.deep.equal([segment(8)]);
    expect(stored()).to.deep.equal(from(6));
  });
});
