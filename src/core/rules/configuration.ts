/**
 * What was declared anew for running servers. What a reload brings into force the instances do by
 * themselves; what takes a restart, or a new container, goes to one server after the other. What a
 * server does not start with goes no further.
 */
import { type Problem } from '../protocol';
import { fencedSuccessorOf, successorsOf, whyNotNow } from '../rollout';
import { type ServerView, type View } from '../situation';
import { type ClusterState, type Restart, type Rollout } from '../state';
import { restartEnded, restartInPlace, rolloutBegun } from '../transitions';
import { isToBeRelieved, turnOf } from '../turn';
import { driftOfPrimary } from './objects';
import { recorded, rule, type ConditionRaised, type Rule } from './rule';
import { heldBackOn, pendingOf } from './servers';

const notApplied = (reason: string): ConditionRaised => ({ type: 'UpToDate', reason });

/** Rollouts of one generation: what more of them would not bring into force is tried ever less often. */
export const ROLLOUTS_MAX = 4;
const ROLLOUTS_WITHIN_MS = 3_600_000;

/** Since the first of so many rounds: no more until then. Twice as long with each one. */
const heldBackMs = (count: number): number =>
  count < ROLLOUTS_MAX ? 0 : ROLLOUTS_WITHIN_MS * 2 ** (count - ROLLOUTS_MAX);

const REFUSED_WHEN_TRIED: readonly string[] = ['ParameterRefused', 'HbaRefused'];

interface Refusal {
  readonly server: string;
  readonly problem: Problem;
}

/** Servers that keep their settings from before, and why. */
const refusalsIn = ({ servers }: View): readonly Refusal[] =>
  servers.flatMap(({ name, report }) => {
    const tried = report?.problem ?? null;
    const isTried = tried !== null && REFUSED_WHEN_TRIED.includes(tried.reason);
    const problem = report?.settings?.refused ?? (isTried ? tried : null);
    return problem === null ? [] : [{ server: name, problem }];
  });

const isFenced = ({ state }: View, name: string): boolean => state.fenced.includes(name);

// ── who has to be restarted ──────────────────────────────────────────────────────────────────

interface Need {
  readonly servers: readonly string[];
  readonly primary: Rollout['primary'];
  readonly parameters: readonly string[];
}

/** What a standby waits with until the primary has it. */
function waitingFor(primary: ServerView, standby: ServerView): readonly string[] {
  const awaited = pendingOf(primary);
  return heldBackOn(standby).filter((name) => awaited.includes(name));
}

/**
 * The next round. What standbys need for themselves comes first, and the primary after them, unless it
 * is to have lower limits: then it follows in a round of its own, and the standbys that wait for it.
 */
export function needOf(view: View): Need | null {
  const { primary, spec } = view;
  if (primary === null) return null;
  const pending = (server: ServerView): readonly string[] =>
    pendingOf(server).filter((name) => !waitingFor(primary, server).includes(name));
  const standbys = view.servers.filter((each) => each !== primary && !isFenced(view, each.name));
  const own = standbys.filter((each) => pending(each).length > 0);
  const waiting = standbys.filter((each) => waitingFor(primary, each).length > 0);
  const isLowered = waiting.length > 0;
  const isPrimaryAllowed = spec.update.primary === 'automatic' && pendingOf(primary).length > 0;
  const primaries = isPrimaryAllowed ? [primary] : [];
  const isPrimaryFirst = isLowered && own.length === 0;
  const isPrimaryLater = isLowered || (own.length > 0 && fencedSuccessorOf(view) !== null);
  const round = isPrimaryFirst
    ? primaries.flatMap((each) => [each, ...waiting])
    : [...own, ...(isPrimaryLater ? [] : primaries)];
  if (round.length === 0) return null;
  return {
    servers: round.map(({ name }) => name),
    primary: isPrimaryFirst ? 'first' : relief(view),
    parameters: [...new Set(round.flatMap((each) => pendingOf(each)))].toSorted(),
  };
}

const relief = (view: View): Rollout['primary'] =>
  successorsOf(view).length > 0 ? 'relieved' : 'last';

/** The first one that is to be restarted, and how the primary is. */
interface Beginning {
  readonly server: string;
  readonly primary: Rollout['primary'];
}

