/**
 * The limit of every failover: two plain servers whose primary is killed, and somebody by hand who
 * knows it at once. On the same machine, with the same image and the same client.
 */
import { note } from '../lab/progress';
import { WritingClient } from '../support/client';
import { HandMadePair } from './hand-made-pair';
import { type Place } from './load';
import { summarise, type Summary } from './statistics';

export interface CrashLimit {
  readonly answer: 'restart' | 'promote';
  readonly gap: Summary | null;
  readonly back: Summary | null;
  readonly lost: number;
}

const settleWrites = 100;

/** So many crashes with each answer, on one pair of servers. */
export async function measureCrashLimit(place: Place, n: number): Promise<CrashLimit[]> {
  const pair = await HandMadePair.start(place);
  try {
    const limits: CrashLimit[] = [];
    for (const answer of ['restart', 'promote'] as const) {
      const crashes = [];
      for (let number = 1; number <= n; number += 1) {
        crashes.push(await crash(pair, answer, `limit_${answer}_${number}`));
        note(`by hand, ${answer}: gap ${crashes.at(-1)?.gapMs.toFixed(0) ?? ''} ms (${number})`);
      }
      limits.push({
        answer,
        gap: summarise(crashes.map(({ gapMs }) => gapMs)),
        back: summarise(crashes.map(({ backMs }) => backMs)),
        lost: crashes.reduce((sum, { lost }) => sum + lost, 0),
      });
    }
    return limits;
  } finally {
    await pair.remove();
  }
}

async function crash(
  pair: HandMadePair,
  answer: CrashLimit['answer'],
  table: string,
): Promise<{ readonly gapMs: number; readonly backMs: number; readonly lost: number }> {
  const client = new WritingClient({ uri: pair.uri, table, stubborn: null });
  try {
    await client.start();
    await client.waitForWrites(settleWrites);
    const sinceMs = client.now();
    const { killMs, readyMs, rejoinMs } = await pair.crash(answer);
    await client.waitForWrites(settleWrites);
    const gapMs = client.longestGap(sinceMs).durationMs;
    await client.stop();
    const { lost } = await client.judge();
    return { gapMs, backMs: killMs + readyMs + rejoinMs, lost };
  } finally {
    await client.stop();
  }
}
