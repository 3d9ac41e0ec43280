/** Recoveries of real backups to every kind of target, and how each of them fails. */
import { execFileSync } from 'node:child_process';
import {
  appendFileSync,
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { processesIn } from '../../src/adapters/postgres/processes';
import { lagBytes } from '../../src/core/lsn';
import { type Recovery } from '../../src/core/restore/recovery';
import {
  parseTarget,
  type RestoreTarget,
  type TargetDocument,
} from '../../src/core/restore/target';
import { failureOf } from '../support/failure';
import { until } from './support/bare-server';
import { findBinDirectory, runAs } from './support/instance-process';
import { Restorer, type Copy } from './support/restorer';

const CONNECTIONS = 20;
const CONNECTIONS_LATER = 40;

/** What happened, in the order in which it did. */
interface Story {
  /** Inside of the backup. */
  readonly checkpointLsn: string;
  /** The transaction that wrote 3, and the moment and position of its commit. */
  readonly third: { readonly xid: string; readonly at: string; readonly lsn: string };
  readonly restorePoint: 'before three';
  readonly droppedAt: string;
  /** Files with what was written after the backup, one after the other. */
  readonly segments: readonly string[];
  readonly endLsn: string;
}

/** A server that archives by `cp`, and its backup. */
class Original {
  readonly root: string;
  readonly data: string;
  readonly archive: string;
  readonly backup: string;
  readonly #binDirectory: string;
  readonly #identity = runAs() ?? {};

  constructor(binDirectory: string) {
    this.#binDirectory = binDirectory;
    this.root = mkdtempSync(join(tmpdir(), 'pgswarm-restore-'));
    this.#own(this.root);
    this.data = join(this.root, 'pgdata');
    this.archive = this.directory('archive');
    this.backup = join(this.root, 'backup');
    this.run('initdb', ['-D', this.data, '-U', 'postgres', '-k', '-N', '--auth=trust']);
    this.configure([
      "listen_addresses = ''",
      `unix_socket_directories = '${this.root}'`,
      'archive_mode = on',
      `archive_command = 'test ! -f ${this.archive}/%f && cp %p ${this.archive}/%f'`,
      `max_connections = ${CONNECTIONS}`,
      'track_commit_timestamp = on',
      // Nothing of this may reach the throwaway.
      "primary_conninfo = 'host=/nowhere'",
      "restore_command = 'false'",
    ]);
  }

  directory(name: string): string {
    const path = join(this.root, name);
    mkdirSync(path);
    this.#own(path);
    return path;
  }

  configure(lines: readonly string[]): void {
    appendFileSync(join(this.data, 'postgresql.conf'), `${lines.join('\n')}\n`);
  }

  start(): void {
    this.run('pg_ctl', ['-D', this.data, '-w', '-l', join(this.root, 'log'), 'start']);
  }

  stop(): void {
    if (existsSync(join(this.data, 'postmaster.pid'))) {
      this.run('pg_ctl', ['-D', this.data, '-m', 'fast', 'stop']);
    }
  }

  sql(text: string): string {
    const options = ['-X', '-A', '-t', '-q', '-U', 'postgres', '-d', 'postgres', '-h', this.root];
    return this.run('psql', [...options, '-c', text]).trim();
  }

  async switchWal(): Promise<string> {
    const segment = this.sql('select pg_walfile_name(pg_current_wal_lsn())');
    this.sql('select pg_switch_wal()');
    await until(() => existsSync(join(this.archive, segment)));
    return segment;
  }

  async live(): Promise<Story> {
    this.start();
    this.sql('create table numbers (n int primary key); insert into numbers values (1)');
    const options = ['-U', 'postgres', '-h', this.root, '-X', 'none', '-c', 'fast'];
    this.run('pg_basebackup', ['-D', this.backup, ...options]);
    const label = readFileSync(join(this.backup, 'backup_label'), 'utf8');
    this.sql('insert into numbers values (2)');
    this.sql("select pg_create_restore_point('before three')");
    const xid = this.sql('insert into numbers values (3) returning pg_current_xact_id()');
    const lsn = this.sql('select pg_current_wal_lsn()');
    const time = `to_char(pg_xact_commit_timestamp('${xid}') at time zone 'UTC',`;
    const at = this.sql(`select ${time} 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')`);
    const first = await this.switchWal();
    this.sql('insert into numbers values (4)');
    const second = await this.switchWal();
    this.sql('drop table numbers');
    const droppedAt = this.sql('select now()');
    const third = await this.switchWal();
    this.stop();
    this.configure([`max_connections = ${CONNECTIONS_LATER}`]);
    this.start();
    this.sql('create table later ()');
    const fourth = await this.switchWal();
    const endLsn = this.sql('select pg_current_wal_lsn()');
    this.stop();
    return {
      checkpointLsn: /^CHECKPOINT LOCATION: (\S+)$/m.exec(label)![1]!,
      third: { xid, at, lsn },
      restorePoint: 'before three',
      droppedAt,
      segments: [first, second, third, fourth],
      endLsn,
    };
  }

  /** The archive, changed. */
  archiveWith(name: string, change: (path: string) => void): string {
    const path = join(this.root, name);
    execFileSync('cp', ['-a', this.archive, path]);
    change(path);
    return path;
  }

  run(name: string, programArguments: readonly string[]): string {
    return execFileSync(join(this.#binDirectory, name), programArguments, {
      ...this.#identity,
      cwd: '/',
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'pipe'],
    });
  }

  #own(path: string): void {
    const { uid, gid } = this.#identity;
    if (uid !== undefined && gid !== undefined) chownSync(path, uid, gid);
  }
}

