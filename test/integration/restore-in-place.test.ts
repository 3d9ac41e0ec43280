/**
 * A restore in place on one instance manager with real PostgreSQL: write, drop a table, restore to just
 * before, look, go back, restore to another point, accept, and restore again across the timelines.
 */
import { randomBytes } from 'node:crypto';
import { chmodSync, existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { type Report } from '../../src/core/protocol';
import { type RestorePoint } from '../../src/core/restore/target';
import { type RestoreWish } from '../../src/core/restore/task';
import { eventually } from '../support/eventually';
import { FakeLeader } from './support/fake-leader';
import { findBinDirectory, InstanceProcess, runAs } from './support/instance-process';
import { primaryWith, settingsWith } from './support/told';

const CLUSTER = 'orders';
const SETTINGS = settingsWith();
const ISOLATED = { settings: { ...SETTINGS, isIsolated: true } } as const;

const isPrimary = ({ postgres }: Report): boolean => postgres.state === 'primary';

describe('a restore in place with PostgreSQL', function () {
  this.timeout(120_000);

  const binDirectory = findBinDirectory();
  const identity = runAs();
  let root: string | undefined;
  let leader: FakeLeader;
  let pg1: InstanceProcess;
  let orders = 0;

  const orderTo = (point: RestorePoint, changes: Partial<RestoreWish['target']> = {}) => {
    orders += 1;
    const target = { point, isExclusive: false, timeline: 'latest', action: 'pause', ...changes };
    return { id: `r${orders}`, target, backup: null, by: 'ann', at: now() } as RestoreWish;
  };
  const now = (): string => new Date().toISOString();
  /** What the primary says of a point; nothing is touched by that. */
  const ask = async (order: RestoreWish) => {
    leader.assign('pg1', primaryWith(), { prospect: order });
    const { report } = await leader.until('pg1', ({ prospect }) => prospect?.id === order.id);
    return report.prospect!;
  };
  const restore = async (order: RestoreWish): Promise<Report> => {
    leader.assign('pg1', { kind: 'restored', order }, ISOLATED);
    const { report } = await leader.until(
      'pg1',
      ({ restored }) => restored?.id === order.id && restored.state !== 'replaying',
      60_000,
    );
    return report;
  };
  const goBack = async (): Promise<void> => {
    leader.assign('pg1', primaryWith());
    await leader.until('pg1', (report) => isPrimary(report) && report.restored === null);
  };
  const accept = async ({ id }: RestoreWish): Promise<void> => {
    leader.nextTerm();
    leader.assign('pg1', primaryWith({ accepted: id }));
    await leader.until('pg1', (report) => isPrimary(report) && report.restored === null);
  };
  const rows = async (): Promise<string> =>
    await pg1.sql("select string_agg(what, ' ' order by n) from history");
  const write = async (what: string): Promise<string> => {
    await pg1.sql(`insert into history (what) values ('${what}')`);
    // PostgreSQL counts microseconds: the next row is later than this.
    return await pg1.sql(
      `select to_char(clock_timestamp() at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.USZ')`,
    );
  };
  const time = (text: string): RestorePoint => ({ kind: 'time', time: text });

  let beforeDrop = '';
  let afterFirst = '';

  before(async function () {
    if (binDirectory === null || identity === null) this.skip();
    root = mkdtempSync(join(tmpdir(), 'pgswarm-restore-'));
    chmodSync(root, 0o755);
    leader = new FakeLeader(CLUSTER, randomBytes(32), SETTINGS);
    const { key } = leader;
    const leaderPort = await leader.listen();
    pg1 = new InstanceProcess({
      root,
      cluster: CLUSTER,
      server: 'pg1',
      key,
      leaderPort,
      binDirectory,
    });
    await pg1.start();
    leader.assign('pg1', { kind: 'initialise', volumeId: 'v1' });
    await leader.until('pg1', ({ volume }) => volume.kind === 'tagged');
    leader.assign('pg1', primaryWith());
    await leader.until('pg1', isPrimary);
    await pg1.sql('create table history (n serial primary key, what text)');
  });

  after(async () => {
    if (root === undefined) return;
    await pg1.die();
    leader.close();
    if (process.env['KEEP'] === undefined) rmSync(root, { recursive: true });
  });

  it('is refused before there is a backup, and nothing is touched', async () => {
    const prospect = await ask(orderTo({ kind: 'latest' }));
    expect(prospect.isPossible, prospect.words).to.equal(false);
    expect(leader.last('pg1')?.postgres.state).to.equal('primary');
  });

  it('is possible to a moment ago: what is in the present segment is archived first', async () => {
    const order = { id: '20260101T000000Z', method: 'base', format: 'tar', compression: 'gzip' };
    const backup = { ...order, parent: null, bytesPerSecondMax: null, because: 'test', spec: null };
    leader.assign('pg1', primaryWith(), { backup: backup as never });
    const done = await leader.until(
      'pg1',
      ({ backup: work }) => work?.state !== 'running' && work !== null,
      60_000,
    );
    expect(done.report.backup).to.include({ state: 'done' });
    afterFirst = await write('first');
    beforeDrop = await write('second');
    await pg1.sql('drop table history');
    const prospect = await ask(orderTo(time(beforeDrop)));
    expect(prospect).to.include({ isPossible: true });
    expect(prospect.words).to.match(/from backup 20260101T000000Z along timeline 1/);
    const early = await ask(orderTo(time('2020-01-01T00:00:00Z')));
    expect(early.isPossible).to.equal(false);
    expect(early.words).to.match(/earliest point/);
  });

  it('shows the point to nobody but its superuser, and goes back without a loss', async () => {
    const { restored, postgres } = await restore(orderTo(time(beforeDrop)));
    expect(restored).to.include({ state: 'reached' });
    expect(restored!.lastCommitAt! <= beforeDrop).to.equal(true);
    expect(postgres.state).to.equal('primary');
    expect(await pg1.sql("select count(*) from pg_hba_file_rules where type = 'local'")).to.equal(
      '1',
    );
    expect(await rows()).to.equal('first second');
    expect(existsSync(join(pg1.volume, 'pgdata.before-restore'))).to.equal(true);
    await goBack();
    expect(await pg1.sql("select count(*) from pg_class where relname = 'history'")).to.equal('0');
    expect(existsSync(join(pg1.volume, 'pgdata.before-restore'))).to.equal(false);
  });

  it('leaves no trace of a copy that was given up', async () => {
    const { archive } = leader.last('pg1')!;
    expect(archive!.last!.file.slice(0, 8)).to.equal('00000001');
    expect((await ask(orderTo({ kind: 'latest' }))).words).to.match(/along timeline 1/);
  });

  it('ends where the WAL ends when the point is not in it, and another point may be tried', async () => {
    const missed = await restore(orderTo({ kind: 'name', name: 'never made' }));
    expect(missed.restored).to.include({ state: 'ended' });
    const first = orderTo(time(afterFirst));
    expect((await restore(first)).restored).to.include({ state: 'reached' });
    expect(await rows()).to.equal('first');
  });

  it('goes on where it was after its manager was killed', async () => {
    const id = `r${orders}`;
    const { bootId } = leader.last('pg1')!;
    await pg1.die();
    await pg1.start();
    await leader.until(
      'pg1',
      (report) =>
        report.bootId !== bootId &&
        report.restored?.id === id &&
        report.restored.state === 'reached',
    );
    expect(await rows()).to.equal('first');
  });

  it('begins a new timeline when it is accepted, and everybody may come in', async () => {
    await accept({ id: `r${orders}` } as RestoreWish);
    expect(existsSync(join(pg1.volume, 'pgdata.before-restore'))).to.equal(false);
    await write('third');
    expect(await rows()).to.equal('first third');
    const { postgres } = leader.last('pg1')!;
    expect(postgres).to.include({ state: 'primary', timeline: 2 });
    await eventually(async () =>
      expect(
        await pg1.sql("select count(*) from pg_hba_file_rules where type = 'host'"),
      ).to.not.equal('0'),
    );
    expect(await pg1.sql('select count(*) from pg_settings where pending_restart')).to.be.a(
      'string',
    );
    expect(leader.last('pg1')!.postgres).to.deep.include({ pendingRestart: [] });
  });

  it('leads across the timelines: to the new one, and to the one that was left', async () => {
    const here = await write('fourth');
    await write('fifth');
    const point = orderTo(time(here));
    const prospect = await ask(point);
    expect(prospect.words).to.match(/along timeline 2/);
    await restore(point);
    expect(await rows()).to.equal('first third fourth');
    const left = orderTo(time(beforeDrop), { timeline: 1 });
    await restore(left);
    expect(await rows()).to.equal('first second');
    await accept(left);
    expect(await rows()).to.equal('first second');
    expect(leader.last('pg1')!.postgres).to.include({ state: 'primary', timeline: 3 });
  });
});
