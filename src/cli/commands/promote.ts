/**
 * `pgswarm promote`: a person wants another primary now. What can never work is refused here; the
 * rest is the operator's to judge, by the rules that `pgswarm why` shows. A wish that is not
 * granted in time is taken back: nobody expects a change of primary hours later.
 */
import { OperatingError } from '../../core/errors';
import { formatDuration } from '../../core/quantities';
import { switchoverObstacle } from '../../core/rules/request';
import { type ServerView, type View } from '../../core/situation';
import { type ClusterState, type PromotionRequest } from '../../core/state';
import { promotionRequested } from '../../core/transitions';
import { type Known } from '../cluster';
import { confirm } from '../confirm';
import { DONE, refusal, type ExitCode } from '../exit';
import { expectedLoss } from '../expected-loss';
import { loadHeard } from '../leader';
import { fold } from '../output';
import { type CliPorts } from '../ports';
import { fileWish } from '../record';
import { serverNamed } from '../servers';
import { changeFacts } from '../status-text';
import { createPatience, goesOn, stateOf, waitFor, type Refused } from '../wait';

export interface PromoteOptions {
  readonly acceptDataLoss?: boolean;
  readonly primaryIsDead?: boolean;
  readonly yes?: boolean;
  readonly wait: number;
}

export async function run(
  ports: CliPorts,
  cluster: string,
  server: string,
  options: PromoteOptions,
): Promise<ExitCode> {
  const known = await loadHeard(ports, cluster);
  serverNamed(known.view.spec, server);
  refuseUnfit(known.view.state, server);
  if (known.view.state.primary === server) return takeBackAny(ports, known, server);
  const warning = warningOf(known.view, server, options);
  if (warning !== null && options.yes !== true) await confirm(ports, { warning, word: server });
  else if (warning !== null) ports.output.note(warning);
  const request: PromotionRequest = {
    to: server,
    at: ports.now().toISOString(),
    by: ports.user,
    acceptsLoss: options.acceptDataLoss === true,
    primaryIsDead: options.primaryIsDead === true,
  };
  await fileWish(ports, cluster, {
    verb: 'promote',
    message: `${request.by} wants ${server} as primary${conditionsOf(request)}`,
    grant: (state) => {
      refuseUnfit(state, server);
      return promotionRequested(state, request);
    },
  });
  report(ports, await waitUntilPrimary(ports, cluster, { request, seconds: options.wait }), server);
  return DONE;
}

function conditionsOf({ acceptsLoss, primaryIsDead }: PromotionRequest): string {
  return (
    (acceptsLoss ? ', and accepts the loss of what it does not have' : '') +
    (primaryIsDead ? ', and vouches that the old primary is dead' : '')
  );
}

/** What no waiting makes possible. */
function refuseUnfit(state: ClusterState, server: string): void {
  const { cluster, primary, paused, change, fenced, volumes } = state;
  if (primary === null) throw refusal('NoPrimary', `${cluster} has no primary yet.`);
  if (paused !== null) {
    throw refusal('Paused', `${cluster} is paused; first: pgswarm resume ${cluster}`);
  }
  if (change !== null && change.phase !== 'electing') {
    const sentence = `A ${change.kind} from ${change.from} to ${change.to ?? 'another server'} is under way in ${cluster}: wait until it is over.`;
    throw refusal('ChangeUnderWay', sentence);
  }
  if (fenced.includes(server)) {
    const sentence = `${server} is kept stopped; first: pgswarm unfence ${cluster} ${server}`;
    throw refusal('Fenced', sentence);
  }
  if (volumes[server] === undefined) {
    throw refusal('NoData', `${server} has no data yet: see pgswarm status ${cluster}`);
  }
}

// ── what a person answers for ────────────────────────────────────────────────────────────────

/** null when nothing can be lost. */
function warningOf(view: View, server: string, options: PromoteOptions): string | null {
  const target = view.servers.find(({ name }) => name === server);
  if (target === undefined) return null;
  const loss = options.acceptDataLoss === true ? lossWarning(view, target) : [];
  const death = options.primaryIsDead === true ? deathWarning(view) : [];
  const sentences = [...loss, ...death];
  return sentences.length === 0
    ? null
    : sentences.map((each) => fold(each, 2).replace(/^ /, '-')).join('\n');
}

function lossWarning(view: View, target: ServerView): readonly string[] {
  if (switchoverObstacle(view, target) === null) {
    const sentence = `Nothing has to be lost: ${view.state.primary ?? ''} accepts writes and ${target.name} follows it closely. Leave out --accept-data-loss.`;
    throw refusal('NothingToLose', sentence);
  }
  return expectedLoss(view, target);
}

