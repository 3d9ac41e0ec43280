/**
 * Tells one browser what has changed, as server-sent events (HTML standard, 9.2). The leader is looked
 * at again and again while somebody watches; whether it is this operator or another one makes no difference.
 */
import { type ServerResponse } from 'node:http';
import { setTimeout as pause } from 'node:timers/promises';
import { overviewChange, type Overview } from '../../core/overview';
import { type Answer } from '../control/json-http';
import { type Question } from '../control/routes';

export type Ask = (question: Question) => Promise<Answer>;

export interface StreamOptions {
  readonly ask: Ask;
  /** Empty: the only one, if there is only one. */
  readonly cluster: string;
  readonly signal: AbortSignal;
  readonly everyMs?: number;
}

const LOOK_EVERY_MS = 400;
/** One browser takes a tenth of the leader's time at most, however many clusters there are. */
const REST = 9;
const LOOK_EVERY_MAX_MS = 2_000;

/** Until nobody reads any more. */
export async function streamOverview(
  response: ServerResponse,
  { ask, cluster, signal, everyMs = LOOK_EVERY_MS }: StreamOptions,
): Promise<void> {
  const path = `/v1/overview/${encodeURIComponent(cluster)}`;
  let sent: Overview | null = null;
  while (!signal.aborted) {
    const askedAtMs = performance.now();
    const { status, body } = await ask({ method: 'GET', path, body: null });
    const tookMs = performance.now() - askedAtMs;
    // Who reads slowly is told later, of everything that has changed by then.
    if (!response.writableNeedDrain) {
      const known = status === 200 ? (JSON.parse(body) as Overview) : null;
      response.write(
        known === null
          ? `event: trouble\ndata: ${body}\n\n`
          : `data: ${JSON.stringify(overviewChange(sent, known))}\n\n`,
      );
      sent = known;
    }
    const restMs = Math.min(Math.max(everyMs, REST * tookMs), LOOK_EVERY_MAX_MS);
    await pause(restMs, undefined, { signal }).catch(() => undefined);
  }
}
