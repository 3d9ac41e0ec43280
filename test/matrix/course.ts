/** The course of one fault: broken, lasting, healed, redundant again, settled; and its times. */
import { messageOf } from '../../src/core/errors';
import { pause } from '../lab/shell';
import { type WritingClient } from '../support/client';
import { type Cell } from './cells';
import { type Mark } from './evidence';
import { type Heal } from './faults';
import { type Result } from './result';
import { type Scene } from './scene';

const settleWrites = 50;
const movedMaxMs = 60_000;
const writtenMaxMs = 90_000;
const backMaxMs = 120_000;
/** The new primary is left alone so long before the fault is ended. */
const afterMoveMs = 2000;

type Moment = 'broken' | 'injected' | 'healing' | 'healed' | 'streaming' | 'end';

/** What happened when, as far as it came. */
export interface Course {
  readonly marks: Mark[];
  readonly at: Partial<Record<Moment, number>>;
  readonly problems: string[];
  hasHealing: boolean;
  isSettled: boolean;
}

/** Does it all, under a client that writes; whatever goes wrong, the fault is ended. */
export async function breakAndHeal(
  scene: Scene,
  cell: Cell,
  client: WritingClient,
): Promise<Course> {
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
export function timesOf(
  { at, hasHealing }: Course,
  client: WritingClient,
): Pick<Result, 'gapMs' | 'healingGapMs' | 'backMs'> {
  const { broken = 0, injected = broken, end = client.now(), healing = end } = at;
  const isTold = hasHealing && client.hasWritten(injected, healing);
  // A node that is switched on is part of the way back; what was killed is dead at once.
  const fixed = hasHealing ? at.healing : broken;
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
