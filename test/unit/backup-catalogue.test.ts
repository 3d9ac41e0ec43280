/** The catalogue of backups on a real file system, with backups that hold next to nothing. */
import { mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { expect } from 'chai';
import { type Backup } from '../../src/core/backup/backup';
import { type StoredList } from '../../src/core/backup/stored-list';
import { BackupCatalogue } from '../../src/instance/backup/catalogue';
import { BackupCopies, type BackupPeers } from '../../src/instance/backup/copies';
import { listFiles } from '../../src/instance/backup/list-files';
import { failureOf } from '../support/failure';

const SYSTEM = '7575';

describe('the catalogue of backups', () => {
  let volume: string;
  let catalogue: BackupCatalogue;

  beforeEach(async () => {
    volume = mkdtempSync(join(tmpdir(), 'pgswarm-catalogue-'));
    catalogue = await BackupCatalogue.open({ volume, systemIdentifier: SYSTEM });
  });

  afterEach(() => rmSync(volume, { recursive: true, force: true }));

  const at = (...names: readonly string[]): string => join(volume, SYSTEM, ...names);

  const describing = (
    id: string,
    parent: string | null,
    changes: Partial<Backup> = {},
  ): Backup => ({
    id,
    method: 'base',
    parent,
    format: 'plain',
    compression: 'none',
    cluster: 'orders',
    server: 'pg1',
    systemIdentifier: SYSTEM,
    postgresVersion: '17.6',
    wal: { timeline: 1, startLsn: '0/2000028', stopLsn: '0/2000100' },
    startedAt: '2026-11-21T18:00:00.000Z',
    stoppedAt: '2026-11-21T18:01:00.000Z',
    bytes: 5,
    because: 'a test',
    spec: { kind: 'PostgresCluster' },
    ...changes,
  });

  async function put(
    id: string,
    parent: string | null = null,
    changes: Partial<Backup> = {},
  ): Promise<void> {
    await catalogue.within('backup', id, async (directory) => {
      mkdirSync(join(directory, 'data/pg_notify'), { recursive: true });
      writeFileSync(join(directory, 'data/PG_VERSION'), 'seventeen');
      writeFileSync(join(directory, 'data/strange \n name'), '');
      const list = await listFiles(directory, new Map(), new AbortController().signal);
      await catalogue.commit(directory, describing(id, parent, changes), list);
    });
  }

  const listed = async (): Promise<readonly string[]> =>
    (await catalogue.list()).backups.map(({ id }) => id);

  it('has what was committed, with what was found when it was checked', async () => {
    await put('b');
    await put('a');
    expect(await listed()).to.deep.equal(['a', 'b']);
    const verification = { at: '2026-11-21T19:00:00.000Z', problem: 'a file is missing' };
    await catalogue.noteVerification('a', verification);
    expect(await catalogue.get('a')).to.deep.equal({ ...describing('a', null), verification });
    expect(readdirSync(at('incoming'))).to.deep.equal([]);
  });

  it('keeps nothing of work that fails', async () => {
    const failing = catalogue.within('backup', 'a', (directory) => {
      writeFileSync(join(directory, 'half'), 'x');
      return Promise.reject(new Error('oh'));
    });
    expect(await failing.catch((error: unknown) => String(error))).to.equal('Error: oh');
    expect(readdirSync(at('incoming'))).to.deep.equal([]);
    expect(await catalogue.find('a')).to.equal(null);
  });

  it('clears away what was cut short, and leaves the WAL archive its own', async () => {
    await put('a');
    for (const name of ['backup-b', 'copy-c', 'verify-a', 'restore-a', 'removed-d']) {
      mkdirSync(at('incoming', name, 'data'), { recursive: true });
    }
    writeFileSync(at('incoming', '7.000000010000000000000001'), 'wal');
    catalogue = await BackupCatalogue.open({ volume, systemIdentifier: SYSTEM });
    expect(readdirSync(at('incoming'))).to.deep.equal(['7.000000010000000000000001']);
    expect(await listed()).to.deep.equal(['a']);
  });

  it('names what is broken, and still lists the others', async () => {
    for (const id of ['a', 'b', 'c', 'd', 'e']) await put(id);
    writeFileSync(at('backups/b/backup.json'), '{"id":');
    rmSync(at('backups/c/backup.json'));
    writeFileSync(at('backups/d/backup.json'), JSON.stringify(describing('x', null)));
    const foreign = describing('e', null, { systemIdentifier: '1' });
    writeFileSync(at('backups/e/backup.json'), JSON.stringify(foreign));
    const { backups, broken } = await catalogue.list();
    expect(backups.map(({ id }) => id)).to.deep.equal(['a']);
    expect(broken).to.deep.equal([
      { id: 'b', problem: 'backup.json: it is not JSON' },
      { id: 'c', problem: 'backup.json is missing' },
      { id: 'd', problem: 'backup.json is that of x' },
      { id: 'e', problem: 'it is of another database, 1' },
    ]);
    expect((await failureOf(catalogue.get('b'))).code).to.equal('BackupBroken');
    await catalogue.remove('b');
    expect((await catalogue.list()).broken).to.have.length(3);
  });

  it('removes none that is in use, or that others need', async () => {
    await put('a');
    await put('b', 'a');
    expect((await failureOf(catalogue.remove('a'))).message).to.contain('b cannot be restored');
    const { chain, release } = await catalogue.leaseChain('b');
    expect(chain.map(({ backup }) => backup.id)).to.deep.equal(['a', 'b']);
    const second = await catalogue.lease('b');
    release();
    release();
    expect((await failureOf(catalogue.remove('b'))).code).to.equal('BackupInUse');
    second.release();
    await catalogue.remove('b');
    await catalogue.remove('a');
    await catalogue.remove('a');
    expect(await listed()).to.deep.equal([]);
    expect(readdirSync(at('incoming'))).to.deep.equal([]);
  });

  it('lends nothing that is on its way out', async () => {
    await put('a');
    const removing = catalogue.remove('a');
    const outcome = await catalogue.lease('a').then(
      ({ chain }) => chain[0]?.directory ?? '',
      () => null,
    );
    const isRemoved = await removing.then(
      () => true,
      () => false,
    );
    // Either it was lent and is there, or it was removed and nobody has it.
    expect(isRemoved).to.equal(outcome === null);
    expect(await listed()).to.deep.equal(isRemoved ? [] : ['a']);
  });

  it('lends no chain with a link missing, nor one without a beginning', async () => {
    await put('b', 'a');
    expect((await failureOf(catalogue.leaseChain('b'))).message).to.contain('no backup a');
    await put('c', 'd');
    await put('d', 'c');
    expect((await failureOf(catalogue.leaseChain('d'))).message).to.contain('own ancestor');
  });

  it('takes no name that leads elsewhere', async () => {
    for (const id of ['..', '../wal', 'a/b', '']) {
      expect((await failureOf(catalogue.get(id))).code, id).to.equal('BackupUnknown');
      expect((await failureOf(catalogue.remove(id))).code, id).to.equal('BackupUnknown');
    }
  });

  describe('copies', () => {
    let peerVolume: string;
    let own: BackupCatalogue;
    let copies: BackupCopies;
    let served: BackupCopies;
    /** What the way between them does to a file. */
    let spoil: (path: string, bytes: Buffer) => Buffer | Error;
    let asked: string[];
    let forged: ((list: StoredList) => unknown) | null;

    const { signal } = new AbortController();

    beforeEach(async () => {
      peerVolume = mkdtempSync(join(tmpdir(), 'pgswarm-copies-'));
      own = await BackupCatalogue.open({ volume: peerVolume, systemIdentifier: SYSTEM });
      [spoil, asked, forged] = [(_, bytes): Buffer => bytes, [], null];
      const peers: BackupPeers = {
        listFiles: async (_, id) => {
          const list = await served.files(id);
          return forged === null ? list : forged(list);
        },
        openFile: async (_, id, path) => {
          asked.push(path);
          const opened = await served.open(id, path);
          if (opened === null) throw new Error(`no ${path}`);
          const chunks = (await opened.stream.toArray()) as Buffer[];
          const bytes = spoil(path, Buffer.concat(chunks));
          if (bytes instanceof Error) throw bytes;
          return Readable.from([bytes.subarray(0, 3), bytes.subarray(3)]);
        },
      };
      served = new BackupCopies(catalogue, peers);
      copies = new BackupCopies(own, peers);
    });

    afterEach(() => rmSync(peerVolume, { recursive: true, force: true }));

    const nothingIsLeft = async (): Promise<void> => {
      expect(readdirSync(join(peerVolume, SYSTEM, 'incoming'))).to.deep.equal([]);
      expect((await own.list()).backups).to.deep.equal([]);
    };

    it('are the same, with empty directories and strange names', async () => {
      await put('a');
      const verification = { at: '2026-11-21T19:00:00.000Z', problem: null };
      await catalogue.noteVerification('a', verification);
      const copied = await copies.pull({ peer: 'pg1', id: 'a', signal });
      expect(copied).to.deep.equal({ ...describing('a', null), verification: null });
      const there = join(peerVolume, SYSTEM, 'backups/a');
      for (const path of ['data/PG_VERSION', 'data/strange \n name', 'files.json', 'backup.json']) {
        expect(await readFile(join(there, path), 'utf8'), path).to.equal(
          await readFile(at('backups/a', path), 'utf8'),
        );
      }
      expect(readdirSync(join(there, 'data'))).to.include('pg_notify');
      expect(readdirSync(there)).not.to.include('verified.json');
      asked.length = 0;
      await copies.pull({ peer: 'pg1', id: 'a', signal });
      expect(asked).to.deep.equal([]);
      await catalogue.remove('a');
    });

    it('are asked for again when a connection breaks, not for ever', async () => {
      await put('a');
      let failures = 2;
      spoil = (path, bytes) =>
        path.endsWith('PG_VERSION') && failures-- > 0 ? new Error('reset') : bytes;
      await copies.pull({ peer: 'pg1', id: 'a', signal });
      await own.remove('a');
      failures = 3;
      await failureOf(copies.pull({ peer: 'pg1', id: 'a', signal }));
      await nothingIsLeft();
    });

    it('are refused when anything came otherwise than it was written', async () => {
      await put('a');
      const changes: readonly ((bytes: Buffer) => Buffer)[] = [
        (bytes) => bytes.subarray(0, -1),
        (bytes) => Buffer.concat([bytes, Buffer.from('x')]),
        (bytes) => Buffer.from(bytes.map((byte, index) => (index === 4 ? byte ^ 1 : byte))),
      ];
      for (const path of ['data/PG_VERSION', 'backup.json', 'files.json']) {
        for (const change of changes) {
          spoil = (name, bytes) => (name === path ? change(bytes) : bytes);
          const failure = await failureOf(copies.pull({ peer: 'pg1', id: 'a', signal }));
          expect(failure.code).to.equal('CopyDamaged');
          await nothingIsLeft();
        }
      }
      // What has changed on the peer's own disk since is no better.
      writeFileSync(at('backups/a/data/PG_VERSION'), 'Seventeen');
      spoil = (_, bytes) => bytes;
      const failure = await failureOf(copies.pull({ peer: 'pg1', id: 'a', signal }));
      expect(failure.message).to.contain('PG_VERSION came as something else');
      await nothingIsLeft();
    });

    it('believe no list that leads elsewhere', async () => {
      await put('a');
      forged = ({ directories, files }) => ({
        directories,
        files: files.map((file) => ({ ...file, path: `../${file.path}` })),
      });
      const failure = await failureOf(copies.pull({ peer: 'pg1', id: 'a', signal }));
      expect(failure.message).to.contain('outside of the backup');
      expect(asked).to.deep.equal([]);
      await nothingIsLeft();
    });

    it('need their parent first', async () => {
      await put('a');
      await put('b', 'a');
      const failure = await failureOf(copies.pull({ peer: 'pg1', id: 'b', signal }));
      expect(failure.code).to.equal('ParentMissing');
      expect(asked).to.deep.equal(['backup.json']);
      await copies.pull({ peer: 'pg1', id: 'a', signal });
      await copies.pull({ peer: 'pg1', id: 'b', signal });
    });

    it('are called off', async () => {
      await put('a');
      const ended = new AbortController();
      spoil = (path, bytes) => {
        if (path.endsWith('PG_VERSION')) ended.abort();
        return bytes;
      };
      const pulled = copies.pull({ peer: 'pg1', id: 'a', signal: ended.signal });
      expect(await pulled.catch((error: unknown) => (error as Error).name)).to.equal('AbortError');
      await nothingIsLeft();
    });

    it('are made one at a time', async () => {
      await put('a');
      await put('b');
      await Promise.all(['a', 'b'].map((id) => copies.pull({ peer: 'pg1', id, signal })));
      const first = asked.indexOf('backup.json', 1);
      expect(asked.slice(first + 1)).to.have.length(first - 1);
    });

    it('are served from inside the backup only', async () => {
      await put('a');
      symlinkSync('/etc', at('backups/a/data/etc'));
      rmSync(at('backups/a/data/PG_VERSION'));
      symlinkSync('/etc/hostname', at('backups/a/data/PG_VERSION'));
      for (const path of [
        '../a/backup.json',
        '/etc/hostname',
        'data/etc/hostname',
        'verified.json',
      ]) {
        expect(await served.open('a', path), path).to.equal(null);
      }
      expect(await served.open('a', 'data/PG_VERSION')).to.equal(null);
      const opened = await served.open('a', 'backup.json');
      expect((await failureOf(catalogue.remove('a'))).code).to.equal('BackupInUse');
      expect(await text(opened!.stream)).to.contain('"orders"');
      await catalogue.remove('a');
    });
  });
});
