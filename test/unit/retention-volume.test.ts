/**
 * Retention on a real file system: backups that hold next to nothing, segments of a few bytes. Killed at
 * every step of its work it leaves what can be restored, and goes on after the next start.
 */
import { cpSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import sinon from 'sinon';
import { createLogger } from 'winston';
import { contains, inventoryOf } from '../../src/core/archive/inventory';
import {
  nameOfSegment,
  parseSegment,
  parseWalFile,
  renderWalFile,
} from '../../src/core/archive/wal-files';
import { type WalVerdict } from '../../src/core/archive/wal-retention';
import { type Backup } from '../../src/core/backup/backup';
import { type Histories } from '../../src/core/timelines';
import { type BackupSources, Backups } from '../../src/instance/backup/backups';
import { BackupCatalogue } from '../../src/instance/backup/catalogue';
import { listFiles } from '../../src/instance/backup/list-files';
import { Retention, type WalBeside } from '../../src/instance/backup/retention';
import { ArchiveStore } from '../../src/instance/archive/archive-store';
import { discardWal } from '../../src/instance/archive/discard-wal';
import { FileSteps, type Ending } from '../support/file-steps';
import { HOUR_MS, MORNING_MS, position } from './archive-world';

const SYSTEM = '7575';
const segmentBytes = 16 * 1024 ** 2;
const log = createLogger({ silent: true });
const RULES = { keep: 1, maxAgeMs: null };

/** One archive volume, with what works on it. */
class Volume implements WalBeside {
  readonly path = mkdtempSync(join(tmpdir(), 'pgswarm-retention-'));
  readonly closed = new AbortController();
  catalogue!: BackupCatalogue;
  store!: ArchiveStore;
  retention!: Retention;
  histories: Histories = {};
  floors: readonly WalVerdict[] | null = null;

  /** As after a start of the instance manager. */
  async open(): Promise<void> {
    this.catalogue = await BackupCatalogue.open({ volume: this.path, systemIdentifier: SYSTEM });
    this.store = new ArchiveStore({
      volume: this.path,
      systemIdentifier: SYSTEM,
      segmentBytes,
      compression: 'none',
      mayDiffer: () => false,
      onCorrupt: () => undefined,
    });
    await this.store.open();
    this.retention = new Retention({ wal: this, signal: this.closed.signal, log });
    this.retention.guide({ rules: RULES, timeline: 1, replayedLsn: null });
  }

  async backup(id: string, at: number, changes: Partial<Backup> = {}): Promise<void> {
    const moment = (hour: number): string => new Date(MORNING_MS + hour * HOUR_MS).toISOString();
    const backup: Backup = {
      id,
      method: 'base',
      parent: null,
      format: 'plain',
      compression: 'none',
      cluster: 'orders',
      server: 'pg1',
      systemIdentifier: SYSTEM,
      postgresVersion: '17.6',
      wal: { timeline: 1, startLsn: position(at + 0.5), stopLsn: position(at + 1.5) },
      startedAt: moment(at),
      stoppedAt: moment(at + 0.5),
      bytes: 5,
      because: 'a test',
      spec: null,
      ...changes,
    };
    await this.catalogue.within('backup', id, async (directory) => {
      mkdirSync(join(directory, 'data'));
      writeFileSync(join(directory, 'data/PG_VERSION'), 'seventeen');
      const list = await listFiles(directory, new Map(), new AbortController().signal);
      await this.catalogue.commit(directory, backup, list);
    });
  }

  async wal(...names: readonly string[]): Promise<void> {
    const path = join(this.path, 'source');
    for (const name of names) {
      writeFileSync(path, name);
      const file = parseWalFile(name);
      if (file === null) throw new Error(`${name} is no WAL file`);
      await this.store.put(file, path);
    }
    rmSync(path);
  }

  retained(): ReturnType<WalBeside['retained']> {
    const inventory = inventoryOf(
      [...this.store.files()].flatMap(
        ({ file }) => parseSegment(renderWalFile(file), segmentBytes) ?? [],
      ),
    );
    const { histories } = this;
    const here = { systemIdentifier: SYSTEM, segmentBytes, inventory, histories };
    return Promise.resolve({ ...here, everywhere: inventory });
  }

  keepFrom(floors: readonly WalVerdict[]): void {
    this.floors = floors;
  }

  async discard(_: unknown, verdicts: readonly WalVerdict[], signal: AbortSignal): Promise<number> {
    return await discardWal(this.store, { segmentBytes, verdicts, signal });
  }

  get folders(): readonly string[] {
    return readdirSync(join(this.path, SYSTEM, 'backups')).toSorted();
  }
}

const segment = (number: number, timeline = 1): string =>
  nameOfSegment({ timeline, number }, segmentBytes);
const range = (from: number, to: number): readonly string[] =>
  Array.from({ length: to - from + 1 }, (_, index) => segment(from + index));

describe('retention on an archive volume', () => {
  const volumes: Volume[] = [];

  async function volume(): Promise<Volume> {
    const made = new Volume();
    volumes.push(made);
    await made.open();
    return made;
  }

  /** Four backups, b an increment of a and d one of c, with WAL before and behind all of them. */
  async function four(): Promise<Volume> {
    const made = await volume();
    await made.wal(
      ...range(0, 12),
      `${segment(1)}.00000028.backup`,
      `${segment(4)}.00000028.backup`,
    );
    await made.wal(`${segment(2)}.partial`, '00000002.history');
    await made.backup('a', 1);
    await made.backup('b', 3, { parent: 'a' });
    await made.backup('c', 5);
    await made.backup('d', 7, { parent: 'c' });
    return made;
  }

  afterEach(() => {
    sinon.restore();
    for (const { path } of volumes.splice(0)) rmSync(path, { recursive: true, force: true });
  });

  const LEFT = [...range(5, 12), '00000002.history'];
  const names = ({ store }: Volume): readonly string[] =>
    [...store.files()].map(({ file }) => renderWalFile(file));

  it('throws away what no rule wants: increments, then what they build on, then WAL', async () => {
    const made = await four();
    await made.retention.apply(made.catalogue, []);
    expect(made.folders).to.deep.equal(['c', 'd']);
    expect(names(made)).to.deep.equal(LEFT);
    expect(readdirSync(join(made.path, SYSTEM, 'incoming'))).to.deep.equal([]);
    expect(made.floors?.map(({ below }) => below)).to.deep.equal([5]);
    await made.open();
    expect(names(made)).to.deep.equal(LEFT);
  });

  it('says of every backup why it stays', async () => {
    const made = await four();
    const { words } = await made.retention.apply(made.catalogue, []);
    expect(words.get('d')).to.equal('kept because it is the newest usable backup');
    expect(words.get('c')).to.equal('kept because d, which stays, builds on it');
    expect(words.get('b')).to.match(/^goes: the newest 1 usable ones stay/);
  });

  it('throws nothing away without a rule', async () => {
    const made = await four();
    const before = names(made);
    made.retention.guide({ rules: { keep: null, maxAgeMs: null }, timeline: 1, replayedLsn: null });
    await made.retention.apply(made.catalogue, []);
    expect(made.folders).to.have.length(4);
    expect(names(made)).to.deep.equal(before);
    expect(made.floors).to.deep.equal([]);
  });

  const obstacles: readonly (readonly [string, (made: Volume) => void, RegExp])[] = [
    [
      'PostgreSQL does not follow anybody',
      ({ retention }) => retention.guide({ rules: RULES, timeline: null, replayedLsn: null }),
      /neither accepts writes here nor follows the primary/,
    ],
    [
      'PostgreSQL is on another timeline than the newest',
      (made) => (made.histories = { 2: [{ timeline: 1, endLsn: position(9) }] }),
      /on timeline 1, but the archive leads to 2/,
    ],
    [
      'a backup cannot be read',
      ({ path }) => mkdirSync(join(path, SYSTEM, 'backups/x')),
      /backup x cannot be read \(backup.json is missing\)/,
    ],
    [
      'the leader is silent',
      () => {
        const later = performance.now() + 60_001;
        sinon.stub(performance, 'now').returns(later);
      },
      /no leader has answered/,
    ],
  ];
  for (const [name, happen, because] of obstacles) {
    it(`throws nothing away while ${name}`, async () => {
      const made = await four();
      const before = names(made);
      happen(made);
      const { words } = await made.retention.apply(made.catalogue, []);
      expect(made.folders).to.include.members(['a', 'b', 'c', 'd']);
      expect(names(made)).to.deep.equal(before);
      expect(words.get('a')).to.match(because);
    });
  }

  it('leaves the WAL that a late standby has not replayed', async () => {
    const made = await four();
    made.retention.guide({ rules: RULES, timeline: 1, replayedLsn: position(3.5) });
    await made.retention.apply(made.catalogue, []);
    expect(made.folders).to.deep.equal(['c', 'd']);
    expect(names(made)[0]).to.equal(segment(3));
  });

  it('leaves what is being read, with its WAL', async () => {
    const made = await four();
    const lease = await made.catalogue.leaseChain('b');
    await made.retention.apply(made.catalogue, []);
    expect(made.folders).to.deep.equal(['a', 'b', 'c', 'd']);
    expect(names(made)[0]).to.equal(segment(1));
    lease.release();
    await made.retention.apply(made.catalogue, []);
    expect(names(made)).to.deep.equal(LEFT);
  });

  it('leaves the WAL of a backup that somebody begins to read when it is to go', async () => {
    const made = await four();
    const remove = made.catalogue.remove.bind(made.catalogue);
    sinon.stub(made.catalogue, 'remove').callsFake(async (id) => {
      if (id === 'b') await made.catalogue.leaseChain('b');
      await remove(id);
    });
    await made.retention.apply(made.catalogue, []);
    expect(made.folders).to.deep.equal(['a', 'b', 'c', 'd']);
    expect(names(made)[0]).to.equal(segment(1));
  });

  it('leaves what is restorable when it is killed at any step, and goes on afterwards', async () => {
    const whole = await four();
    const copied = async (): Promise<Volume> => {
      const made = new Volume();
      volumes.push(made);
      cpSync(whole.path, made.path, { recursive: true });
      await made.open();
      return made;
    };
    const length = await stepsOf(await copied(), null);
    expect(length).to.be.greaterThan(20);
    for (let step = 1; step <= length; step += 1) {
      for (const moment of ['before', 'after'] as const) {
        const made = await copied();
        await stepsOf(made, { step, moment });
        await made.open();
        const { backups, broken } = await made.catalogue.list();
        expect(broken).to.deep.equal([]);
        expect(readdirSync(join(made.path, SYSTEM, 'incoming'))).to.deep.equal([]);
        const ids = backups.map(({ id }) => id);
        expect(ids, `killed ${moment} step ${step}`).to.include.members(['c', 'd']);
        if (ids.includes('b')) expect(ids).to.include('a');
        const { inventory } = (await made.retained())!;
        for (const first of backups.map(({ startedAt }) => hourOf(startedAt))) {
          for (let number = first; number <= 12; number += 1) {
            expect(contains(inventory, { timeline: 1, number }), `segment ${number}`).to.equal(
              true,
            );
          }
        }
        await made.retention.apply(made.catalogue, []);
        expect(made.folders).to.deep.equal(['c', 'd']);
        expect(names(made)).to.deep.equal(LEFT);
        rmSync(made.path, { recursive: true, force: true });
      }
    }
  }).timeout(120_000);

  /** How many steps it took, up to its end or to that of the world. */
  async function stepsOf(made: Volume, ending: Ending | null): Promise<number> {
    const steps = new FileSteps(ending);
    try {
      await Promise.race([made.retention.apply(made.catalogue, []), steps.reached]);
    } finally {
      await steps.restore();
    }
    return steps.steps.length;
  }

  const hourOf = (moment: string): number => (Date.parse(moment) - MORNING_MS) / HOUR_MS;

  describe('beside a peer', () => {
    /** What `own` knows and does of the backups of `peer`. */
    function backupsOf(own: Volume, peer: Volume): Backups {
      const theirs = new Backups({ ...options(peer), peers: NO_PEERS, wal: peer });
      theirs.use(SYSTEM);
      const peers: BackupSources = {
        backupsOf: async () => {
          await theirs.lookAfter().catch(() => undefined);
          return theirs.ids(SYSTEM);
        },
        filesOfBackup: async (_, id) => await theirs.files(id),
        openBackupFile: async (_, { id, path }) => {
          asked.push(`${id}/${path}`);
          const opened = await theirs.openFile(id, path);
          if (opened === null) throw new Error('there is no such file');
          return opened.stream;
        },
      };
      const backups = new Backups({ ...options(own), peers, wal: own });
      backups.use(SYSTEM);
      backups.know(['pg2']);
      backups.guide({ rules: RULES, timeline: 1, replayedLsn: null });
      return backups;
    }

    const asked: string[] = [];
    const NO_PEERS: BackupSources = {
      backupsOf: () => Promise.resolve([]),
      filesOfBackup: () => Promise.reject(new Error('nobody is there')),
      openBackupFile: () => Promise.reject(new Error('nobody is there')),
    };
    const options = ({
      path,
    }: Volume): Omit<ConstructorParameters<typeof Backups>[0], 'peers' | 'wal'> => ({
      cluster: 'orders',
      machine: null as never,
      volume: path,
      dataDirectory: '',
      binDirectory: '',
      log,
    });

    beforeEach(() => asked.splice(0));

    it('does not copy again what has gone, and asks about it once', async () => {
      const [own, peer] = [await four(), await four()];
      const backups = backupsOf(own, peer);
      await backups.lookAfter();
      await backups.lookAfter();
      await backups.lookAfter();
      expect(own.folders).to.deep.equal(['c', 'd']);
      expect(asked).to.deep.equal(['a/backup.json', 'b/backup.json']);
      backups.close();
    });

    it('copies what is wanted here, with what it builds on', async () => {
      const [own, peer] = [await volume(), await four()];
      await own.wal(...range(0, 12));
      const backups = backupsOf(own, peer);
      await backups.lookAfter();
      expect(own.folders).to.deep.equal(['c', 'd']);
      await backups.lookAfter();
      expect(own.folders).to.deep.equal(['c', 'd']);
      expect(backups.listed.map(({ retention }) => retention)).to.deep.equal([
        'kept because d, which stays, builds on it',
        'kept because it is the newest usable backup',
      ]);
      backups.close();
    });

    it('does not throw away again and again what an increment that cannot be copied builds on', async () => {
      const [own, peer] = [await volume(), await four()];
      await own.backup('e', 9);
      await peer.backup('f', 10, { parent: 'd' });
      rmSync(join(peer.path, SYSTEM, 'backups/f/data/PG_VERSION'));
      const backups = backupsOf(own, peer);
      await backups.lookAfter();
      expect(own.folders).to.deep.equal(['c', 'd', 'e']);
      asked.splice(0);
      await backups.lookAfter();
      expect(own.folders).to.deep.equal(['c', 'd', 'e']);
      expect(asked.filter((path) => !path.startsWith('f/'))).to.deep.equal([]);
      backups.close();
    });

    it('copies everything without a rule', async () => {
      const [own, peer] = [await volume(), await four()];
      const backups = backupsOf(own, peer);
      backups.guide({ rules: { keep: null, maxAgeMs: null }, timeline: 1, replayedLsn: null });
      await backups.lookAfter();
      expect(own.folders).to.deep.equal(['a', 'b', 'c', 'd']);
      backups.close();
    });
  });
});
