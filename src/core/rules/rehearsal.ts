/** Restores on copies: drills and previews that were asked for, and how the last drill ended. */
import { nextBackupId } from '../backup/names';
import {
  describeRehearsal,
  NO_TIME,
  outcomeText,
  PREVIEW_KEPT_MS,
  type RehearsalOrder,
  type RehearsalOutcome,
  type RehearsalResult,
  type RehearsalTask,
  type RehearsalWork,
} from '../restore/rehearsal';
import { type ServerView, type View } from '../situation';
import { rehearsalBegun, rehearsalEnded, rehearsalRequested } from '../transitions';
import { serverFor } from './backup';
import { recorded, rule, type Rule } from './rule';

type Begun = NonNullable<RehearsalTask['begun']>;

interface Choice {
  readonly server: ServerView;
  readonly order: RehearsalOrder;
}

export const rehearsalRules: readonly Rule[] = [
  rule<RehearsalResult>({
    id: 'rehearsal-end',
    section: 'backup',
    about: 'A restore drill has ended, or a preview was never ready or has been kept long enough.',
    when: (view) => {
      const begun = view.state.rehearsal?.begun ?? null;
      const outcome = begun === null ? null : outcomeOf(view, begun);
      if (begun === null || outcome === null) return null;
      return { id: begun.order.id, server: begun.server, at: view.situation.now, ...outcome };
    },
    because: (result, { state }) => wordsOf(result, state.rehearsal),
    steps: (result, view) =>
      recorded(view, rehearsalEnded(view.state, result), {
        rule: 'rehearsal-end',
        summary: `note how ${describeTask(view.state.rehearsal)} ended`,
        message: wordsOf(result, view.state.rehearsal),
      }),
  }),
  rule<RehearsalTask>({
    id: 'rehearsal-again',
    section: 'backup',
    about:
      'The server with the copy was needed for more important things: another one begins anew.',
    when: (view) => {
      const { rehearsal } = view.state;
      const begun = rehearsal?.begun ?? null;
      return begun !== null && workOf(view, begun)?.state === 'given up' ? rehearsal : null;
    },
    because: (task, view) => givenUp(task, view),
    steps: (task, view) =>
      recorded(view, rehearsalRequested(view.state, task.request), {
        rule: 'rehearsal-again',
        summary: `begin ${describeRehearsal(task.request)} anew`,
        message: givenUp(task, view),
      }),
  }),
  rule<Choice>({
    id: 'rehearsal-begin',
    section: 'backup',
    about: 'A restore on a copy was asked for: a standby makes it if there is one.',
    when: (view) => {
      const { rehearsal, change, restore } = view.state;
      if (rehearsal === null || rehearsal.begun !== null) return null;
      if (change !== null || restore !== null) return null;
      const server = serverFor(view, rehearsal.request);
      return server === null ? null : { server, order: orderFor(view, rehearsal) };
    },
    because: ({ server, order }) => `${server.name} can make ${describeRehearsal(order)}`,
    steps: ({ server: { name: server }, order }, view) =>
      recorded(view, rehearsalBegun(view.state, { server, order, at: view.situation.now }), {
        rule: 'rehearsal-begin',
        summary: `make ${describeRehearsal(order)} on ${server}`,
        message: `${server} makes ${describeRehearsal(order)}, asked for by ${view.state.rehearsal?.request.by ?? ''}`,
      }),
  }),
  rule<RehearsalTask>({
    id: 'rehearsal-waits',
    section: 'backup',
    about: 'A restore on a copy is under way, is kept to be looked at, or waits for a server.',
    when: ({ state }) => state.rehearsal,
    because: ({ begun, request }, view) =>
      begun === null
        ? `${describeRehearsal(request)} waits for ${request.server ?? 'a server that runs'}`
        : `${describeRehearsal(request)} on ${begun.server}: ${wordsFrom(view)}`,
  }),
  rule<RehearsalResult>({
    id: 'drill-failed',
    section: 'backup',
    about: 'The last restore drill did not bring the data back.',
    when: ({ state: { lastDrill } }) => (lastDrill?.problem == null ? null : lastDrill),
    because: ({ server, at, problem }) =>
      `the last restore drill, on ${server} at ${at}, has failed: ${problem?.message ?? ''}`,
    condition: ({ problem }) => ({
      type: 'RestoreDrill',
      reason: problem?.reason ?? 'DrillFailed',
    }),
  }),
];

function outcomeOf(view: View, begun: Begun): RehearsalOutcome | null {
  const { server, order } = begun;
  const nothing = { backup: null, restoredTo: null, durations: NO_TIME };
  if (!view.servers.some(({ name }) => name === server)) {
    const message = `the server ${server} is not in the spec any more`;
    return { ...nothing, problem: { reason: 'ServerGone', message } };
  }
  const work = workOf(view, begun);
  const outcome = work?.outcome ?? { ...nothing, problem: null };
  if (work?.state === 'ended') return outcome;
  return order.kind === 'preview' && isOver(begun, view) ? outcome : null;
}

const isOver = ({ at }: Begun, { situation }: View): boolean =>
  Date.parse(situation.now) - Date.parse(at) > PREVIEW_KEPT_MS;

function workOf({ servers }: View, { server, order }: Begun): RehearsalWork | null {
  const work = servers.find(({ name }) => name === server)?.report?.rehearsal ?? null;
  return work?.id === order.id ? work : null;
}

function wordsFrom(view: View): string {
  const begun = view.state.rehearsal?.begun ?? null;
  return (begun === null ? null : workOf(view, begun))?.words ?? 'it has not begun yet';
}

/** Another id each time: what is said of an earlier attempt is not about this one. */
function orderFor(view: View, { request }: RehearsalTask): RehearsalOrder {
  const { kind, target, backup } = request;
  const { now } = view.situation;
  const id = `${kind}-${nextBackupId(new Date(Date.parse(now)), [])}`;
  const query = kind === 'drill' ? (view.spec.backup.drill?.query ?? null) : null;
  return { id, kind, target, backup, query };
}

const givenUp = ({ request, begun }: RehearsalTask, view: View): string =>
  `${describeRehearsal(request)} on ${begun?.server ?? ''} was given up: ${wordsFrom(view)}`;

const describeTask = (task: RehearsalTask | null): string =>
  task === null ? 'a restore on a copy' : describeRehearsal(task.request);

function wordsOf(result: RehearsalResult, task: RehearsalTask | null): string {
  const { server, problem } = result;
  const what = `${describeTask(task)} on ${server}`;
  if (problem !== null) return `${what} has failed: ${problem.message}`;
  if (task?.request.kind === 'preview') return `${what} is over`;
  return `${what} has brought the data back ${outcomeText(result)}`;
}
