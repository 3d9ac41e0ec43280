/**
 * What people do to a running cluster of three, under a client that writes: grow and shrink it,
 * change its synchronous set, pause, fence and restart it, empty a node. Nothing that was
 * acknowledged is lost, and each is undone as the program says.
 */
import { expect } from 'chai';
import { eventually } from '../support/eventually';
import { Writer } from '../support/writer';
import { Deployment } from './deployment';

const CLUSTER = 'upkeep';

interface Shape {
  readonly servers?: readonly string[];
  readonly primary?: string;
  readonly more?: string;
  /** What makes pg3 late on purpose. */
  readonly late?: string;
}

const THREE = ['pg1', 'pg2', 'pg3'];
const REQUIRED = '  replication: { synchronous: { number: 1, durability: required } }\n';

const server = (name: string, late: string | undefined): string => {
  const more = name === 'pg3' && late !== undefined ? `, ${late}` : '';
  return `    - { name: ${name}, node: { hostname: n${name.slice(2)} }, port: 5450${more} }`;
};

const spec = ({ servers = THREE, primary = 'pg1', more = REQUIRED, late }: Shape = {}): string => `
apiVersion: pgswarm.dev/v1
kind: PostgresCluster
metadata: { name: ${CLUSTER} }
spec:
  postgres: { version: 17 }
  network: { subnet: 10.0.220.0/24 }
${more}  primary: ${primary}
  servers:
${servers.map((name) => server(name, late)).join('\n')}
`;