describe('a throwaway recovery', function () {
  this.timeout(120_000);

  const binDirectory = findBinDirectory() ?? '';
  let original: Original;
  let story: Story;
  let restorer: Restorer;
  let copy: Copy;
  const cleanUp: (() => void | Promise<void>)[] = [];

  before(async function () {
    if (binDirectory === '' || runAs() === null) {
      console.log('    skipped: needs PostgreSQL under /usr/lib/postgresql and the user postgres');
      this.skip();
    }
    original = new Original(binDirectory);
    cleanUp.unshift(() => rmSync(original.root, { recursive: true }));
    cleanUp.unshift(() => original.stop());
    story = await original.live();
    const socket = join(original.directory('run'), 'throwaway');
    const scratch = original.directory('scratch');
    copy = { backup: original.backup, scratch, socket, binDirectory };
    restorer = await Restorer.begin();
    cleanUp.unshift(async () => await restorer.kill());
  });

  after(async () => {
    for (const step of cleanUp) await step();
  });

  const dataDirectory = (): string => join(copy.scratch, 'copy', 'pgdata');
  const from = (archive: string): string => `cp ${archive}/%f %p`;

  function targetOf(document: TargetDocument): RestoreTarget {
    const parsed = parseTarget(document);
    if (parsed.kind === 'target') return parsed.target;
    throw new Error(JSON.stringify(parsed.findings));
  }

  async function recover(
    document: TargetDocument,
    changes: { readonly archive?: string; readonly walEndsAtLsn?: string } = {},
  ): Promise<Recovery> {
    const { recovery } = await restorer.recover(copy, {
      target: targetOf(document),
      restoreCommand: from(changes.archive ?? original.archive),
      walEndsAtLsn: changes.walEndsAtLsn ?? null,
    });
    return recovery;
  }

  async function numbers(): Promise<string> {
    const there = "select to_regclass('public.numbers') is not null as is_there";
    const { is_there } = await restorer.ask<{ is_there: boolean }>(there);
    if (!is_there) return 'dropped';
    const all = "select string_agg(n::text, ' ' order by n) as all from public.numbers";
    return (await restorer.ask<{ all: string }>(all)).all;
  }

  function expectNothingLeft(): void {
    expect(processesIn(dataDirectory())).to.deep.equal([]);
    expect(readdirSync(copy.scratch)).to.deep.equal([]);
    expect(existsSync(copy.socket)).to.equal(false);
  }

  describe('to a target', () => {
    afterEach(async () => {
      await restorer.remove();
      expectNothingLeft();
    });

    interface Row {
      readonly name: string;
      readonly target: () => TargetDocument;
      readonly end: Recovery['end'];
      readonly numbers: string;
    }
    const rows: readonly Row[] = [
      {
        name: 'the end of the backup',
        target: () => ({ immediate: true }),
        end: 'paused',
        numbers: '1',
      },
      {
        name: 'a restore point',
        target: () => ({ name: story.restorePoint }),
        end: 'paused',
        numbers: '1 2',
      },
      {
        name: 'a transaction',
        target: () => ({ xid: story.third.xid }),
        end: 'paused',
        numbers: '1 2 3',
      },
      {
        name: 'just before a transaction',
        target: () => ({ xid: story.third.xid, exclusive: true }),
        end: 'paused',
        numbers: '1 2',
      },
      {
        name: 'the time of a commit',
        target: () => ({ time: story.third.at }),
        end: 'paused',
        numbers: '1 2 3',
      },
      {
        name: 'just before the time of a commit',
        target: () => ({ time: story.third.at, exclusive: true }),
        end: 'paused',
        numbers: '1 2',
      },
      {
        name: 'a position behind a commit',
        target: () => ({ lsn: story.third.lsn, exclusive: true }),
        end: 'paused',
        numbers: '1 2 3',
      },
      {
        name: 'a position, to be promoted there',
        target: () => ({ lsn: story.third.lsn, action: 'promote' }),
        end: 'promoted',
        numbers: '1 2 3',
      },
      {
        name: 'the end of the WAL, over settings that were raised on the way',
        target: () => ({ latest: true }),
        end: 'promoted',
        numbers: 'dropped',
      },
    ];
    for (const { name, target, end, numbers: expected } of rows) {
      it(name, async () => {
        const recovery = await recover(target(), { walEndsAtLsn: story.endLsn });
        expect(recovery).to.deep.include({ end, problem: null });
        expect(await numbers()).to.equal(expected);
        expect(recovery.restoredTo.timeline).to.equal(end === 'promoted' ? 2 : 1);
      });
    }

    it('a restore point, to be shut down there', async () => {
      const recovery = await recover({ name: story.restorePoint, action: 'shutdown' });
      expect(recovery).to.deep.include({ end: 'shut down', problem: null });
      expect(processesIn(dataDirectory())).to.deep.equal([]);
      const control = original.run('pg_controldata', ['-D', dataDirectory()]);
      expect(control).to.match(/cluster state: +shut down in recovery/);
    });

    it('says where it got, and how fast', async () => {
      const order = {
        target: targetOf({ xid: story.third.xid }),
        restoreCommand: from(original.archive),
        walEndsAtLsn: null,
      };
      const { recovery, progress } = await restorer.recover(copy, order);
      const { lsn, at } = recovery.restoredTo;
      expect(at).to.equal(story.third.at);
      // Right behind it something may have been written by PostgreSQL itself.
      expect(lagBytes(story.third.lsn, lsn!)).to.be.below(1000);
      expect(recovery.message).to.equal(
        `restored to transaction ${story.third.xid} (WAL position ${lsn!}, last transaction ${at!})`,
      );
      expect(progress.at(-1)).to.include({ lsn, at });
      expect(progress.at(-1)!.bytesPerSecond).to.be.above(0);
    });

    it('can be reached by nobody else, and keeps to itself', async () => {
      await recover({ latest: true });
      const settings = `select
        current_setting('listen_addresses') as listen, current_setting('archive_mode') as archive,
        current_setting('primary_conninfo') as upstream, current_setting('port') as port,
        current_setting('max_logical_replication_workers') as subscribers`;
      expect(await restorer.ask(settings)).to.deep.equal({
        listen: '',
        archive: 'off',
        upstream: '',
        port: '5432',
        subscribers: '0',
      });
      // Its new timeline is nobody's business.
      expect(readdirSync(original.archive).filter((name) => name.endsWith('.history'))).to.be.empty;
      // Root may enter every directory, but peer authentication asks who it is.
      const asRoot = ['-X', '-U', 'postgres', '-h', copy.socket, '-p', '5432', '-c', 'select 1'];
      if (process.getuid?.() === 0) {
        expect(() => execFileSync(join(binDirectory, 'psql'), asRoot, { stdio: 'pipe' })).to.throw(
          /Peer authentication failed/,
        );
      }
    });
  });

  describe('that cannot succeed', () => {
    afterEach(async () => {
      await restorer.remove();
      expectNothingLeft();
    });

    interface Row {
      readonly name: string;
      readonly target: () => TargetDocument;
      readonly archive?: (path: string) => void;
      readonly end: Recovery['end'];
      readonly reason: string;
      readonly says: () => readonly string[];
    }
    const remove = (index: number) => (path: string) => rmSync(join(path, story.segments[index]!));
    /** Of the first record in it, behind the header of its first page. */
    const damage = (index: number) => (path: string) => {
      const file = join(path, story.segments[index]!);
      const bytes = readFileSync(file);
      bytes.fill(0xff, 40, 80);
      writeFileSync(file, bytes);
    };
    const cut = (index: number) => (path: string) => {
      const file = join(path, story.segments[index]!);
      writeFileSync(file, readFileSync(file).subarray(0, 100_000));
    };
    const rows: readonly Row[] = [
      {
        name: 'a position before the end of the backup',
        target: () => ({ lsn: story.checkpointLsn }),
        end: 'failed',
        reason: 'TargetTooEarly',
        says: () => ['lies before the end of the backup'],
      },
      {
        name: 'a time before the backup',
        target: () => ({ time: '2020-01-01T00:00:00Z' }),
        end: 'failed',
        reason: 'TargetTooEarly',
        says: () => ['take an earlier backup'],
      },
      {
        name: 'a time after the last transaction',
        target: () => ({ time: '2100-01-01T00:00:00Z' }),
        end: 'failed',
        reason: 'TargetNotReached',
        says: () => ['2100-01-01T00:00:00Z was not met', 'or latest'],
      },
      {
        name: 'an unknown restore point',
        target: () => ({ name: 'after three' }),
        end: 'failed',
        reason: 'TargetNotReached',
        says: () => ['restore point "after three" was not met', 'check the name'],
      },
      {
        name: 'a transaction from before the backup',
        target: () => ({ xid: '3' }),
        end: 'failed',
        reason: 'TargetNotReached',
        says: () => ['transaction 3 was not met'],
      },
      {
        name: 'a position behind a missing segment',
        target: () => ({ lsn: story.endLsn }),
        archive: remove(1),
        end: 'failed',
        reason: 'WalMissing',
        says: () => [`next file would be ${story.segments[1]!}`, 'the last transaction being of'],
      },
      {
        name: 'the end of the WAL behind a missing segment',
        target: () => ({ latest: true }),
        archive: remove(1),
        end: 'promoted',
        reason: 'WalMissing',
        says: () => [`next file would be ${story.segments[1]!}`],
      },
      {
        name: 'a position behind a damaged segment',
        target: () => ({ lsn: story.endLsn }),
        archive: damage(1),
        end: 'failed',
        reason: 'WalDamaged',
        says: () => [story.segments[1]!],
      },
      {
        name: 'the end of the WAL behind a damaged segment',
        target: () => ({ latest: true }),
        archive: damage(1),
        end: 'promoted',
        reason: 'WalDamaged',
        says: () => [story.segments[1]!],
      },
      {
        name: 'the end of the WAL behind half a segment',
        target: () => ({ latest: true }),
        archive: cut(1),
        end: 'failed',
        reason: 'WalDamaged',
        says: () => ['100000 instead of 16777216'],
      },
      {
        name: 'a backup without its WAL',
        target: () => ({ immediate: true }),
        archive: (path) => {
          for (const name of readdirSync(path)) rmSync(join(path, name));
        },
        end: 'failed',
        reason: 'WalMissing',
        says: () => ['WAL at which the backup begins', 'Recovery got nowhere'],
      },
      {
        name: 'a timeline that does not exist',
        target: () => ({ latest: true, timeline: 7 }),
        end: 'failed',
        reason: 'TimelineUnreachable',
        says: () => ['recovery target timeline 7 does not exist'],
      },
    ];
    for (const { name, target, archive, end, reason, says } of rows) {
      it(name, async () => {
        const path =
          archive === undefined
            ? undefined
            : original.archiveWith(name.replaceAll(/\W/g, '-'), archive);
        const recovery = await recover(target(), {
          walEndsAtLsn: story.endLsn,
          ...(path === undefined ? {} : { archive: path }),
        });
        expect(recovery.problem?.reason, recovery.message).to.equal(reason);
        expect(recovery.end).to.equal(end);
        for (const words of says()) expect(recovery.message).to.include(words);
      });
    }

    it('an archive that cannot answer is not taken for the end of the WAL', async () => {
      const { recovery } = await restorer.recover(copy, {
        target: targetOf({ latest: true }),
        restoreCommand: `test %f != ${story.segments[1]!} || { echo "no peer answers" >&2; exit 126; }; ${from(original.archive)}`,
        walEndsAtLsn: null,
      });
      expect(recovery).to.deep.include({ end: 'failed' });
      expect(recovery.problem?.reason).to.equal('ArchiveUnavailable');
      expect(recovery.message).to.include('no peer answers').and.include(story.segments[1]!);
    });

    it('a copy that points at files of the original is never started', async () => {
      const backup = join(original.root, 'with-tablespace');
      execFileSync('cp', ['-a', original.backup, backup]);
      symlinkSync(original.archive, join(backup, 'pg_tblspc', '16400'));
      const order = {
        target: targetOf({ latest: true }),
        restoreCommand: from(original.archive),
        walEndsAtLsn: null,
      };
      const { code, message } = await failureOf(restorer.recover({ ...copy, backup }, order));
      expect(code).to.equal('ForeignFiles');
      expect(message).to.include('pg_tblspc/16400').and.include(original.archive);
    });
  });

  describe('that is broken off', () => {
    const hangs = (): string =>
      `if test %f = ${story.segments[1]!}; then touch ${copy.scratch}/copy/asked; exec sleep 1000; fi; ${from(original.archive)}`;
    const isAsked = (): boolean => existsSync(join(copy.scratch, 'copy', 'asked'));
    const hanging = () => ({
      target: targetOf({ latest: true }),
      restoreCommand: hangs(),
      walEndsAtLsn: null,
    });

    it('leaves nothing when it is called off', async () => {
      const failure = failureOf(restorer.recover(copy, hanging()));
      await until(isAsked);
      await restorer.callOff();
      expect((await failure).message).to.match(/abort/i);
      await restorer.remove();
      expectNothingLeft();
    });

    for (const { name, begin } of [
      {
        name: 'replays',
        begin: async () => {
          void restorer.recover(copy, hanging());
          await until(isAsked);
        },
      },
      {
        name: 'is looked at',
        begin: async () => {
          await recover({ immediate: true });
        },
      },
    ]) {
      it(`ends with the manager that is killed while it ${name}, and is cleared away by the next`, async () => {
        await begin();
        expect(processesIn(dataDirectory())).not.to.be.empty;
        await restorer.kill();
        await until(() => processesIn(dataDirectory()).length === 0);
        restorer = await Restorer.begin();
        await restorer.clear(copy.scratch);
        expect(readdirSync(copy.scratch)).to.deep.equal([]);
        // The next one has the same place.
        expect(await recover({ immediate: true })).to.deep.include({ end: 'paused' });
        await restorer.remove();
        expectNothingLeft();
      });
    }

    it('is cleared away while it runs, when the next manager comes before the guard', async () => {
      await recover({ immediate: true });
      const next = await Restorer.begin();
      await next.clear(copy.scratch);
      await next.kill();
      expect(processesIn(dataDirectory())).to.deep.equal([]);
      await restorer.remove();
      expectNothingLeft();
    });
  });

  describe('as a drill', () => {
    const order = (changes: { readonly archive?: string; readonly expect?: string } = {}) => ({
      target: targetOf({ latest: true }),
      restoreCommand: from(changes.archive ?? original.archive),
      walEndsAtLsn: story.endLsn,
      queries: [
        {
          name: 'databases',
          database: 'postgres',
          query: "select count(*) from pg_class where relname = 'later'",
          expect: changes.expect ?? '1',
        },
      ],
    });

    it('looks at every table, asks the query and leaves nothing', async () => {
      const report = await restorer.drill(copy, order());
      expect(report.problem).to.equal(null);
      expect(report.checks.map(({ name, isGood }) => ({ name, isGood }))).to.deep.equal([
        { name: 'every table and index is whole (pg_amcheck)', isGood: true },
        { name: 'databases', isGood: true },
      ]);
      expect(report.restoredTo?.timeline).to.equal(2);
      expect(report.bytes).to.be.above(10_000_000);
      const { unpackMs, recoverMs, checkMs } = report.durations;
      expect(Math.min(unpackMs, recoverMs, checkMs)).to.be.above(0);
      console.log(`      unpack ${unpackMs} ms, recover ${recoverMs} ms, check ${checkMs} ms`);
      expectNothingLeft();
    });

    it('fails when the query says something else', async () => {
      const report = await restorer.drill(copy, order({ expect: '2' }));
      expect(report.problem).to.deep.equal({
        reason: 'CheckFailed',
        message: 'databases: no, it says "1", expected is "2"',
      });
      expectNothingLeft();
    });

    it('fails when the WAL has a hole, and still looks at what was restored', async () => {
      const archive = original.archiveWith('hole', (path) =>
        rmSync(join(path, story.segments[2]!)),
      );
      const report = await restorer.drill(copy, order({ archive }));
      expect(report.problem?.reason).to.equal('WalMissing');
      expect(report.checks).to.have.length(2);
      expectNothingLeft();
    });

    describe('with a table that is damaged', () => {
      let backup: string;

      before(() => {
        backup = join(original.root, 'damaged');
        execFileSync('cp', ['-a', original.backup, backup]);
        // The second page of pg_depend, which is read by nobody who only starts and connects.
        const heap = join(backup, 'base', '5', '2608');
        const bytes = readFileSync(heap);
        bytes.fill(0xff, 8192 + 4000, 8192 + 4100);
        writeFileSync(heap, bytes);
      });

      it('is found by pg_amcheck', async () => {
        const { problem, checks } = await restorer.drill({ ...copy, backup }, order());
        expect(problem?.reason).to.equal('CheckFailed');
        expect(problem?.message).to.match(/invalid page|checksum/);
        expect(checks.map(({ isGood }) => isGood)).to.deep.equal([false, true]);
        expectNothingLeft();
      });

      it('is found by reading every table where there is no pg_amcheck', async () => {
        const programs = original.directory('programs');
        for (const name of readdirSync(binDirectory).filter((each) => each !== 'pg_amcheck')) {
          symlinkSync(join(binDirectory, name), join(programs, name));
        }
        const without = { ...copy, backup, binDirectory: programs };
        const { checks } = await restorer.drill(without, order());
        expect(checks.map(({ name, isGood }) => `${name}: ${String(isGood)}`)).to.deep.equal([
          'every table of postgres can be read: false',
          'every table of template1 can be read: true',
          'databases: true',
        ]);
        expect(checks[0]!.detail).to.match(/^pg_depend: invalid page/);
        expectNothingLeft();
      });
    });

    it('says why it could not even begin', async () => {
      const report = await restorer.drill({ ...copy, backup: '/nowhere' }, order());
      expect(report.problem?.message).to.include('/nowhere');
      expect(report.restoredTo).to.equal(null);
      expectNothingLeft();
    });
  });
});
