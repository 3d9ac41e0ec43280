/** Dumps that are loaded into the running primary. */
import {
  describeLoad,
  keptName,
  type LoadRequest,
  type LoadResult,
  type LoadTask,
} from '../backup/load';
import { type View } from '../situation';
import { loadBegun, loadEnded } from '../transitions';
import { recorded, rule, type Rule } from './rule';

export const loadRules: readonly Rule[] = [
  rule<LoadResult>({
    id: 'load-end',
    section: 'backup',
    about: 'A dump has been loaded, or could not be; or nobody is left who knows.',
    when: endOf,
    because: wordsOf,
    steps: (result, view) =>
      recorded(view, loadEnded(view.state, result), {
        rule: 'load-end',
        summary: 'note how the load ended',
        message: wordsOf(result, view),
      }),
  }),
  rule<{ readonly server: string; readonly bootId: string; readonly task: LoadTask }>({
    id: 'load-begin',
    section: 'backup',
    about: 'A dump is to be loaded: the primary begins.',
    when: ({ state: { load: task, change, restore }, primary }) => {
      if (task === null || task.begun !== null) return null;
      if (change !== null || restore !== null) return null;
      const report = primary?.report ?? null;
      if (report?.postgres.state !== 'primary') return null;
      return { server: report.server, bootId: report.bootId, task };
    },
    because: ({ server, task }) => `${server} can load ${describeLoad(task.request)}`,
    steps: ({ server, bootId, task }, view) =>
      recorded(view, loadBegun(view.state, { server, bootId }), {
        rule: 'load-begin',
        summary: `load ${describeLoad(task.request)} on ${server}`,
        message: `${server} loads ${describeLoad(task.request)}, as ${task.request.by} has asked`,
      }),
  }),
  rule<LoadTask>({
    id: 'load-waits',
    section: 'backup',
    about: 'A dump is being loaded, or waits for a primary.',
    when: ({ state }) => state.load,
    because: ({ request, begun }, { primary }) => {
      if (begun === null) return `${describeLoad(request)} waits for a primary`;
      const work = primary?.report?.load ?? null;
      const words = work?.id === request.at ? work.words : 'it has not begun yet';
      return `${begun.server} loads ${describeLoad(request)}: ${words}`;
    },
  }),
];

function endOf(view: View): LoadResult | null {
  const { load } = view.state;
  if (load?.begun == null) return null;
  const { request, begun } = load;
  const result = { id: request.at, server: begun.server };
  const lost = whyLost(begun, view);
  if (lost !== null) return { ...result, problem: `${lost}; ${lookAt(request)}` };
  const work = view.primary?.report?.load ?? null;
  if (work?.id !== request.at || work.state === 'running') return null;
  return { ...result, problem: work.state === 'done' ? null : work.words };
}

/** Why nobody will say how it ended; null while somebody will. */
function whyLost(
  { server, bootId }: NonNullable<LoadTask['begun']>,
  { primary }: View,
): string | null {
  if (primary?.name !== server) return `${server} is not the primary any more`;
  const isSameBoot = primary.report === null || primary.report.bootId === bootId;
  return isSameBoot ? null : 'its instance manager was started anew';
}

const lookAt = ({ database, replace, at }: LoadRequest): string =>
  `how far it got is not known: look at database ${database}, and load it again` +
  (replace ? `; if there is a database ${keptName(at)}, that is what it was before` : '');

function wordsOf({ server, problem }: LoadResult, { state: { load } }: View): string {
  const what = load === null ? 'a dump' : describeLoad(load.request);
  return problem === null
    ? `${what} has been loaded on ${server}`
    : `loading ${what} on ${server} has failed: ${problem}`;
}