describe('maintenance of three servers', function () {
  this.timeout(300_000);
  let deployment: Deployment;
  let writer: Writer;

  const apply = async (shape: Shape = {}): Promise<void> => {
    const file = deployment.file('upkeep.yaml', spec(shape));
    await deployment.mustPgswarm('apply', '-f', file, '--wait=120');
  };
  const must = async (...args: readonly string[]): Promise<string> =>
    deployment.mustPgswarm(...args);
  const postmaster = async (server: string): Promise<string> =>
    deployment.asSuperuser(CLUSTER, server, 'select pg_postmaster_start_time()');
  const slots = async (server: string): Promise<string[]> =>
    (
      await deployment.asSuperuser(
        CLUSTER,
        server,
        'select slot_name from pg_replication_slots order by 1',
      )
    ).split('\n');

  before(async function () {
    this.timeout(900_000);
    deployment = await Deployment.open();
    await apply({ servers: ['pg1', 'pg2'] });
    const uri = (await must('connect', CLUSTER, '--with-password')).trim();
    writer = new Writer(uri);
    await writer.start();
  });

  afterEach(async function () {
    if (this.currentTest?.state === 'failed') await deployment.keepLogs(CLUSTER, 'maintenance');
  });

  after(async () => {
    await writer.stop();
    await must('delete', CLUSTER, '--volumes', '--yes');
  });

  /** Nothing that a person does to a cluster ends its writes. */
  const goesOn = async (): Promise<void> => writer.waitForWrites(20, 120_000);

  it('takes a third server in: cloned, a peer, counted for commits, with its slot everywhere', async () => {
    await apply();
    await deployment.until(CLUSTER, 'three in the guarantee', ({ synchronous }) =>
      JSON.stringify(synchronous).includes('pg3'),
    );
    expect(await slots('pg1')).to.deep.equal(['pgswarm_pg2', 'pgswarm_pg3']);
    expect(await slots('pg2')).to.include('pgswarm_pg3');
    await goesOn();
  });

  it('keeps a fenced server stopped until it is unfenced', async () => {
    await must('fence', CLUSTER, 'pg3');
    await deployment.until(CLUSTER, 'pg3 stopped', ({ servers }) =>
      servers.some(({ name, state }) => name === 'pg3' && state.startsWith('stopped')),
    );
    const { because } = (await deployment.status(CLUSTER))!.servers[2]!;
    expect(because).to.match(/fence/);
    await must('unfence', CLUSTER, 'pg3');
    await deployment.ready(CLUSTER, 'pg1');
    await goesOn();
  });

  it('does nothing while it is paused, not even when the spec changes', async () => {
    await must('pause', CLUSTER);
    const file = deployment.file('upkeep.yaml', spec({ primary: 'pg2' }));
    await must('apply', '-f', file);
    await deployment.until(CLUSTER, 'a pause that says what it keeps from', ({ decision }) =>
      /otherwise: pg2 is to be primary/.test(decision.because),
    );
    await must('resume', CLUSTER);
    await deployment.ready(CLUSTER, 'pg2');
    await apply({ primary: 'pg1' });
    await goesOn();
  });

  it('restarts every server, the primary last', async () => {
    const before = await Promise.all(THREE.map(postmaster));
    await must('restart', CLUSTER);
    await deployment.ready(CLUSTER, 'pg1');
    const after = await Promise.all(THREE.map(postmaster));
    after.forEach((time, index) => expect(time).to.not.equal(before[index]));
    const times = after.map((time) => Date.parse(time));
    expect(Math.max(...times)).to.equal(times[0]);
    await goesOn();
  });

  it('moves the primary away from a node that is emptied, and does not fight over it', async () => {
    await deployment.docker(['node', 'update', '--availability', 'drain', 'n1']);
    const { primary, lastChange, conditions } = await deployment.until(
      CLUSTER,
      'another primary',
      ({ primary: now, phase }) => now !== 'pg1' && phase === 'Degraded',
    );
    expect(lastChange).to.include({ kind: 'switchover', from: 'pg1', lostBytes: 0 });
    expect(conditions.map(({ reason }) => reason)).to.include('PrimaryDiverged');
    await deployment.docker(['node', 'update', '--availability', 'active', 'n1']);
    await deployment.until(CLUSTER, 'pg1 streaming again', ({ servers }) =>
      servers.some(({ name, state }) => name === 'pg1' && state === 'streaming'),
    );
    expect((await deployment.status(CLUSTER))!.primary).to.equal(primary);
    await must('promote', CLUSTER, 'pg1');
    await deployment.ready(CLUSTER, 'pg1');
    await goesOn();
  });

  it('feeds a server from the archives alone, keeps it an hour behind, and takes it back', async () => {
    const pg3Is = async (words: string): Promise<unknown> =>
      deployment.until(CLUSTER, `pg3 ${words}`, ({ servers }) =>
        servers.some(({ name, state }) => name === 'pg3' && state === words),
      );
    const onPg3 = async (query: string): Promise<string> =>
      deployment.asSuperuser(CLUSTER, 'pg3', query);
    const mark = async (name: string): Promise<string> => {
      await deployment.asSuperuser(CLUSTER, 'pg1', `create table ${name} ()`);
      return deployment.asSuperuser(CLUSTER, 'pg1', 'select pg_switch_wal()');
    };
    const has = async (name: string): Promise<string> =>
      onPg3(`select to_regclass('${name}') is not null`);

    await apply({ late: 'replication: archive' });
    await pg3Is('from the archive');
    await mark('shipped');
    await eventually(async () => expect(await has('shipped')).to.equal('t'));
    expect(await onPg3('select count(*) from pg_stat_wal_receiver')).to.equal('0');
    await goesOn();

    await apply({ late: 'applyDelay: 1h' });
    await pg3Is('streaming, delayed by 1h on purpose');
    const lsn = await mark('delayed');
    await eventually(async () =>
      expect(await onPg3(`select pg_last_wal_receive_lsn() >= '${lsn}'`)).to.equal('t'),
    );
    expect(await has('delayed')).to.equal('f');
    const refused = await deployment.pgswarm('promote', CLUSTER, 'pg3');
    expect(refused.stderr).to.match(/delay|late/);

    await apply();
    await pg3Is('streaming');
    await eventually(async () => expect(await has('delayed')).to.equal('t'));
    await goesOn();
  });

  it('lets a server go: out of the peers and the guarantee first, then its service and slot', async () => {
    await apply({ servers: ['pg1', 'pg2'] });
    // Ready is the rest of them before its service is gone.
    const filter = ['--filter', `name=pgswarm-${CLUSTER}-pg3`];
    await eventually(async () => {
      expect(await deployment.docker(['service', 'ls', '-q', ...filter])).to.equal('');
    });
    const { stdout } = await deployment.lab.exec('n3', ['docker', 'volume', 'ls', '-q']);
    expect(stdout).to.include(`pgswarm.${CLUSTER}.pg3.data`);
    await eventually(async () => {
      expect(await slots('pg1')).to.deep.equal(['pgswarm_pg2']);
    });
    await goesOn();
  });

  it('has lost nothing that was acknowledged', async () => {
    await writer.stop();
    expect(await writer.missingOnPrimary()).to.deep.equal([]);
  });
});
