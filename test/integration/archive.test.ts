/** The archive with real PostgreSQL: what it has said to be archived can be restored from. */
import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import {
  appendFileSync,
  chmodSync,
  chownSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import { parseWalFile } from '../../src/core/archive/wal-files';
import { ArchiveStore } from '../../src/instance/archive/archive-store';
import { ArchiveHands } from './support/archive-hands';
import { findBinDirectory, freePort, runAs } from './support/instance-process';

const SEGMENT_BYTES = 1024 * 1024;
const PATIENCE_MS = 60_000;
const POLL_MS = 20;
const STOP_MAX_MS = 1000;
const script = resolve(__dirname, '../../manifests/image/wal-command.sh');

describe('the archive and PostgreSQL', function () {
  this.timeout(180_000);

  const binDirectory = findBinDirectory();
  const identity = runAs();
  let root = '';
  let primary: Place;
  let hands: ArchiveHands | null = null;
  const running = new Set<Place>();

  before(async function () {
    if (binDirectory === null || identity === null || !hasSocat()) {
      console.log('    skipped: needs PostgreSQL under /usr/lib/postgresql, its user, and socat');
      this.skip();
    }
    root = mkdtempSync(join(tmpdir(), 'pgswarm-archive-'));
    own(root);
    chmodSync(root, 0o755);
    ['archive', 'spool', 'run'].forEach((name) => directory(name));
    primary = new Place('primary', await freePort());
    primary.program('initdb', [
      ...['-D', primary.directory, '-U', 'postgres', '--auth=trust', '--no-instructions'],
      ...['--wal-segsize=1', '--no-sync'],
    ]);
    primary.configure([
      'archive_mode = always',
      `archive_command = '${script} ${socket()} archive %f %p'`,
      // Kept for the comparison, and so that there is something to wait at a stop.
      'wal_keep_size = 1GB',
      'max_wal_size = 2GB',
    ]);
    hands = await newHands();
    await primary.start();
    primary.sql('create table entries (id serial, words text)');
  });

  after(async () => {
    if (root === '') return;
    for (const place of [...running]) await place.stop('SIGQUIT');
    await hands?.kill();
    rmSync(root, { recursive: true, force: true });
  });

  it('archives every segment, byte for byte, though its process is killed again and again', async () => {
    primary.backup('copy');
    for (let round = 0; round < 4; round += 1) {
      for (let n = 0; n < 8; n += 1) primary.write();
      await hands!.kill();
      primary.write();
      hands = await newHands();
    }
    const last = primary.switchWal();
    await untilArchived(last);
    await expectEqualSegments();
  });

  it('lets PostgreSQL stop at once, however slow the volume is and however much waits', async () => {
    await hands!.tell({ kind: 'slow', delayMs: 500 });
    for (let n = 0; n < 25; n += 1) primary.write();
    expect(waiting().length).to.be.at.least(15);
    await hands!.tell({ kind: 'stopping', isStopping: true });
    const sinceMs = performance.now();
    await primary.stop('SIGINT');
    const tookMs = performance.now() - sinceMs;
    console.log(`      stopped in ${tookMs.toFixed(0)} ms, ${waiting().length} segments waiting`);
    expect(tookMs).to.be.below(STOP_MAX_MS);
    expect(primary.log).to.not.include('PANIC');
    // Nothing is lost: they go at the next start.
    await hands!.tell({ kind: 'stopping', isStopping: false });
    await hands!.tell({ kind: 'slow', delayMs: 0 });
    await primary.start();
    await untilArchived(primary.switchWal());
    await expectEqualSegments();
  });

  it('restores all of it from a backup without any WAL', async () => {
    const last = primary.sql('select max(id) from entries');
    const sums = `select count(*), sum(hashtext(words)) from entries where id <= ${last}`;
    const expected = primary.sql(sums);
    await untilArchived(primary.switchWal());
    const copy = new Place('copy', await freePort());
    copy.configure([
      'archive_mode = off',
      `restore_command = '${script} ${socket()} recover %f %p'`,
      'hot_standby = off',
      'recovery_target_timeline = latest',
    ]);
    copy.place('recovery.signal');

    // Nobody answers: the recovery must not take this for the end of the WAL, and go its own way.
    await hands!.kill();
    await copy.startsInVain();
    expect(copy.log).to.include('the instance manager does not answer');
    expect(readdirSync(join(copy.directory, 'pg_wal'))).to.not.include('00000002.history');

    hands = await newHands();
    await copy.start();
    expect(copy.sql(sums)).to.equal(expected);
    expect(copy.log).to.match(/restored log file "0000000100000000000000/);
    await copy.stop('SIGINT');
  });

  /** Of the directory `name`, at its port. */
  class Place {
    readonly directory: string;
    readonly #port: number;
    readonly #logFile: string;
    #postmaster: ChildProcess | null = null;

    constructor(name: string, port: number) {
      this.directory = join(root, name);
      this.#port = port;
      this.#logFile = join(root, `${name}.log`);
    }

    get log(): string {
      return readFileSync(this.#logFile, 'utf8');
    }

    configure(lines: readonly string[]): void {
      const common = [
        `port = ${this.#port}`,
        "listen_addresses = ''",
        `unix_socket_directories = '${join(root, 'run')}'`,
        'fsync = off',
      ];
      appendFileSync(join(this.directory, 'postgresql.conf'), [...common, ...lines, ''].join('\n'));
    }

    place(name: string): void {
      writeFileSync(join(this.directory, name), '');
      own(join(this.directory, name));
    }

    async start(): Promise<void> {
      this.#spawn();
      await until(() => {
        if (this.#postmaster?.exitCode !== null) throw new Error(`it has ended:\n${this.log}`);
        try {
          return this.sql('select pg_is_in_recovery()') === 'f';
        } catch {
          return false;
        }
      });
    }

    async startsInVain(): Promise<void> {
      const postmaster = this.#spawn();
      if (postmaster.exitCode === null) await once(postmaster, 'exit');
      running.delete(this);
    }

    async stop(signal: NodeJS.Signals): Promise<void> {
      const postmaster = this.#postmaster;
      running.delete(this);
      if (postmaster === null || postmaster.exitCode !== null) return;
      postmaster.kill(signal);
      await once(postmaster, 'exit');
    }

    sql(text: string): string {
      const options = ['-X', '-A', '-t', '-q', '-U', 'postgres', '-d', 'postgres', '-c', text];
      return this.program('psql', [...options, ...this.#address]).trim();
    }

    /** Half a segment, and the next one begins. */
    write(): void {
      this.sql(
        'insert into entries (words) select md5(random()::text) from generate_series(1, 3000); select pg_switch_wal()',
      );
    }

    /** Name of the segment that has just become complete. */
    switchWal(): string {
      const before = this.sql('select pg_walfile_name(pg_current_wal_lsn())');
      this.write();
      return before;
    }

    backup(name: string): void {
      this.program('pg_basebackup', [
        ...['-D', join(root, name), '-X', 'none', '-U', 'postgres', '-c', 'fast', '--no-sync'],
        ...this.#address,
      ]);
    }

    program(name: string, programArguments: readonly string[]): string {
      return execFileSync(join(binDirectory!, name), programArguments, {
        ...identity,
        cwd: '/',
        encoding: 'utf8',
        stdio: 'pipe',
      });
    }

    get #address(): readonly string[] {
      return ['-h', join(root, 'run'), '-p', `${this.#port}`];
    }

    #spawn(): ChildProcess {
      const postmaster = spawn(
        'sh',
        [
          '-c',
          `exec "${binDirectory}/postgres" -D "$0" >> "$1" 2>&1`,
          this.directory,
          this.#logFile,
        ],
        { ...identity, cwd: '/', stdio: 'ignore' },
      );
      this.#postmaster = postmaster;
      running.add(this);
      return postmaster;
    }
  }

  const socket = (): string => join(root, 'run', 'wal.sock');

  async function newHands(): Promise<ArchiveHands> {
    return await ArchiveHands.begin({
      ...{ volume: join(root, 'archive'), spoolDirectory: join(root, 'spool') },
      ...{ compression: 'zstd', segmentBytes: SEGMENT_BYTES, socket: socket() },
      walDirectory: join(primary.directory, 'pg_wal'),
    });
  }

  const waiting = (): readonly string[] =>
    readdirSync(join(primary.directory, 'pg_wal/archive_status')).filter((name) =>
      name.endsWith('.ready'),
    );

  /** After three failures PostgreSQL waits for a minute, or for the next segment. */
  async function untilArchived(name: string): Promise<void> {
    const isDone = (): boolean =>
      readdirSync(join(primary.directory, 'pg_wal/archive_status')).includes(`${name}.done`);
    for (const giveUpAtMs = performance.now() + PATIENCE_MS; !isDone();) {
      if (performance.now() > giveUpAtMs) throw new Error(`not archived: ${name}\n${primary.log}`);
      primary.write();
      await sleep(POLL_MS);
    }
  }

  async function expectEqualSegments(): Promise<void> {
    const store = new ArchiveStore({
      ...{ volume: join(root, 'archive'), systemIdentifier: 'test' },
      ...{ segmentBytes: SEGMENT_BYTES, compression: 'none' },
      mayDiffer: () => false,
      onCorrupt: (_, because) => {
        throw new Error(because);
      },
    });
    const wal = join(primary.directory, 'pg_wal');
    const done = readdirSync(join(wal, 'archive_status'))
      .filter((name) => name.endsWith('.done'))
      .map((name) => name.replace('.done', ''));
    expect(done.length).to.be.above(30);
    for (const name of done) {
      expect(await store.get(parseWalFile(name)!, join(root, 'back')), name).to.equal(true);
      const isSame = readFileSync(join(root, 'back')).equals(readFileSync(join(wal, name)));
      expect(isSame, name).to.equal(true);
    }
  }

  function directory(name: string): void {
    mkdirSync(join(root, name), { mode: 0o700 });
    own(join(root, name));
  }

  function own(path: string): void {
    if (identity?.uid !== undefined && identity.gid !== undefined) {
      chownSync(path, identity.uid, identity.gid);
    }
  }
});

function hasSocat(): boolean {
  try {
    execFileSync('socat', ['-V'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

async function until(isSo: () => boolean): Promise<void> {
  for (const giveUpAtMs = performance.now() + PATIENCE_MS; !isSo();) {
    if (performance.now() > giveUpAtMs) throw new Error(`did not happen: ${String(isSo)}`);
    await sleep(POLL_MS);
  }
}
