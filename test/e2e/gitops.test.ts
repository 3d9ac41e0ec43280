/** The operator follows a Git repository: the primary is changed by a commit. */
import { mkdtempSync, rmSync } from 'node:fs';
import { networkInterfaces, tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { type ClusterState } from '../../src/core/state';
import {
  Colleague,
  makeRepository,
  startDaemon,
  type GitServer,
} from '../integration/support/git-server';
import { waitFor } from '../lab/shell';
import { Deployment } from './deployment';

const CLUSTER = 'pushed';
const FILE = 'clusters/pushed.yaml';

const pair = (primary: string): string => `
apiVersion: pgswarm.dev/v1
kind: PostgresCluster
metadata: { name: ${CLUSTER} }
spec:
  postgres: { version: 17 }
  network: { subnet: 10.0.219.0/24 }
  primary: ${primary}
  servers:
    - { name: pg1, node: { hostname: n1 }, port: 5458 }
    - { name: pg2, node: { hostname: n2 }, port: 5458 }
`;

describe('an operator that follows a Git repository', function () {
  this.timeout(300_000);
  let deployment: Deployment;
  let folder: string;
  let server: GitServer;
  let jane: Colleague;

  before(async function () {
    this.timeout(900_000);
    folder = mkdtempSync(join(tmpdir(), 'pgswarm-gitops-'));
    const bare = join(folder, 'served/fleet.git');
    makeRepository(bare);
    jane = new Colleague(bare, join(folder, 'jane'));
    jane.write(FILE, pair('pg1')).push('Begin');
    deployment = await Deployment.open();
    const host = addressForNodes(deployment);
    server = await startDaemon(join(folder, 'served'), { host });
    await deployment.docker([
      ...['service', 'update', '-q', '-d'],
      ...['--env-add', `PGSWARM_GIT_REPOSITORY=${server.url}/fleet.git`],
      ...['--env-add', 'PGSWARM_GIT_POLL=2s', '--env-add', 'PGSWARM_GIT_PATH=clusters'],
      'pgswarm_operator',
    ]);
  });

  after(async () => {
    const added = ['REPOSITORY', 'POLL', 'PATH'].flatMap((name) => [
      '--env-rm',
      `PGSWARM_GIT_${name}`,
    ]);
    await deployment.docker(['service', 'update', '-q', '-d', ...added, 'pgswarm_operator']);
    await deployment.mustPgswarm('delete', CLUSTER, '--volumes', '--yes');
    await server.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  const change = async (): Promise<ClusterState['change']> =>
    (await deployment.record<ClusterState>(`pgswarm.${CLUSTER}.state`)).change;

  it('makes the cluster that was pushed', async () => {
    const { source } = await deployment.ready(CLUSTER, 'pg1');
    expect(source).to.deep.include({ kind: 'git', path: FILE });
  });

  it('begins the switchover within 5 s of a push', async () => {
    const id = jane.write(FILE, pair('pg2')).push('Move the primary');
    const startedMs = performance.now();
    await waitFor('the switchover', 60_000, async () => {
      const { primary } = await deployment.record<ClusterState>(`pgswarm.${CLUSTER}.state`);
      return primary === 'pg2' || (await change()) !== null ? true : undefined;
    });
    expect(performance.now() - startedMs).to.be.lessThan(5_000);
    await deployment.ready(CLUSTER, 'pg2');
    const { stdout } = await deployment.pgswarm('events', CLUSTER);
    expect(stdout).to.include(`commit ${id.slice(0, 7)} by Jane Doe`);
  });

  it('does the same under another leader, and goes on while the Git server is away', async () => {
    await server.stop();
    await deployment.until(CLUSTER, 'an unreachable repository', ({ conditions }) =>
      conditions.some(({ type, status }) => type === 'SourceFollowed' && status === 'False'),
    );
    await deployment.killLeader();
    const { hostname: host, port } = new URL(server.url);
    server = await startDaemon(join(folder, 'served'), { host, port: Number(port) });
    jane.write(FILE, pair('pg1')).push('Move it back');
    await deployment.ready(CLUSTER, 'pg1');
  });
});

/** This machine as the lab's nodes see it: the gateway of their network. */
function addressForNodes({ lab }: Deployment): string {
  const network = lab.address('n1').split('.').slice(0, 3).join('.');
  const own = Object.values(networkInterfaces()).flatMap((all) => all ?? []);
  const found = own.find(({ address }) => address.startsWith(`${network}.`));
  if (found === undefined) throw new Error(`this machine has no address in ${network}.0/24`);
  return found.address;
}
