/** One repetition of a cell: arrange, write, break, heal, and judge. */
import { type ClusterState } from '../../src/core/state';
import { stateRecordName } from '../../src/core/names';
import { messageOf } from '../../src/core/errors';
import { productImage } from '../lab/images';
import { pause } from '../lab/shell';
import { WritingClient } from '../support/client';
import { arrange } from './arrange';
import { type Cell } from './cells';
import { CLUSTER, type MatrixCluster } from './cluster';
import { type Mark } from './evidence';
import { type Heal } from './faults';
import { type Result } from './result';
import { type Scene } from './scene';

export interface Repetition {
  readonly number: number;
  /** Nothing happens for so long before the fault: one that comes at once finds servers that have only just been started. */
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
const movedMaxMs = 60_000;
const writtenMaxMs = 90_000;
const backMaxMs = 120_000;
/** The new primary is left alone so long before the fault is ended. */
const afterMoveMs = 2000;
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
  const client = new WritingClient({ uri: cluster.uri, table, stubborn: stubborn(scene) });
  try {
    await client.start();
    await client.waitForWrites(settleWrites);
    const course = await breakAndHeal(scene, cell, client);
    await client.stop();
    const judgement = await client.judge();
    const { primary, losses } = await stateOf(cluster);
    const ofOld = losses.findLast(({ server }) => server === scene.primary.server);
    const result: Result = {
      ...{ cell, shape: cluster.shape, repetition: number, judgement, problems: course.problems },
      ...{ from: scene.primary.server, to: primary ?? 'nobody' },
      ...timesOf(course, client),
      ledger: ofOld?.measured?.transactions ?? null,
    };
    return { result, marks: course.marks, table, isSettled: course.isSettled };
  } finally {
    await client.stop();
  }
}

type Moment = 'broken' | 'injected' | 'healing' | 'healed' | 'streaming' | 'end';

/** What happened when, as far as it came. */
interface Course {
  readonly marks: Mark[];
  readonly at: Partial<Record<Moment, number>>;
  readonly problems: string[];
  hasHealing: boolean;
  isSettled: boolean;
}

async function breakAndHeal(scene: Scene, cell: Cell, client: WritingClient): Promise<Course> {
  const { cluster, primary } = scene;
  const course: Course = { marks: [], at: {}, problems: [], hasHealing: false, isSettled: false };
  const mark = (moment: Moment, what: string = moment): number => {
    const atMs = client.now();
    course.at[moment] = atMs;
    course.marks.push({ atMs, what });
    return atMs;
  };
  const incarnation = await cluster.incarnation();
  let heal: Heal | null = null;
  const trying = async (what: () => Promise<unknown>): Promise<void> => {
    await what().catch((error: unknown) => {
      course.problems.push(messageOf(error));
      course.marks.push({ atMs: client.now(), what: `problem: ${messageOf(error)}` });
    });
  };
  mark('broken', `fault: ${cell.title}; primary ${primary.server} on ${primary.node}`);
  await trying(async () => {
    heal = await cell.fault(scene);
    course.hasHealing = heal !== null;
    const injectedMs = mark('injected');
    await lasting(cell, { client, primary: primary.published, injectedMs });
  });
  mark('healing');
  await trying(async () => heal?.());
  mark('healed');
  await trying(async () => {
    await cluster.redundant(backMaxMs, heal === null ? incarnation : null);
    mark('streaming', 'every standby streams');
    await client.waitForWrites(settleWrites);
  });
  // What the fault has left behind must not be taken for the next one's work.
  if (course.hasHealing || course.problems.length > 0) await scene.lab.repair();
  await trying(async () => {
    await cluster.settled();
    course.isSettled = true;
  });
  mark('end');
  return course;
}

/** A gap at the healing is told apart only where somebody wrote while the fault lasted. */
function timesOf(
  { at, hasHealing }: Course,
  client: WritingClient,
): Pick<Result, 'gapMs' | 'healingGapMs' | 'backMs'> {
  const { broken = 0, injected = broken, end = client.now(), healing = end } = at;
  const isTold = hasHealing && client.hasWritten(injected, healing);
  const fixed = hasHealing ? at.healed : broken;
  return {
    gapMs: client.longestGap(broken, isTold ? healing : end).durationMs,
    healingGapMs: isTold ? client.longestGap(healing, end).durationMs : null,
    backMs: at.streaming === undefined || fixed === undefined ? null : at.streaming - fixed,
  };
}

/** Resolves when the fault has lasted as long as the cell says. */
async function lasting(
  { until }: Cell,
  { client, primary, injectedMs }: { client: WritingClient; primary: string; injectedMs: number },
): Promise<void> {
  if (until === 'moved') {
    await client.waitForOtherServer(primary, movedMaxMs);
    await pause(afterMoveMs);
  } else if (until === 'written') {
    await client.waitForWriteSince(injectedMs, writtenMaxMs);
  } else {
    await pause(until);
  }
}

function stubborn({
  lab,
  primary,
}: Scene): ConstructorParameters<typeof WritingClient>[0]['stubborn'] {
  return {
    daemon: lab.hostDocker,
    image: productImage,
    beside: () => lab.container(primary.node),
  };
}

const stateOf = ({ deployment }: MatrixCluster): Promise<ClusterState> =>
  deployment.record<ClusterState>(stateRecordName(CLUSTER));