function deathWarning({ primary, state, spec }: View): readonly string[] {
  const name = state.primary ?? 'the primary';
  if (primary?.asPrimary != null) {
    const sentence = `${name} is not dead: it reports that it accepts writes. See: pgswarm status ${spec.cluster}`;
    throw refusal('PrimaryLives', sentence);
  }
  return [
    `You vouch that PostgreSQL on ${name} is dead and does not come back by itself: its lease is not waited for, and no proof of its end is asked for.`,
    `If it still runs, on a node that is only cut off, there are two primaries: clients write to both, and what they write to ${name} is lost.`,
  ];
}

// ── what becomes of it ───────────────────────────────────────────────────────────────────────

interface Waited {
  readonly request: PromotionRequest;
  readonly seconds: number;
}

async function waitUntilPrimary(
  ports: CliPorts,
  cluster: string,
  { request, seconds }: Waited,
): Promise<Known> {
  const { to } = request;
  const patience = createPatience(ports);
  try {
    return await waitFor(ports, {
      cluster,
      seconds,
      missed: `${to} is not the primary of ${cluster}`,
      isReached: ({ view }) => view.state.primary === to && view.state.change === null,
      refused: (known) =>
        givenUp(known, to) ?? patience(disputed(known), stateOf(known.status, to)),
    });
  } catch (error) {
    if (await takeBack(ports, cluster, request)) throw withSentence(error, TAKEN_BACK);
    throw goesOn(error, cluster);
  }
}

const TAKEN_BACK = 'Nobody has been promoted, and the wish is taken back';

/** The operator has tried: what was refused before is forgotten when the wish is filed. */
function givenUp({ view }: Known, to: string): Refused | null {
  const { change, refusal: last } = view.state;
  if (change !== null || last?.to !== to) return null;
  return { reason: 'GivenUp', message: `the switchover was given up: ${last.because}` };
}

/** While a change is under way nothing is disputed, whatever the conditions say. */
function disputed({ view, status }: Known): Refused | null {
  if (view.state.change !== null) return null;
  const { conditions } = status;
  return (
    conditions.find((each) => each.type === 'PrimaryAsDeclared' && each.status === 'False') ?? null
  );
}

/** Whether the wish was taken back before anything was done about it. */
async function takeBack(
  ports: CliPorts,
  cluster: string,
  request: PromotionRequest | null,
): Promise<boolean> {
  const { before, after } = await fileWish(ports, cluster, {
    verb: 'promote',
    message: `the wish for ${request?.to ?? 'another'} as primary is taken back`,
    grant: (state) => {
      const isOurs =
        state.request !== null && (request === null || state.request.at === request.at);
      const isOpen = state.change === null || state.change.phase === 'electing';
      return isOurs && isOpen ? promotionRequested(state, null) : state;
    },
  });
  return before !== after;
}

function withSentence(error: unknown, sentence: string): unknown {
  return error instanceof OperatingError
    ? refusal(error.code, `${error.message.replace(/\.$/, '')}. ${sentence}.`)
    : error;
}

/** Naming the present primary ends whatever other wish there is. */
async function takeBackAny(ports: CliPorts, { view }: Known, server: string): Promise<ExitCode> {
  const { request, cluster } = view.state;
  if (request !== null && (await takeBack(ports, cluster, null))) {
    const sentence = `${server} stays the primary of ${cluster}: the wish for ${request.to} is taken back.`;
    ports.output.print(sentence);
    return DONE;
  }
  throw refusal('IsPrimary', `${server} is the primary of ${cluster} already.`);
}

function report({ output }: CliPorts, { view }: Known, server: string): void {
  const { spec, state } = view;
  const { cluster } = spec;
  const facts =
    state.lastChange?.to === server ? ` (${changeFacts(state.lastChange).join(', ')})` : '';
  output.print(`${server} is the primary of ${cluster} now${facts}.`);
  if (spec.primary === server) {
    output.print('The spec declares it, too: there is nothing to commit.');
    return;
  }
  output.print(`Commit it, so that the file says what is: primary: ${server}`);
  const { failback, failbackAfterMs } = spec.failover;
  if (failback === 'auto') {
    const after = formatDuration(failbackAfterMs);
    output.print(`Until then the role moves back by itself, after ${after} (failback: auto).`);
  }
  const { from } = state.lastChange ?? {};
  if (from != null) output.print(`Back again: pgswarm promote ${cluster} ${from}`);
}