/** Why nothing is restarted now, although something should be; null when it may begin. */
function whyNotYet(view: View, beginning: Beginning): string | null {
  const { state, situation, generation } = view;
  const { rollouts } = state;
  if (refusalsIn(view).length > 0) return 'a server has refused its settings';
  const untold = view.servers.find((each) => !isTold(view, each));
  if (untold !== undefined) return `${untold.name} has not been told the settings yet`;
  if (state.backup?.begun != null) return 'a backup is being taken';
  if (state.load?.begun != null) return 'a dump is being loaded';
  const isEnough =
    rollouts?.generation === generation &&
    Date.parse(situation.now) - Date.parse(rollouts.since) < heldBackMs(rollouts.count);
  if (isEnough) {
    return `${rollouts.count} rounds of restarts have not brought it into force`;
  }
  return whyNotInPlace(view, beginning) ?? whyNotNow(view, beginning.server);
}

/** Writes need not stop for a restart, once a person gives the standby back. */
function whyNotInPlace(view: View, { server, primary }: Beginning): string | null {
  if (server !== view.state.primary || primary !== 'last') return null;
  const kept = fencedSuccessorOf(view)?.name;
  if (kept === undefined) return null;
  const { cluster } = view.spec;
  return `${kept} could take over meanwhile, and is kept stopped: pgswarm unfence ${cluster} ${kept}; pgswarm restart ${cluster} ${server} restarts ${server} in place now`;
}

/** What a server needs a restart for shows only when it has been told its settings. */
function isTold({ generation }: View, { report, asPrimary, asStandby }: ServerView): boolean {
  const told = report?.settings?.generation;
  return told === undefined || told === generation || (asPrimary ?? asStandby) === null;
}

const isAtRest = ({ state, primary }: View): boolean =>
  state.restart === null &&
  state.change === null &&
  state.restore === null &&
  state.request === null &&
  primary?.asPrimary != null;

function beginning(view: View): (Need & { readonly because: string }) | null {
  const need = isAtRest(view) ? needOf(view) : null;
  const [first] = need?.servers ?? [];
  if (need === null || first === undefined || driftOfPrimary(view) !== null) return null;
  if (whyNotYet(view, { server: first, primary: need.primary }) !== null) return null;
  return { ...need, because: `${need.parameters.join(', ')} must take effect` };
}

// ── the primary's container ──────────────────────────────────────────────────────────────────

interface Update {
  readonly name: string;
  readonly paths: readonly string[];
}

function updateOfPrimary(view: View): Update | null {
  const drift = isAtRest(view) ? driftOfPrimary(view) : null;
  return drift === null ? null : { name: drift.server.name, paths: drift.paths };
}

const whyNoUpdateYet = (view: View, { name }: Update): string | null =>
  whyNotYet(view, { server: name, primary: relief(view) });

const mayUpdate = (view: View, update: Update): boolean =>
  view.spec.update.primary === 'automatic' && whyNoUpdateYet(view, update) === null;

// ── for people ───────────────────────────────────────────────────────────────────────────────

const and = (names: readonly string[]): string => names.join(' and ');

function whatPersonsDo(view: View): string {
  const { cluster } = view.spec;
  const { primary } = view.state;
  const [successor] = successorsOf(view);
  const moving =
    successor === undefined
      ? ''
      : `, pgswarm promote ${cluster} ${successor.name} lets ${successor.name} take over first`;
  return `${primary ?? ''} is the primary and waits for a person (update.primary: supervised): pgswarm restart ${cluster} ${primary ?? ''} restarts it in place${moving}`;
}

/** Nothing is left but what a person has to decide. */
const isForPersons = (view: View): boolean =>
  view.spec.update.primary === 'supervised' && needOf(view) === null;

function pendingWords(view: View, pending: readonly ServerView[]): string {
  const each = pending.map(
    (server) => `${server.name} needs a restart for ${pendingOf(server).join(', ')}`,
  );
  const need = needOf(view);
  const [server] = need?.servers ?? [];
  const why =
    need === null || server === undefined
      ? null
      : whyNotYet(view, { server, primary: need.primary });
  return [
    ...each,
    ...(isForPersons(view) ? [whatPersonsDo(view)] : []),
    ...(why === null ? [] : [`it waits: ${why}`]),
  ].join('; ');
}

const begun = (
  { state, generation, situation: { now } }: View,
  restart: Required<Omit<Restart, 'id'>>,
): ClusterState => rolloutBegun(state, restart, { generation, at: now });

