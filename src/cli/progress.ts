/** Says what happens while something is waited for: once, not again for every figure in it. */
import { type CliPorts } from './ports';

/** A figure that has changed is shown again after this long. */
const REPEAT_MS = 10_000;

/** Takes every sentence there is, and shows those that are news, each with the time since the start. */
export function createProgress({ output, clock }: CliPorts): (sentence: string) => void {
  const startedMs = clock.monotonicMs();
  let shown = '';
  let shownAtMs = -Infinity;
  return (sentence) => {
    const nowMs = clock.monotonicMs();
    const isNews = gist(sentence) !== gist(shown);
    const isOlder = sentence !== shown && nowMs - shownAtMs >= REPEAT_MS;
    if (!isNews && !isOlder) return;
    output.note(`${sinceStart(nowMs - startedMs)}  ${sentence}`);
    shown = sentence;
    shownAtMs = nowMs;
  };
}

/** Without its figures. */
const gist = (sentence: string): string => sentence.replaceAll(/\b\d+\b/g, '#');

const sinceStart = (ms: number): string => `${(ms / 1000).toFixed(1).padStart(5)} s`;
