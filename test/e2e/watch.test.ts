/** The operator follows a folder of cluster files: the primary is changed by saving a file. */
import { expect } from 'chai';
import { Deployment } from './deployment';

const CLUSTER = 'watched';
const FOLDER = '/etc/pgswarm/clusters';
const FILE = `${FOLDER}/watched.yaml`;

const pair = (primary: string): string => `
apiVersion: pgswarm.dev/v1
kind: PostgresCluster
metadata: { name: ${CLUSTER} }
spec:
  postgres: { version: 17 }
  network: { subnet: 10.0.211.0/24 }
  primary: ${primary}
  servers:
    - { name: pg1, node: { hostname: n1 }, port: 5450 }
    - { name: pg2, node: { hostname: n2 }, port: 5450 }
`;

describe('an operator that watches a folder', function () {
  this.timeout(300_000);
  let deployment: Deployment;

  before(async function () {
    this.timeout(900_000);
    deployment = await Deployment.open();
    for (const node of deployment.lab.nodes()) await save(node, pair('pg1'));
    await deployment.docker([
      'service',
      'update',
      '-q',
      '-d',
      '--mount-add',
      `type=bind,source=${FOLDER},target=${FOLDER},readonly`,
      '--env-add',
      `PGSWARM_WATCH=${FOLDER}`,
      'pgswarm_operator',
    ]);
  });

  after(async () => {
    for (const node of deployment.lab.nodes()) await deployment.lab.exec(node, ['rm', '-f', FILE]);
    await deployment.mustPgswarm('delete', CLUSTER, '--volumes', '--yes');
  });

  /** Saves the file on one manager as an editor does: a new file takes the place of the old one. */
  async function save(node: string, text: string): Promise<void> {
    const script = `mkdir -p ${FOLDER} && cat > ${FILE}.new && mv ${FILE}.new ${FILE}`;
    const { code, stderr } = await deployment.lab.exec(node, ['sh', '-c', script], { input: text });
    if (code !== 0) throw new Error(stderr);
  }

  const saveEverywhere = async (text: string): Promise<void> => {
    for (const node of deployment.lab.nodes()) await save(node, text);
  };

  it('makes the cluster that a file describes', async () => {
    await deployment.ready(CLUSTER, 'pg1');
  });

  it('moves the primary when the file is saved with another one', async () => {
    await saveEverywhere(pair('pg2'));
    await deployment.ready(CLUSTER, 'pg2');
  });

  it('refuses a file with faults, keeps the last good spec, and says so', async () => {
    await saveEverywhere(pair('pg7'));
    const status = await deployment.until(CLUSTER, 'a refusal', ({ conditions }) =>
      conditions.some(({ reason }) => reason === 'SpecRefused'),
    );
    const { message } = status.conditions.find(({ reason }) => reason === 'SpecRefused')!;
    expect(message).to.match(/watched\.yaml.*spec\.primary.*pg7/s);
    expect(status.primary).to.equal('pg2');
    await saveEverywhere(pair('pg2'));
    await deployment.ready(CLUSTER, 'pg2');
  });

  it('does not move the primary back when a leader with an old copy takes over', async () => {
    const leader = await deployment.leaderNode();
    await save(leader, pair('pg1'));
    await deployment.ready(CLUSTER, 'pg1');
    await deployment.killLeader();
    await deployment.ready(CLUSTER, 'pg1');
    expect(await deployment.leaderNode()).to.not.equal(leader);
    const { generation } = (await deployment.status(CLUSTER))!;
    await saveEverywhere(pair('pg1'));
    await deployment.ready(CLUSTER, 'pg1');
    expect((await deployment.status(CLUSTER))!.generation).to.equal(generation);
  });
});
