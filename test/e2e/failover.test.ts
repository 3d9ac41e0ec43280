/**
 * Chosen faults of the matrix (`npm run test:matrix` has them all) on three servers with
 * synchronous replication: nothing acknowledged is lost, never do two servers accept writes, and
 * the old primary comes back by itself.
 */
import { expect } from 'chai';
import { join } from 'node:path';
import { cellsNamed } from '../matrix/cells';
import { MatrixCluster } from '../matrix/cluster';
import { saveEvidence } from '../matrix/evidence';
import { line } from '../matrix/report';
import { violations } from '../matrix/result';
import { runCell } from '../matrix/run-cell';
import { Deployment, ROOT } from './deployment';

const CHOSEN = [
  'container-kill',
  'manager-freeze',
  'node-kill',
  'node-cut',
  'switchover-source-kill',
];
const LOGS = join(ROOT, '.build/e2e-failover');
const REST_MS = 2000;

describe('failover on a real Swarm', function () {
  this.timeout(300_000);
  let deployment: Deployment;
  let cluster: MatrixCluster;

  before(async function () {
    this.timeout(900_000);
    deployment = await Deployment.open();
    cluster = await MatrixCluster.create(deployment, { servers: 3, sync: 'required' });
  });

  after(() => MatrixCluster.remove(deployment));

  for (const cell of cellsNamed(CHOSEN)) {
    it(`${cell.title}: nothing is lost, nobody writes beside the primary, all is back`, async () => {
      const { result, marks } = await runCell(cluster, cell, { number: 1, restMs: REST_MS });
      const wrong = violations(result);
      const logs = wrong.length === 0 ? '' : await saveEvidence(LOGS, cell.name, cluster, marks);
      expect(wrong, `${line(result)}; logs in ${logs}`).to.deep.equal([]);
    });
  }
});
