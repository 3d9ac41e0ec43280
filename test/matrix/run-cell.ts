/** One repetition of a cell: arrange, write, break, heal, and judge. */
import { type ClusterState } from '../../src/core/state';
import { stateRecordName } from '../../src/core/names';
import { productImage } from '../lab/images';
import { pause } from '../lab/shell';
import { WritingClient } from '../support/client';
import { arrange } from './arrange';
import { breakAndHeal, timesOf } from './course';
import { type Cell } from './cells';
import { CLUSTER, type MatrixCluster } from './cluster';
import { type Mark } from './evidence';
import { type Result } from './result';

export interface Repetition {
  readonly number: number;
  /** Nothing happens for so long before the fault: servers have only just come back. */
  readonly restMs: number;
}

export interface Run {
  readonly result: Result;
  readonly marks: readonly Mark[];
  /** Where the client's rows are. */
  readonly table: string;
  /** The cluster can be used for the next one. */
  readonly isSettled: boolean;
}

const settleWrites = 50;
let tables = 0;

export async function runCell(
  cluster: MatrixCluster,
  cell: Cell,
  { number, restMs }: Repetition,
): Promise<Run> {
  const scene = await arrange(cluster, cell);
  await pause(restMs);
  tables += 1;
  const table = `writes_${process.pid}_${tables}`;
  const { lab, primary: old, term } = scene;
  const beside = lab.container(old.node);
  const stubborn = { daemon: lab.hostDocker, image: productImage, beside };
  const client = new WritingClient({ uri: cluster.uri, table, stubborn });
  try {
    await client.start();
    await client.waitForWrites(settleWrites);
    const course = await breakAndHeal(scene, cell, client);
    await client.stop();
    const judgement = await client.judge();
    const { primary, losses } = await stateOf(cluster);
    const loss = losses.find((each) => each.server === old.server && each.term === term);
    const result: Result = {
      ...{ cell, shape: cluster.shape, repetition: number, judgement, problems: course.problems },
      ...{ from: old.server, to: primary ?? 'nobody', ...timesOf(course, client) },
      ledger: loss?.measured?.transactions ?? null,
    };
    return { result, marks: course.marks, table, isSettled: course.isSettled };
  } finally {
    await client.stop();
  }
}

const stateOf = ({ deployment }: MatrixCluster): Promise<ClusterState> =>
  deployment.record<ClusterState>(stateRecordName(CLUSTER));
