/**
 * Settings of a running cluster of three, changed under a client that writes: what takes a restart
 * comes to every server without one, limits are lowered on the primary first, what PostgreSQL does
 * not start with costs one standby one start, and nothing that was acknowledged is lost.
 */
import { expect } from 'chai';
import { productImage } from '../lab/images';
import { waitFor } from '../lab/shell';
import { Writer } from '../support/writer';
import { Deployment } from './deployment';

const CLUSTER = 'settings';
const SERVERS = ['pg1', 'pg2', 'pg3'];
const ROLLOUT_MS = 180_000;

const NEXT_IMAGE = 'pgswarm:next';

const spec = (parameters: string, update = 'automatic', more = ''): string => `
apiVersion: pgswarm.dev/v1
kind: PostgresCluster
metadata: { name: ${CLUSTER} }
spec:
  postgres: { version: 17, parameters: ${parameters} }
  network: { subnet: 10.0.224.0/24 }
  update: { primary: ${update} }
${more}  primary: pg1
  servers:
${SERVERS.map((name) => `    - { name: ${name}, node: { hostname: n${name.slice(2)} }, port: 5457 }`).join('\n')}
`;

describe('settings of three servers', function () {
  this.timeout(300_000);
  let deployment: Deployment;
  let writer: Writer;

  const apply = async (parameters: string, update?: string, more?: string): Promise<void> => {
    const file = deployment.file('settings.yaml', spec(parameters, update, more));
    await deployment.mustPgswarm('apply', '-f', file);
  };
  const show = async (name: string): Promise<string[]> =>
    Promise.all(
      SERVERS.map(async (server) => deployment.asSuperuser(CLUSTER, server, `show ${name}`)),
    );
  const startOf = async (server: string): Promise<string> =>
    deployment.asSuperuser(CLUSTER, server, 'select pg_postmaster_start_time()');
  const conditionOf = async (reason: string): Promise<string> => {
    const { conditions } = await deployment.until(CLUSTER, reason, (status) =>
      status.conditions.some((each) => each.reason === reason),
    );
    return conditions.find((each) => each.reason === reason)!.message;
  };
  /** In force everywhere, and the role where it was declared. */
  const rolledOut = async (name: string, value: string): Promise<void> => {
    await waitFor(`${name} ${value} everywhere`, ROLLOUT_MS, async () => {
      // One of them is being restarted.
      const values = await show(name).catch(() => []);
      const isEverywhere = values.length > 0 && values.every((each) => each === value);
      return isEverywhere ? true : undefined;
    });
    await deployment.ready(CLUSTER, 'pg1');
  };
  const goesOn = async (): Promise<void> => writer.waitForWrites(20, 120_000);

  before(async function () {
    this.timeout(900_000);
    deployment = await Deployment.open();
    await apply('{ max_connections: 60 }');
    await deployment.ready(CLUSTER, 'pg1');
    const uri = await deployment.mustPgswarm('connect', CLUSTER, '--with-password');
    writer = new Writer(uri.trim());
    await writer.start();
  });

  afterEach(async function () {
    if (this.currentTest?.state === 'failed') await deployment.keepLogs(CLUSTER, 'configuration');
  });

  after(async () => {
    await writer.stop();
    await deployment.mustPgswarm('delete', CLUSTER, '--volumes', '--yes');
  });

  it('raises a limit on the standbys first, and has one of them relieve the primary', async () => {
    const before = (await deployment.status(CLUSTER))!.term;
    await apply('{ max_connections: 80 }');
    await rolledOut('max_connections', '80');
    const { term, lastChange } = (await deployment.status(CLUSTER))!;
    expect(term).to.equal(before + 2);
    expect(lastChange).to.include({ kind: 'switchover', to: 'pg1', lostBytes: 0 });
    await goesOn();
  });

  it('lowers it on the primary first, in place', async () => {
    const before = (await deployment.status(CLUSTER))!.term;
    await apply('{ max_connections: 50 }');
    await rolledOut('max_connections', '50');
    expect((await deployment.status(CLUSTER))!.term).to.equal(before);
    await goesOn();
  });

  it('reloads what needs no restart', async () => {
    const before = await Promise.all(SERVERS.map(startOf));
    await apply('{ max_connections: 50, work_mem: 7MB }');
    await rolledOut('work_mem', '7MB');
    expect(await Promise.all(SERVERS.map(startOf))).to.deep.equal(before);
  });

  it('says in PostgreSQL’s words what it refuses, before it reaches a server', async () => {
    const before = await Promise.all(SERVERS.map(startOf));
    await apply('{ max_connections: 50, shared_preload_libraries: no_such_library }');
    expect(await conditionOf('ParameterRefused')).to.match(
      /could not access file "no_such_library"/,
    );
    expect(await Promise.all(SERVERS.map(startOf))).to.deep.equal(before);
    await goesOn();
  });

  it('takes back what a standby does not start with, and leaves the primary alone', async () => {
    const before = await startOf('pg1');
    await apply('{ max_connections: 50, huge_pages: "on" }');
    expect(await conditionOf('SettingsRolledBack')).to.match(/shared memory/);
    await deployment.until(CLUSTER, 'every standby streaming', ({ servers }) =>
      servers.slice(1).every(({ state }) => state === 'streaming'),
    );
    expect(await startOf('pg1')).to.equal(before);
    await goesOn();
    await apply('{ max_connections: 50 }');
    await rolledOut('huge_pages', 'try');
  });

  it('leaves the primary to a person where that is declared', async () => {
    const before = await startOf('pg1');
    await apply('{ max_connections: 70 }', 'supervised');
    const { conditions } = await deployment.until(CLUSTER, 'a person to be waited for', (status) =>
      status.conditions.some(({ message }) => message.includes('waits for a person')),
    );
    expect(conditions.find(({ type }) => type === 'UpToDate')?.message).to.include(
      `pgswarm restart ${CLUSTER} pg1`,
    );
    expect(await show('max_connections')).to.deep.equal(['50', '70', '70']);
    expect(await startOf('pg1')).to.equal(before);
    await deployment.mustPgswarm('restart', CLUSTER, 'pg1');
    await rolledOut('max_connections', '70');
    await goesOn();
  });

  it('brings a new image to the standbys, and to the primary when it has been relieved', async () => {
    for (const node of deployment.lab.nodes()) {
      await deployment.lab.exec(node, ['docker', 'tag', productImage, NEXT_IMAGE]);
    }
    const before = (await deployment.status(CLUSTER))!.term;
    await apply('{ max_connections: 70 }', 'automatic', `  image: ${NEXT_IMAGE}\n`);
    await waitFor('every server on the new image', ROLLOUT_MS, async () => {
      const services = SERVERS.map((server) => `pgswarm-${CLUSTER}-${server}`);
      const images = await Promise.all(services.map((each) => deployment.imageOf(each)));
      return images.every((image) => image === NEXT_IMAGE) ? true : undefined;
    });
    const { term, lastChange } = await deployment.ready(CLUSTER, 'pg1');
    expect(term).to.equal(before + 2);
    expect(lastChange).to.include({ kind: 'switchover', to: 'pg1', lostBytes: 0 });
    await goesOn();
  });

  it('has lost nothing that was acknowledged', async () => {
    await writer.stop();
    expect(await writer.missingOnPrimary()).to.deep.equal([]);
  });
});
