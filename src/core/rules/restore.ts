/** A restore in place: see `core/restore/task.ts` for its course. */
import { contractOfNewPrimary } from '../contract';
import { describeTarget } from '../restore/target';
import {
  type RestoreWish,
  type RestoreProgress,
  type RestoreProspect,
  type RestoreTask,
} from '../restore/task';
import { type ServerView, type View } from '../situation';
import { beginRestore, endRestore, promoteRestored, refuseRestore } from '../transitions';
import { recorded, rule, type Rule } from './rule';
import { silenceOf } from './silence';
import { syncOfNewPrimary } from './synchronous';

interface Found {
  readonly task: RestoreTask;
  readonly server: ServerView;
}

interface Trial extends Found {
  readonly order: RestoreWish;
}

/** Undone although its server is silent: somebody else may take over with what it had. */
const SILENCE_MAX_MS = 15_000;

function underWay(view: View): Found | null {
  const { restore: task } = view.state;
  const server = view.servers.find(({ name }) => name === task?.server);
  // A wish of another primary's data is dropped with that primary.
  const isOfPrimary = task?.server === view.state.primary;
  return task === null || server === undefined || !isOfPrimary ? null : { task, server };
}

function prospect(view: View): (Trial & { readonly prospect: RestoreProspect }) | null {
  const found = underWay(view);
  const order = found?.task.wanted ?? null;
  const prospect = found?.server.report?.prospect ?? null;
  return found === null || order === null || prospect?.id !== order.id
    ? null
    : { ...found, order, prospect };
}

/** The copy that is in the place of the data, as long as nothing is decided. */
function trial(view: View, decision: RestoreTask['decision']): Trial | null {
  const found = underWay(view);
  const order = found?.task.current ?? null;
  return found === null || order === null || found.task.decision !== decision
    ? null
    : { ...found, order };
}

/** It has understood that the copy is not wanted any more, or is the data now, and says none is left. */
const hasLeft = ({ server: { report } }: Found): boolean =>
  report?.obeys?.task === 'primary' && report.restored === null;

const progressOf = ({ server, order }: Trial): RestoreProgress | null =>
  server.report?.restored?.id === order.id ? server.report.restored : null;