export const configurationRules: readonly Rule[] = [
  rule<ServerView>({
    id: 'restart-rolled-back',
    section: 'configuration',
    about:
      'A restarted server did not start with its new settings and runs with those from before: nobody else is restarted.',
    when: ({ state, servers }) =>
      servers.find(
        ({ report }) =>
          report?.settings?.refused != null && report.restartedFor === state.restart?.id,
      ) ?? null,
    because: ({ name, report }) => `${name}: ${report?.settings?.refused?.message ?? ''}`,
    steps: ({ name, report }, view) =>
      recorded(view, restartEnded(view.state), {
        rule: 'restart-rolled-back',
        summary: 'end the restart',
        message: `${name} was restarted and runs with its settings from before; nobody else is restarted: ${report?.settings?.refused?.message ?? ''}`,
      }),
  }),
  rule<readonly Refusal[]>({
    id: 'settings-refused',
    section: 'configuration',
    about: 'PostgreSQL refuses the settings of the spec: the servers keep those from before.',
    when: (view) => {
      const refusals = refusalsIn(view);
      return refusals.length === 0 ? null : refusals;
    },
    because: (refusals) =>
      refusals.map(({ server, problem }) => `${server}: ${problem.message}`).join('; '),
    condition: ([first]) => notApplied(first?.problem.reason ?? ''),
  }),
  rule<Update>({
    id: 'update-begin',
    section: 'configuration',
    about: 'Only the service of the primary is not as declared any more: its turn comes.',
    when: (view) => {
      const update = updateOfPrimary(view);
      return update !== null && mayUpdate(view, update) ? update : null;
    },
    because: ({ name, paths }) => `the service of ${name} is to be updated: ${paths.join(', ')}`,
    steps: ({ name, paths }, view) => {
      const because = `its service must be updated (${paths.join(', ')})`;
      const rollout = { because, primary: relief(view) };
      return recorded(view, begun(view, { servers: [name], rollout }), {
        rule: 'update-begin',
        summary: `the turn of the primary ${name} to be updated`,
        message: `${name} is the last one: ${because}`,
      });
    },
  }),
  rule<Update>({
    id: 'update-pending',
    section: 'configuration',
    about: 'The service of the primary is not as declared, and its turn has not come.',
    when: updateOfPrimary,
    because: (update, view) => {
      const isSupervised = view.spec.update.primary === 'supervised';
      const why = isSupervised ? whatPersonsDo(view) : whyNoUpdateYet(view, update);
      return `the service of ${update.name} is to be updated: ${update.paths.join(', ')}; ${why ?? ''}`;
    },
    condition: notApplied('UpdatePending'),
  }),
  rule<Need & { because: string }>({
    id: 'restart-begin',
    section: 'configuration',
    about: 'Changed settings take a restart: the servers are restarted one after the other.',
    when: beginning,
    because: ({ because, servers }) => `${because}: ${and(servers)} must be restarted`,
    steps: ({ servers, primary, because }, view) =>
      recorded(view, begun(view, { servers, rollout: { because, primary } }), {
        rule: 'restart-begin',
        summary: `restart PostgreSQL on ${servers.join(', then ')}, since ${because}`,
        message: `${because}: PostgreSQL is restarted on ${servers.join(', then ')}`,
      }),
  }),
  rule<ServerView>({
    id: 'restart-in-place',
    section: 'configuration',
    about: 'It is the primary’s turn, and no standby is there that could relieve it.',
    when: (view) =>
      isToBeRelieved(view.state) && successorsOf(view).length === 0 ? view.primary : null,
    because: ({ name }) => `nobody can relieve ${name}: PostgreSQL is restarted there in place`,
    steps: ({ name }, view) =>
      recorded(view, restartInPlace(view.state), {
        rule: 'restart-in-place',
        summary: `restart PostgreSQL on ${name} in place`,
        message: `nobody can relieve ${name}: PostgreSQL is restarted there in place`,
      }),
  }),
  rule<readonly ServerView[]>({
    id: 'restart-pending',
    section: 'configuration',
    about: 'A changed setting takes effect only when PostgreSQL is restarted.',
    when: (view) => {
      const pending = view.servers.filter((server) => pendingOf(server).length > 0);
      return pending.length === 0 || turnOf(view.state) !== null ? null : pending;
    },
    because: (pending, view) => pendingWords(view, pending),
    condition: notApplied('RestartPending'),
  }),
];
