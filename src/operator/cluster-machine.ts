/**
 * The loop of one cluster: look, decide, apply, look again. The machine knows nothing of
 * PostgreSQL or Swarm; it asks whether there is something to do, and how an attempt went.
 * Docker events and reports only mean "look now".
 */
import { assign, fromPromise, setup } from 'xstate';
import { type ErrorKind } from '../core/errors';

/** What the loop needs; the cluster's controller implements it. */
export interface ClusterLoop {
  /** Brings the observation up to date. */
  observe(): Promise<Done>;
  /** Decides on what was observed; returns whether there are steps to apply. */
  decide(): { readonly hasSteps: boolean };
  /** Applies the decision's steps in order. */
  apply(): Promise<Done>;
  /** An attempt failed: remembers it for status, says what kind of failure it is. */
  failed(error: unknown): ErrorKind;
}

/** Promise actors return a value, so that nothing is mistaken for an outcome. */
export type Done = 'done';

/** Without an event, look again after this long. */
const REST_MS = 2_000;
/** After a failure wait this long, doubled each time up to the longest. */
const BACKOFF_MS = 500;
const BACKOFF_MAX_MS = 10_000;
/** `stale` means "look again now", but not for ever. */
const STALE_IN_A_ROW_MAX = 5;

interface Context {
  readonly hasSteps: boolean;
  readonly failures: number;
  readonly failure: ErrorKind | null;
  /** An event came while the loop was busy. */
  readonly isLookWanted: boolean;
}

type Events = { readonly type: 'LOOK' };

/** Builds the machine for one cluster. */
export function clusterMachine(loop: ClusterLoop) {
  return setup({
    types: { context: {} as Context, events: {} as Events },
    actors: {
      observe: fromPromise<Done>(() => loop.observe()),
      apply: fromPromise<Done>(() => loop.apply()),
    },
    guards: {
      hasSteps: ({ context }) => context.hasSteps,
      isLookWanted: ({ context }) => context.isLookWanted,
      isStale: ({ context }) =>
        context.failure === 'stale' && context.failures < STALE_IN_A_ROW_MAX,
    },
    actions: {
      decide: assign({ hasSteps: () => loop.decide().hasSteps }),
      noteFailure: assign(({ context, event }) => ({
        failure: loop.failed('error' in event ? event.error : event),
        failures: context.failures + 1,
      })),
      noteSuccess: assign({ failures: 0, failure: null }),
      wantLook: assign({ isLookWanted: true }),
      clearLook: assign({ isLookWanted: false }),
    },
    delays: {
      rest: REST_MS,
      backoff: ({ context }) => Math.min(BACKOFF_MS * 2 ** (context.failures - 1), BACKOFF_MAX_MS),
    },
  }).createMachine({
    id: 'cluster',
    initial: 'observing',
    context: { hasSteps: false, failures: 0, failure: null, isLookWanted: false },
    on: { LOOK: { actions: 'wantLook' } },
    states: {
      observing: {
        entry: 'clearLook',
        invoke: {
          src: 'observe',
          onDone: 'deciding',
          onError: { target: 'failed', actions: 'noteFailure' },
        },
      },
      deciding: {
        entry: 'decide',
        always: [
          { guard: 'hasSteps', target: 'applying' },
          { target: 'resting', actions: 'noteSuccess' },
        ],
      },
      applying: {
        invoke: {
          src: 'apply',
          onDone: { target: 'observing', actions: 'noteSuccess' },
          onError: { target: 'failed', actions: 'noteFailure' },
        },
      },
      failed: {
        always: [{ guard: 'isStale', target: 'observing' }, { target: 'backingOff' }],
      },
      resting: {
        always: { guard: 'isLookWanted', target: 'observing' },
        on: { LOOK: 'observing' },
        after: { rest: 'observing' },
      },
      backingOff: {
        after: { backoff: 'observing' },
      },
    },
  });
}