export const restoreRules: readonly Rule[] = [
  rule<Trial & { prospect: RestoreProspect }>({
    id: 'restore-refused',
    section: 'restore',
    about: 'The point that is asked for cannot be reached: nothing is touched.',
    when: (view) => {
      const found = prospect(view);
      return found?.prospect.isPossible === false ? found : null;
    },
    because: ({ prospect }) => prospect.words,
    steps: ({ prospect, order }, view) =>
      recorded(view, refuseRestore(view.state, order, prospect.words, view.situation.now), {
        rule: 'restore-refused',
        summary: 'leave everything as it is',
        message: `no restore to ${describeTarget(order.target)}: ${prospect.words}`,
      }),
  }),
  rule<Trial & { prospect: RestoreProspect }>({
    id: 'restore-begin',
    section: 'restore',
    about:
      'The point can be reached: PostgreSQL is stopped everywhere, and a copy is brought up to it.',
    when: (view) => {
      const found = prospect(view);
      return found?.prospect.isPossible === true && view.state.change === null ? found : null;
    },
    because: ({ prospect }) => prospect.words,
    steps: ({ prospect, order, server }, view) =>
      recorded(view, beginRestore(view.state, order), {
        rule: 'restore-begin',
        summary: `stop PostgreSQL everywhere; restore ${server.name}`,
        message: `restoring to ${describeTarget(order.target)}, asked for by ${order.by}: ${prospect.words}`,
      }),
  }),
  rule<Trial>({
    id: 'restore-look',
    section: 'restore',
    about: 'A point is asked for: its server looks whether the archive leads there.',
    when: (view) => {
      const found = underWay(view);
      const order = found?.task.wanted ?? null;
      return found === null || order === null ? null : { ...found, order };
    },
    because: ({ server, order }, view) =>
      server.report === null
        ? silenceOf(server, view)
        : `${server.name} looks how to restore to ${describeTarget(order.target)}`,
  }),
  rule<Trial>({
    id: 'restore-accept',
    section: 'restore',
    about:
      'A person has accepted what was restored: a new term begins, and with it a new timeline.',
    when: (view) => {
      const found = trial(view, 'accept');
      return found !== null && progressOf(found)?.state === 'reached' ? found : null;
    },
    because: ({ order }) => `${describeTarget(order.target)} was accepted`,
    steps: ({ order, server }, view) => {
      const contract = contractOfNewPrimary(view, server.name);
      const sync = syncOfNewPrimary(view, server.name);
      const next = promoteRestored(view.state, { contract, sync }, view.situation.now);
      return recorded(view, next, {
        rule: 'restore-accept',
        summary: `promote ${server.name}`,
        message: `restored to ${describeTarget(order.target)} and accepted: ${server.name} is promoted`,
      });
    },
  }),
  rule<Trial>({
    id: 'restore-finish',
    section: 'restore',
    about:
      'The restored server is primary, and nothing is set aside any more: the others follow it.',
    when: (view) => {
      const found = trial(view, 'accepted');
      const isPrimary = view.state.change === null && found?.server.asPrimary != null;
      return found !== null && isPrimary && hasLeft(found) ? found : null;
    },
    because: ({ server }) => `${server.name} is primary with what was restored`,
    steps: ({ order, server }, view) =>
      recorded(view, endRestore(view.state, 'accepted', wordsOf(order), view.situation.now), {
        rule: 'restore-finish',
        summary: 'let the other servers follow',
        message: `${server.name} is primary with what was restored; the others follow it`,
      }),
  }),
  rule<Found>({
    id: 'restore-undone',
    section: 'restore',
    about: 'A person has taken the restore back: the data from before is in its place again.',
    when: (view) => {
      const found = trial(view, 'undo');
      if (found === null) return null;
      const { lastSeenMs, report } = found.server;
      const heardMs = lastSeenMs ?? view.situation.observation.leadingSinceMs;
      const isGone = report === null && view.nowMs - heardMs > SILENCE_MAX_MS;
      return hasLeft(found) || isGone ? found : null;
    },
    because: ({ server }) =>
      server.report === null
        ? `${server.name} is silent, and will go back when it comes again`
        : `${server.name} has its data from before again`,
    steps: ({ server }, view) =>
      recorded(view, endRestore(view.state, 'undone', 'it was taken back', view.situation.now), {
        rule: 'restore-undone',
        summary: `start ${server.name} again as primary`,
        message: `the restore is undone: ${server.name} goes on with its data from before`,
      }),
  }),
  rule<Trial>({
    id: 'restore-wait',
    section: 'restore',
    about:
      'A copy is restored, or waits for a person to accept it, to go back, or to try another point.',
    when: (view) => {
      const found = underWay(view);
      const order = found?.task.current ?? null;
      return found === null || order === null ? null : { ...found, order };
    },
    because: (found, view) => progressText(found, view),
    condition: (found) => ({ type: 'Ready', reason: reasonOf(found) }),
  }),
];

const wordsOf = ({ target }: RestoreWish): string => `restored to ${describeTarget(target)}`;

function reasonOf(found: Trial): string {
  const state = progressOf(found)?.state;
  if (found.task.decision !== null) return 'RestoreEnding';
  if (state === 'reached') return 'RestoreUndecided';
  return state === 'ended' ? 'RestoreTargetMissed' : 'Restoring';
}

function progressText(found: Trial, view: View): string {
  const { server, order, task } = found;
  const { report } = server;
  const point = describeTarget(order.target);
  if (report === null) return silenceOf(server, view);
  if (report.problem !== null) return `${server.name}: ${report.problem.message}`;
  if (report.busy !== null) return `${server.name} is ${report.busy}`;
  if (task.decision === 'undo') return `${server.name} goes back to its data from before`;
  if (task.decision === 'accepted') {
    return `${server.name} is being promoted with what was restored`;
  }
  const progress = progressOf(found);
  if (progress === null) return `${server.name} is about to be restored to ${point}`;
  const verb = `pgswarm restore ${view.spec.cluster}`;
  const commit =
    progress.lastCommitAt === null ? '' : `, the last commit is of ${progress.lastCommitAt}`;
  const where = `at ${progress.lsn ?? '?'}${commit}`;
  if (progress.state === 'replaying') return `${server.name} replays WAL up to ${point}: ${where}`;
  if (progress.state === 'ended') {
    return `${server.name} has replayed all WAL without coming to ${point}: ${where}; try another point, or go back: ${verb} --undo`;
  }
  return `${server.name} is restored to ${point}: ${where}; look: pgswarm psql ${view.spec.cluster}; then ${verb} --accept, ${verb} --undo, or another point`;
}
