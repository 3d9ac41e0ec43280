/**
 * What people do to single servers: keep one stopped, or restart one after the other. A restart
 * goes on to the next server only when the one before runs as it did, so that a setting with which
 * PostgreSQL does not start takes one standby away, and not the cluster.
 */
import { isLate } from '../late';
import { whyNotNow } from '../rollout';
import { type ServerView, type View } from '../situation';
import { serverRestarted } from '../transitions';
import { isToBeRelieved, turnOf } from '../turn';
import { isBeingReplaced, isDrifted } from './objects';
import { recorded, rule, type Rule } from './rule';
import { isFollowing, isStreaming } from './servers';

interface UnderRestart {
  readonly name: string;
  /** null: the spec does not list it any more. */
  readonly server: ServerView | null;
  /** Those after it, in order. */
  readonly others: readonly string[];
}

/** The server whose turn it is. */
function underRestart({ state, servers }: View): UnderRestart | null {
  const name = turnOf(state);
  if (name === null) return null;
  const others = (state.restart?.servers ?? []).filter((each) => each !== name);
  return { name, others, server: servers.find((each) => each.name === name) ?? null };
}

/** Why a server needs no restart any more; null while it does. */
function whyDone({ name, server }: UnderRestart, view: View): string | null {
  if (server === null) return `${name} is not in the spec any more`;
  if (view.state.fenced.includes(name)) return `${name} is kept stopped`;
  if (server.report?.restartedFor !== view.state.restart?.id) return null;
  // It has been started, but its container is not the one that is wanted.
  if (isDrifted(server, view) || isBeingReplaced(server, view)) return null;
  if (server.asPrimary !== null) return `${name} has been restarted and accepts writes`;
  if (isLate(server.spec)) {
    return isFollowing(server, view) ? `${name} has been restarted and replays again` : null;
  }
  return streamsAgain(server, view) ? `${name} has been restarted and streams again` : null;
}

/** By its own word, too: what the primary says of its stream may be from before the restart. */
const streamsAgain = (server: ServerView, view: View): boolean =>
  server.asStandby?.receiver?.status === 'streaming' && isStreaming(server, view);

function whatItDoes({ name, server }: UnderRestart, view: View): string {
  const { state } = view;
  const report = server?.report ?? null;
  if (report === null) return `${name} does not answer`;
  if (report.problem !== null) return `${name}: ${report.problem.message}`;
  if (report.restartedFor !== state.restart?.id) return whatItWaitsFor(name, view);
  return server?.asStandby == null
    ? `PostgreSQL on ${name} is ${report.postgres.state}`
    : `${name} has been restarted, and does not stream yet`;
}

function whatItWaitsFor(name: string, view: View): string {
  if (isToBeRelieved(view.state)) return `a standby has to take over from ${name} first`;
  const isRollout = view.state.restart?.rollout !== undefined;
  const why = isRollout ? whyNotNow(view, name) : null;
  return why === null
    ? `${name} is told to restart PostgreSQL`
    : `${name} is to be restarted, but ${why}`;
}

const isFenced = (view: View, { name }: ServerView): boolean => view.state.fenced.includes(name);

export const maintenanceRules: readonly Rule[] = [
  rule<ServerView>({
    id: 'primary-fenced',
    section: 'maintenance',
    about: 'The primary is kept stopped by a person: nobody accepts writes, nobody is promoted.',
    when: (view) => (view.primary !== null && isFenced(view, view.primary) ? view.primary : null),
    because: ({ name }, { spec }) =>
      `${name} is the primary and is kept stopped by \`pgswarm fence\`: nobody accepts writes; pgswarm unfence ${spec.cluster} ${name} ends it`,
    condition: { type: 'Ready', reason: 'Fenced' },
  }),
  rule<readonly ServerView[]>({
    id: 'fenced-server',
    section: 'maintenance',
    about: 'A standby is kept stopped by a person.',
    when: (view) => {
      const fenced = view.servers.filter((each) => each !== view.primary && isFenced(view, each));
      return fenced.length === 0 ? null : fenced;
    },
    because: (fenced, { spec }) =>
      fenced
        .map(
          ({ name }) =>
            `${name} is kept stopped by \`pgswarm fence\`; pgswarm unfence ${spec.cluster} ${name} ends it`,
        )
        .join('; '),
    condition: { type: 'ServersReady', reason: 'Fenced' },
  }),
  rule<UnderRestart & { why: string }>({
    id: 'restart-next',
    section: 'maintenance',
    about: 'A server has been restarted and does its work again: the next one has its turn.',
    when: (view) => {
      const found = underRestart(view);
      const why = found === null ? null : whyDone(found, view);
      return found === null || why === null ? null : { ...found, why };
    },
    because: ({ why, others }) => `${why}; ${nextOf(others)}`,
    steps: ({ name, why, others }, view) =>
      recorded(view, serverRestarted(view.state, name), {
        rule: 'restart-next',
        summary: summaryOf(others, view),
        message: `restart: ${why}; ${nextOf(others)}`,
      }),
  }),
  rule<UnderRestart>({
    id: 'restart-waits',
    section: 'maintenance',
    about: 'A server is being restarted; the others wait until it does its work again.',
    when: underRestart,
    because: (found, view) => {
      const then = found.others.length === 0 ? '' : `; then ${found.others.join(', ')}`;
      return `${whatItDoes(found, view)}${then}`;
    },
    condition: { type: 'ServersReady', reason: 'RestartUnderWay' },
  }),
];

function summaryOf([next]: readonly string[], { state }: View): string {
  if (next === undefined) return 'end the restart';
  return next === state.primary && state.restart?.rollout?.primary === 'relieved'
    ? `the turn of the primary ${next} to be restarted`
    : `restart PostgreSQL on ${next}`;
}

const nextOf = (others: readonly string[]): string =>
  others[0] === undefined ? 'it was the last one' : `${others[0]} is next`;
