/** Brings the leaders and the primary to where a cell wants them, by orderly means where possible. */
import { type ClusterState } from '../../src/core/state';
import { stateRecordName } from '../../src/core/names';
import { waitFor } from '../lab/shell';
import { type Cell, type Leaders } from './cells';
import { CLUSTER, type MatrixCluster, type Place } from './cluster';
import { look, swarmLeader, type Scene } from './scene';

const triesMax = 8;
const armedMaxMs = 60_000;
const leaderMaxMs = 60_000;

/** A settled and armed cluster, arranged as the cell wants it. */
export async function arrange(cluster: MatrixCluster, cell: Cell): Promise<Scene> {
  for (let tries = 1; tries <= triesMax; tries += 1) {
    const status = await cluster.settled();
    const problem = await rearrange(cluster, cell, status.primary);
    if (problem === null) {
      await armed(cluster);
      return look(cluster, await cluster.settled());
    }
  }
  throw new Error(`${cell.name}: the leaders could not be brought to where they are wanted`);
}

/** Does one thing towards the arrangement; null when nothing is left to do. */
async function rearrange(
  cluster: MatrixCluster,
  { leaders = {} }: Cell,
  primary: string | null,
): Promise<string | null> {
  const { deployment, places, shape } = cluster;
  const { lab } = deployment;
  const nodes = { swarm: await swarmLeader(lab), operator: await deployment.leaderNode() };
  const isRight = (place: Place): boolean =>
    fits(leaders, nodes, place) && (shape.smallVolumeMb === undefined || place.server === 'pg1');
  if (places.some((place) => place.server === primary && isRight(place))) return null;
  const better = places.find(isRight);
  if (better !== undefined) {
    await cluster.moveTo(better.server);
    return `moved the primary to ${better.server}`;
  }
  if (leaders.operator !== undefined) {
    await deployment.killLeader();
    return 'another operator leads';
  }
  await deposeSwarmLeader(cluster, nodes.swarm);
  return 'another node leads the Swarm';
}

const fits = (
  leaders: Leaders,
  nodes: Readonly<Record<keyof Leaders, string>>,
  { node }: Place,
): boolean =>
  (['swarm', 'operator'] as const).every((which) => {
    const wanted = leaders[which];
    return wanted === undefined || (wanted === 'here') === (nodes[which] === node);
  });

/** A node that is demoted hands the leadership on. */
async function deposeSwarmLeader({ deployment }: MatrixCluster, leader: string): Promise<void> {
  await deployment.docker(['node', 'demote', leader]);
  await waitFor('another node to lead the Swarm', leaderMaxMs, async () =>
    (await swarmLeader(deployment.lab).catch(() => leader)) === leader ? undefined : true,
  );
  await deployment.docker(['node', 'promote', leader]);
  await deployment.lab.repair();
}

/** Every standby may be promoted, and with synchronous replication stands for what is committed. */
async function armed({ deployment, shape }: MatrixCluster): Promise<void> {
  await waitFor('every standby to be a safe candidate', armedMaxMs, async () => {
    const state = await deployment.record<ClusterState>(stateRecordName(CLUSTER));
    const standbys = shape.servers - 1;
    const isGuaranteed = shape.sync === 'none' || state.sync.guaranteed?.names.length === standbys;
    return state.contract?.peers.length === standbys && isGuaranteed && state.change === null
      ? true
      : undefined;
  });
}
