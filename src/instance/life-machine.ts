/**
 * The instance's life as a loop: look, act, look again. It has no knowledge of PostgreSQL; what is
 * to be done is decided by `nextAction` alone, from facts, so there is no state here that could
 * disagree with the server.
 */
import { assign, fromPromise, setup } from 'xstate';
import { OperatingError, messageOf } from '../core/errors';
import { type Problem } from '../core/protocol';
import { type Action, type Decision } from './next-action';

export interface LifePorts {
  decide(heldBack: readonly Action['kind'][]): Decision;
  /** Rejects with an AbortError when `signal` struck before it was done. */
  perform(action: Action, signal: AbortSignal): Promise<void>;
  /** Breaks off what is under way and stops PostgreSQL in order, within the grace period. */
  stopForGood(): Promise<void>;
  isSuperseded(action: Action): boolean;
  /** What keeps the task from being done; null when nothing does. */
  tell(problem: Problem | null): void;
  monotonicMs(): number;
}

export type LifeEvent =
  /** Something is different; what, is found by looking. */
  | { readonly type: 'LOOK' }
  /** The assignment is another one: what failed before may work now. */
  | { readonly type: 'ASSIGNED' }
  | { readonly type: 'TERMINATE' };

interface Held {
  readonly failures: number;
  readonly untilMs: number;
  readonly problem: Problem;
}

interface LifeContext {
  readonly ports: LifePorts;
  readonly action: Action | null;
  readonly problem: Problem | null;
  /** The action that has just been done, until something else happens. */
  readonly done: Action | null;
  readonly aborter: AbortController;
  readonly held: Readonly<Partial<Record<Action['kind'], Held>>>;
}

/** Delay before a failed action is tried again; doubled with each failure in a row. */
const RETRY_MS = 1000;
const RETRY_MAX_MS = 30_000;
/** A look costs little, and the way back of a server begins with it. */
const RETRY_MAX_OF: Readonly<Partial<Record<Action['kind'], number>>> = { compare: 2000 };
/** Insurance: a change that nobody announced is seen this late. */
const LOOK_EVERY_MS = 1000;

export const lifeMachine = setup({
  types: {
    context: {} as LifeContext,
    events: {} as LifeEvent,
    input: {} as LifePorts,
  },
  actors: {
    perform: fromPromise<true, { ports: LifePorts; action: Action; aborter: AbortController }>(
      async ({ input }) => {
        await input.ports.perform(input.action, input.aborter.signal);
        return true;
      },
    ),
    stopForGood: fromPromise<true, LifePorts>(async ({ input }) => {
      await input.stopForGood();
      return true;
    }),
  },
  guards: {
    hasAction: ({ context }) => context.action !== null,
    isSuperseded: ({ context }) =>
      context.action !== null && context.ports.isSuperseded(context.action),
    wasAborted: ({ context }) => context.aborter.signal.aborted,
  },
  actions: {
    decide: assign(({ context }) => {
      const aborter = new AbortController();
      const { action, problem } = context.ports.decide(heldBack(context));
      if (action === null || !isSameAction(action, context.done)) {
        return { action, problem, aborter };
      }
      const withHeld = { ...context, held: held(context, new WithoutEffect(action)) };
      return { ...context.ports.decide(heldBack(withHeld)), held: withHeld.held, aborter };
    }),
    tell: ({ context }) => context.ports.tell(context.problem ?? heldProblem(context)),
    abort: ({ context }) => context.aborter.abort(),
    hold: assign(({ context }, { error }: { error: unknown }) => ({
      held: held(context, error),
    })),
    release: assign(({ context }) => ({
      done: context.action,
      held: Object.fromEntries(
        Object.entries(context.held).filter(([kind]) => kind !== context.action?.kind),
      ),
    })),
    releaseAll: assign({ held: {} }),
    forgetDone: assign({ done: null }),
  },
  delays: {
    untilNextLook: ({ context }) => {
      const nowMs = context.ports.monotonicMs();
      const waits = Object.values(context.held).map(({ untilMs }) => untilMs - nowMs);
      return Math.max(0, Math.min(LOOK_EVERY_MS, ...waits.filter((ms) => ms > 0)));
    },
  },
}).createMachine({
  id: 'life',
  context: ({ input }) => ({
    ports: input,
    action: null,
    problem: null,
    done: null,
    aborter: new AbortController(),
    held: {},
  }),
  initial: 'looking',
  on: { TERMINATE: '.ending' },
  states: {
    looking: {
      entry: ['decide', 'tell'],
      always: [{ guard: 'hasAction', target: 'acting' }, { target: 'resting' }],
    },
    acting: {
      invoke: {
        src: 'perform',
        input: ({ context }) => {
          if (context.action === null) throw new Error('acting without an action');
          return { ports: context.ports, action: context.action, aborter: context.aborter };
        },
        onDone: { target: 'looking', actions: 'release' },
        onError: [
          { guard: 'wasAborted', target: 'looking' },
          {
            target: 'looking',
            actions: { type: 'hold', params: ({ event }) => ({ error: event.error }) },
          },
        ],
      },
      on: {
        ASSIGNED: [
          { guard: 'isSuperseded', actions: ['releaseAll', 'abort'] },
          { actions: 'releaseAll' },
        ],
      },
    },
    resting: {
      entry: 'forgetDone',
      on: { LOOK: 'looking', ASSIGNED: { target: 'looking', actions: 'releaseAll' } },
      after: { untilNextLook: 'looking' },
    },
    ending: {
      entry: 'abort',
      invoke: {
        src: 'stopForGood',
        input: ({ context }) => context.ports,
        onDone: 'ended',
        onError: 'ended',
      },
      on: { TERMINATE: undefined },
    },
    ended: { type: 'final' },
  },
});

/** Done and wanted again at once: trying ever faster would not help. */
class WithoutEffect extends OperatingError {
  constructor(action: Action) {
    super('transient', 'WithoutEffect', `${action.kind} was done, but nothing has changed`);
  }
}

const isSameAction = (a: Action, b: Action | null): boolean =>
  JSON.stringify(a) === JSON.stringify(b);

function heldBack({ held, ports }: LifeContext): readonly Action['kind'][] {
  const nowMs = ports.monotonicMs();
  return Object.entries(held)
    .filter(([, { untilMs }]) => untilMs > nowMs)
    .map(([kind]) => kind as Action['kind']);
}

/** Of what has failed and is waiting to be tried again, or is being tried again. */
function heldProblem(context: LifeContext): Problem | null {
  const kinds = [...heldBack(context), context.action?.kind];
  const failed = kinds.find((kind) => kind !== undefined && context.held[kind] !== undefined);
  return failed === undefined ? null : (context.held[failed]?.problem ?? null);
}

function held({ action, held: before, ports }: LifeContext, error: unknown): LifeContext['held'] {
  if (action === null) return before;
  const failures = (before[action.kind]?.failures ?? 0) + 1;
  const delayMaxMs = RETRY_MAX_OF[action.kind] ?? RETRY_MAX_MS;
  const delayMs = Math.min(RETRY_MS * 2 ** (failures - 1), delayMaxMs);
  const problem = {
    reason: error instanceof OperatingError ? error.code : 'ActionFailed',
    message: messageOf(error),
  };
  return {
    ...before,
    [action.kind]: { failures, untilMs: ports.monotonicMs() + delayMs, problem },
  };
}
