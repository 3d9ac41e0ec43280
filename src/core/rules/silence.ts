/** Why a server does not report, in Docker's words and with the way out. */
import { isIntroduced, type ServerView, type View } from '../situation';

/** In one clause: who is silent, and what Swarm says of it. */
export function silenceOf(server: ServerView, view: View): string {
  const where = server.nodeName === null ? '' : ` on ${server.nodeName}`;
  if (server.taskError !== null) return `${server.name}${where} does not run: ${adviceFor(server)}`;
  const age =
    server.lastSeenMs === null
      ? ''
      : ` for ${String(Math.round((view.nowMs - server.lastSeenMs) / 1000))} s`;
  const task = server.task === null ? '' : ` (its task is ${server.task.state})`;
  return isIntroduced(view) || server.lastSeenMs !== null
    ? `${server.name}${where} has not reported${age}${task}`
    : `${server.name}${where} has not been heard yet${task}`;
}

/** Docker's words, and the way out for those that users meet. */
const ADVICE: readonly (readonly [RegExp, (server: ServerView) => string])[] = [
  [
    /no such image|not found: manifest|pull access denied/i,
    (s) => `load the image on ${s.nodeName ?? 'the node'}`,
  ],
  [
    /address already in use|port is already allocated|host-mode port already in use/i,
    (s) =>
      `port ${String(s.spec.port)} is taken on ${s.nodeName ?? 'the node'}: free it, or give the server another port`,
  ],
  [/no space left/i, (s) => `make room on ${s.nodeName ?? 'the node'}`],
  [/no suitable node/i, () => 'see docker node ls: the node must be ready and active'],
];

function adviceFor(server: ServerView): string {
  const error = server.taskError ?? '';
  const advice = ADVICE.find(([pattern]) => pattern.test(error));
  return advice === undefined ? error : `${error} (${advice[1](server)})`;
}
