/** Restores on copies by an instance manager with PostgreSQL, told what to do by a fake leader. */
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { chmodSync, existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { processesIn } from '../../src/adapters/postgres/processes';
import { type BackupOrder } from '../../src/core/backup/backup';
import { type Report } from '../../src/core/protocol';
import {
  DRILL_TARGET,
  type RehearsalOrder,
  type RehearsalWork,
} from '../../src/core/restore/rehearsal';
import { parseTarget, type TargetDocument } from '../../src/core/restore/target';
import { until } from './support/bare-server';
import { FakeLeader } from './support/fake-leader';
import { findBinDirectory, freePort, InstanceProcess, runAs } from './support/instance-process';
import { primaryWith, settingsWith } from './support/told';

const SETTINGS = settingsWith();

const PRIMARY = primaryWith();

const BACKUP: BackupOrder = {
  id: 'b1',
  method: 'base',
  parent: null,
  format: 'tar',
  compression: 'gzip',
  bytesPerSecondMax: null,
  because: 'test',
};

const PLAIN = ['-X', '-A', '-t', '-q', '-v', 'ON_ERROR_STOP=1', '-c'];
const NOW = `select to_char(now() at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')`;
const NUMBERS = "select string_agg(n::text, ' ' order by n) from numbers";

describe('a restore on a copy', function () {
  this.timeout(120_000);

  const binDirectory = findBinDirectory() ?? '';
  let root: string;
  let leader: FakeLeader;
  let pg1: InstanceProcess;
  let previewPort: number;
  let orders = 0;
  const cleanUp: (() => void | Promise<void>)[] = [];
  /** When 1, 2 and 3 were in the table, and not yet 4. */
  let beforeFour = '';

  before(async function () {
    if (binDirectory === '' || runAs() === null) {
      console.log('    skipped: needs PostgreSQL under /usr/lib/postgresql and the user postgres');
      this.skip();
    }
    root = mkdtempSync(join(tmpdir(), 'pgswarm-copy-'));
    chmodSync(root, 0o755);
    cleanUp.unshift(() => rmSync(root, { recursive: true, force: true }));
    leader = new FakeLeader('orders', randomBytes(32), SETTINGS);
    const leaderPort = await leader.listen();
    cleanUp.unshift(() => leader.close());
    const options = { root, cluster: 'orders', server: 'pg1', key: leader.key };
    pg1 = new InstanceProcess({ ...options, leaderPort, binDirectory });
    cleanUp.unshift(async () => await pg1.die());
    previewPort = await freePort();
    pg1.variables = { PGSWARM_PREVIEW_PORT: String(previewPort) };
    await pg1.start();
    await live();
  });

  after(async () => {
    for (const step of cleanUp) await step();
  });

  const sql = (text: string): string => psql(pg1.port, [...PLAIN, text]);

  /** As the owner of the database, over the network. */
  const psql = (port: number, options: readonly string[]): string =>
    execFileSync(join(binDirectory, 'psql'), ['-h', '127.0.0.1', '-p', String(port), ...options], {
      encoding: 'utf8',
      stdio: 'pipe',
      env: { PGUSER: 'app', PGDATABASE: 'app', PGPASSWORD: 'owner-password' },
    }).trim();

  async function live(): Promise<void> {
    leader.assign('pg1', { kind: 'initialise', volumeId: 'v1' });
    await leader.until('pg1', ({ volume }) => volume.kind === 'tagged');
    leader.assign('pg1', PRIMARY);
    await leader.until('pg1', ({ postgres }) => postgres.state === 'primary');
    await untilOwned();
    sql('create table numbers (n int primary key)');
    sql('insert into numbers values (1)');
    leader.assign('pg1', PRIMARY, { backup: BACKUP });
    await leader.until('pg1', ({ backup }) => backup?.state === 'done');
    leader.assign('pg1', PRIMARY);
    sql('insert into numbers values (2)');
    sql('insert into numbers values (3)');
    beforeFour = sql(NOW);
    sql('insert into numbers values (4)');
    const segment = await pg1.sql('select pg_walfile_name(pg_switch_wal())');
    await leader.until('pg1', ({ archive }) => (archive?.last?.file ?? '') >= segment);
  }

  /** The owner's role and database are made a moment after the server has become primary. */
  async function untilOwned(): Promise<void> {
    const count = "select count(*) from pg_database where datname = 'app'";
    while ((await pg1.sql(count)) === '0') {
      const { sequence: before } = leader.last('pg1')!;
      await leader.until('pg1', ({ sequence }) => sequence > before);
    }
  }

  const order = (change: Partial<RehearsalOrder> = {}): RehearsalOrder => {
    orders += 1;
    const id = `drill-${orders}`;
    return { id, kind: 'drill', target: DRILL_TARGET, backup: null, query: null, ...change };
  };

  function preview(document: TargetDocument): RehearsalOrder {
    const parsed = parseTarget({ ...document, action: 'promote' });
    if (parsed.kind === 'findings') throw new Error(JSON.stringify(parsed.findings));
    return order({ kind: 'preview', target: parsed.target });
  }

  async function begin(rehearsal: RehearsalOrder): Promise<void> {
    leader.assign('pg1', PRIMARY, { rehearsal });
    await leader.until('pg1', (report) => workOf(report, rehearsal) !== null);
  }

  async function come(
    rehearsal: RehearsalOrder,
    state: RehearsalWork['state'],
  ): Promise<RehearsalWork> {
    const { report } = await leader.until(
      'pg1',
      (each) => workOf(each, rehearsal)?.state === state,
    );
    return workOf(report, rehearsal)!;
  }

  const workOf = ({ rehearsal }: Report, { id }: RehearsalOrder): RehearsalWork | null =>
    rehearsal?.id === id ? rehearsal : null;

  const scratch = (): string => join(pg1.home, 'archive', 'scratch');
  const dataDirectory = (): string => join(scratch(), 'copy', 'pgdata');

  function isNothingLeft(): boolean {
    const left: readonly string[] = existsSync(scratch()) ? readdirSync(scratch()) : [];
    const sockets = readdirSync(join(pg1.home, 'run')).filter((name) => name.startsWith('copy'));
    return left.length + sockets.length + processesIn(dataDirectory()).length === 0;
  }

  it('as a drill shows that the data can be had back, and how long that takes', async () => {
    const drill = order({ query: 'select count(*) = 4 from numbers' });
    await begin(drill);
    const { outcome, words } = await come(drill, 'ended');
    expect(outcome).to.deep.include({ backup: 'b1', problem: null });
    const { unpackMs, recoverMs, checkMs } = outcome!.durations;
    expect(Math.min(unpackMs, recoverMs, checkMs)).to.be.above(0);
    expect(words).to.match(
      /^done in \d+s of backup b1, up to 0\/\w+, the last transaction being of/,
    );
    console.log(`      ${words}`);
    expect(isNothingLeft()).to.equal(true);
    expect(sql(NUMBERS)).to.equal('1 2 3 4');
  });

  it('as a drill fails when the query of the spec is not true', async () => {
    const drill = order({ query: 'select count(*) = 5 from numbers' });
    await begin(drill);
    const { problem } = (await come(drill, 'ended')).outcome!;
    expect(problem).to.deep.equal({
      reason: 'CheckFailed',
      message: 'the query of the spec: no, it says "f", expected is "t"',
    });
    expect(isNothingLeft()).to.equal(true);
  });

  it('says at once what cannot be reached, and what can', async () => {
    const early = preview({ time: '2020-01-01T00:00:00Z' });
    await begin(early);
    const { problem } = (await come(early, 'ended')).outcome!;
    expect(problem?.reason).to.equal('TargetUnreachable');
    expect(problem?.message).to.match(
      /is before the first usable backup\. On timeline 1 the earliest/,
    );
    expect(existsSync(dataDirectory())).to.equal(false);
  });

  it('as a preview can be looked at, and leaves the server alone', async () => {
    const wanted = preview({ time: beforeFour });
    await begin(wanted);
    const { words } = await come(wanted, 'ready');
    expect(words).to.include(`restored to ${beforeFour}`);
    expect(psql(previewPort, [...PLAIN, NUMBERS])).to.equal('1 2 3');
    expect(() => psql(previewPort, [...PLAIN, 'drop table numbers'])).to.throw(/read-only/);
    expect(() => psql(previewPort, ['-U', 'postgres', ...PLAIN, NUMBERS])).to.throw(/pg_hba.conf/);
    expect(sql(NUMBERS)).to.equal('1 2 3 4');
    leader.assign('pg1', PRIMARY);
    expect((await come(wanted, 'given up')).words).to.equal('it is not wanted any more');
    await until(isNothingLeft);
  });

  it('as a preview shows what was written a moment ago, in the segment in use', async () => {
    sql('insert into numbers values (5)');
    const beforeSix = sql(NOW);
    sql('insert into numbers values (6)');
    const wanted = preview({ time: beforeSix });
    await begin(wanted);
    await come(wanted, 'ready');
    expect(psql(previewPort, [...PLAIN, NUMBERS])).to.equal('1 2 3 4 5');
    leader.assign('pg1', PRIMARY);
    await until(isNothingLeft);
  });

  for (const { step, isReached } of [
    { step: 'unpacked', isReached: () => existsSync(`${dataDirectory()}.part`) },
    { step: 'recovered', isReached: () => existsSync(join(dataDirectory(), 'postmaster.pid')) },
  ]) {
    it(`begins anew when the manager is killed while it is ${step}`, async () => {
      const drill = order();
      leader.assign('pg1', PRIMARY, { rehearsal: drill });
      await until(isReached);
      await pg1.die();
      expect(processesIn(dataDirectory())).to.deep.equal([]);
      expect(existsSync(join(scratch(), 'copy'))).to.equal(true);
      leader.forget('pg1');
      leader.assign('pg1', PRIMARY);
      await pg1.start();
      await leader.until('pg1', ({ postgres }) => postgres.state === 'primary');
      leader.assign('pg1', PRIMARY, { rehearsal: drill });
      const { outcome } = await come(drill, 'ended');
      expect(outcome).to.deep.include({ backup: 'b1', problem: null });
      expect(isNothingLeft()).to.equal(true);
    });
  }

  it('as a drill brings a snapshot back, too', async () => {
    const snapshot = { ...BACKUP, id: 'b2', method: 'snapshot', format: 'plain' } as const;
    leader.assign('pg1', PRIMARY, { backup: snapshot });
    await leader.until('pg1', ({ backup }) => backup?.id === 'b2' && backup.state === 'done');
    const drill = order({ backup: 'b2', query: 'select count(*) = 6 from numbers' });
    await begin(drill);
    const { outcome } = await come(drill, 'ended');
    expect(outcome).to.deep.include({ backup: 'b2', problem: null });
    expect(isNothingLeft()).to.equal(true);
  });

  it('ends at once when the server is to be stopped', async () => {
    const wanted = preview({ immediate: true });
    await begin(wanted);
    await come(wanted, 'ready');
    leader.assign('pg1', { kind: 'stop', because: 'test' }, { rehearsal: wanted });
    expect((await come(wanted, 'given up')).words).to.equal('the server is to be stopped');
    await leader.until('pg1', ({ postgres }) => postgres.state === 'stopped');
    await until(isNothingLeft);
  });
});
