/**
 * Back to a point in time, in place, on a real Swarm: write, drop a table, restore to just before,
 * look, go back, restore to another point, accept, fail over, and restore again across the timelines.
 */
import { expect } from 'chai';
import { Deployment } from './deployment';

const CLUSTER = 'past';

const spec = `
apiVersion: pgswarm.dev/v1
kind: PostgresCluster
metadata: { name: ${CLUSTER} }
spec:
  postgres: { version: 17 }
  network: { subnet: 10.0.222.0/24 }
  primary: pg1
  servers:
    - { name: pg1, node: { hostname: n1 }, port: 5452 }
    - { name: pg2, node: { hostname: n2 }, port: 5452 }
`;

describe('a restore in place on a real Swarm', function () {
  this.timeout(300_000);
  let deployment: Deployment;
  let beforeDrop = '';
  let beforeFailover = '';

  const sql = async (text: string): Promise<string> => await deployment.sql(CLUSTER, text);
  const restore = async (...args: readonly string[]): Promise<string> =>
    await deployment.mustPgswarm('restore', CLUSTER, '--wait', '120', ...args);
  /** The moment after this row; the next one is later. */
  const write = async (what: string): Promise<string> => {
    await sql(`insert into history (what) values ('${what}')`);
    return await sql(
      `select to_char(clock_timestamp() at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')`,
    );
  };
  const rows = async (): Promise<string> =>
    await sql(`select string_agg(what, ' ' order by n) from history`);
  /** Whoever is primary after a failover. */
  const redundant = async (): Promise<unknown> =>
    await deployment.until(CLUSTER, 'a standby that streams', ({ servers }) =>
      ['running', 'streaming'].every((each) => servers.some(({ state }) => state === each)),
    );
  /** The rows, as every server has them. */
  const everywhere = async (): Promise<void> => {
    await redundant();
    const database = ['psql', '-h', '/run/pgswarm', '-U', 'postgres', '-d', 'app', '-qAt', '-c'];
    const tables = await Promise.all(
      ['pg1', 'pg2'].map(async (server) =>
        deployment.inside(`pgswarm-${CLUSTER}-${server}`, [
          ...database,
          'select * from history order by n',
        ]),
      ),
    );
    expect(tables[0]).to.equal(tables[1]);
  };

  before(async function () {
    this.timeout(900_000);
    deployment = await Deployment.open();
    const file = deployment.file('past.yaml', spec);
    await deployment.mustPgswarm('apply', '-f', file, '--wait=120');
    await sql('create table history (n serial primary key, what text)');
  });

  afterEach(async function () {
    if (this.currentTest?.state === 'failed') await deployment.keepLogs(CLUSTER, 'restore');
  });

  after(async () => deployment.mustPgswarm('delete', CLUSTER, '--volumes', '--yes'));

  it('is refused without a backup, and nothing is touched', async () => {
    const { code, stderr } = await deployment.pgswarm('restore', CLUSTER, '--latest', '--yes');
    expect(code).to.not.equal(0);
    expect(stderr).to.match(/backup/);
    const { phase, term } = (await deployment.status(CLUSTER))!;
    expect([phase, term]).to.deep.equal(['Ready', 1]);
  });

  it('is tried on a copy first, which a standby makes of what is not archived yet', async () => {
    await deployment.mustPgswarm('backup', CLUSTER);
    await write('first');
    beforeDrop = await write('second');
    await sql('drop table history');
    await restore('--preview', '--time', beforeDrop);
    const count = ['--preview', '--', '-qAt', '-c', 'select count(*) from history'];
    expect((await deployment.mustPgswarm('psql', CLUSTER, ...count)).trim()).to.equal('2');
    await restore('--end-preview');
    await deployment.ready(CLUSTER, 'pg1');
  });

  it('shows the table as it was before it was dropped, to nobody outside', async () => {
    await restore('--time', beforeDrop, '--yes');
    expect(await rows()).to.equal('first second');
    const { conditions } = (await deployment.status(CLUSTER))!;
    const ready = conditions.find(({ type }) => type === 'Ready')!;
    expect(ready).to.include({ status: 'False', reason: 'RestoreUndecided' });
    expect(ready.message).to.match(/pgswarm restore past --accept/);
    const outside = await deployment.pgswarm('psql', CLUSTER, '--', '-c', 'create table no ()');
    expect(outside.stderr).to.match(/read-only/);
  });

  it('is taken back without a trace', async () => {
    await restore('--undo');
    await deployment.ready(CLUSTER, 'pg1');
    expect(await sql("select count(*) from pg_class where relname = 'history'")).to.equal('0');
    expect(
      (await deployment.status(CLUSTER))!.servers.every(({ timeline }) => timeline === 1),
    ).to.equal(true);
  });

  it('is accepted: a new timeline, which the other server follows', async () => {
    await restore('--time', beforeDrop, '--yes');
    await restore('--accept', '--yes');
    expect(await rows()).to.equal('first second');
    await write('third');
    await deployment.ready(CLUSTER, 'pg1');
    await everywhere();
  });

  it('leads over a failover, too, back to before it', async () => {
    beforeFailover = await write('fourth');
    await deployment.killContainer(`pgswarm-${CLUSTER}-pg1`);
    await redundant();
    await write('fifth');
    expect(await rows()).to.equal('first second third fourth fifth');
    await restore('--time', beforeFailover, '--yes');
    expect(await rows()).to.equal('first second third fourth');
    await restore('--accept', '--yes');
    await write('sixth');
    expect(await rows()).to.equal('first second third fourth sixth');
    await everywhere();
  });
});
