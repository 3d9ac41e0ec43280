/**
 * Protocols that are wrong on purpose: each breaks one rule of the real one, by wrapping a function
 * or a method of it. The judge of the invariant must catch it.
 */
import { type Lineage } from '../../src/core/timelines';
import * as promiseModule from '../../src/core/promise';
import * as situationModule from '../../src/core/situation';
import * as syncModule from '../../src/core/sync';
import * as transitionsModule from '../../src/core/transitions';
import { type Rule } from '../../src/core/rules/rule';
import { RULES } from '../../src/core/decide';
import { type SynchronousSpec } from '../../src/core/spec';
import { type ServerView, type View } from '../../src/core/situation';
import { Leadership } from '../../src/operator/leadership';
import { Tenure } from '../../src/instance/tenure';
import { SimGuard } from './world/guard';
import * as walModule from './world/wal';
import { type Branch, type Position } from './world/wal';

export interface Mutant {
  /** The rule that it breaks. */
  readonly name: string;
  /** The judge that catches it; only this one looks. */
  readonly invariant: string;
  /** What has to go wrong for the rule to matter. */
  readonly faults: readonly string[];
  readonly servers: 2 | 3 | null;
  readonly synchronous?: SynchronousSpec | null;
  readonly ttlMs?: number;
  /** It is caught within so many seeds. */
  readonly seedsMax: number;
  /** Returns what makes it right again. */
  readonly install: () => Undo;
}

type Undo = () => void;

/** Puts `members` into a module or a prototype, until the returned function is called. */
function replaced(target: object, members: Readonly<Record<string, unknown>>): () => void {
  const before = Object.keys(members).map(
    (name) => [name, Object.getOwnPropertyDescriptor(target, name)] as const,
  );
  for (const [name, value] of Object.entries(members)) {
    Object.defineProperty(target, name, { value, configurable: true, writable: true });
  }
  return () => {
    for (const [name, descriptor] of before) {
      if (descriptor !== undefined) Object.defineProperty(target, name, descriptor);
    }
  };
}

const together =
  (...undo: readonly (() => void)[]) =>
  (): void => {
    for (const each of undo) each();
  };

/** Rules are decided on another view than the true one. */
const seenAs = (change: (view: View) => View): (() => void) => {
  const { viewOf } = situationModule;
  return replaced(situationModule, {
    viewOf: (...[situation, state]: Parameters<typeof viewOf>) => change(viewOf(situation, state)),
  });
};

const ANY_1: SynchronousSpec = { mode: 'any', number: 1, durability: 'required' };

export const MUTANTS: readonly Mutant[] = [
  {
    name: 'the instance ignores its deadline',
    invariant: 'S1',
    faults: ['node cut off from all'],
    servers: null,
    seedsMax: 20,
    install: () =>
      together(
        replaced(Tenure.prototype, { refresh: () => undefined }),
        replaced(SimGuard.prototype, { hold: () => undefined }),
      ),
  },
  {
    name: 'there is no guard outside of the instance manager',
    invariant: 'S1',
    faults: ['instance manager frozen'],
    servers: null,
    seedsMax: 40,
    install: () => replaced(SimGuard.prototype, { hold: () => undefined }),
  },
  {
    name: 'the leader grants more than is left of its own reign',
    invariant: 'S1',
    faults: ['node cut off from all'],
    servers: null,
    ttlMs: 10_000,
    seedsMax: 60,
    install: (): Undo => {
      const leftMs = Object.getOwnPropertyDescriptor(Leadership.prototype, 'leftMs')
        ?.value as () => number;
      return replaced(Leadership.prototype, {
        leftMs(this: Leadership): number {
          return leftMs.call(this) > 0 ? 60_000 : 0;
        },
      });
    },
  },
  {
    name: 'a peer is promoted although it has promised to wait',
    invariant: 'S1',
    faults: ['server cut off from the operators'],
    servers: null,
    seedsMax: 60,
    install: () => replaced(promiseModule, { promiseLeftMs: () => null }),
  },
  {
    name: 'the term stays the same when the primary changes',
    invariant: 'S2',
    faults: ['node killed'],
    servers: null,
    seedsMax: 20,
    install: (): Undo => {
      const { nameNewPrimary } = transitionsModule;
      return replaced(transitionsModule, {
        nameNewPrimary: (...given: Parameters<typeof nameNewPrimary>) => ({
          ...nameNewPrimary(...given),
          term: given[0].term,
        }),
      });
    },
  },
  {
    name: 'a failover does not wait for the servers that may hold a commit alone',
    invariant: 'S3',
    faults: ['primary killed while a standby stands still', 'slow disk of a standby'],
    servers: 3,
    synchronous: ANY_1,
    seedsMax: 100,
    install: () =>
      replaced(syncModule, { failoverQuorum: () => ({ isEnough: true, missing: '' }) }),
  },
  {
    name: 'a synchronous set is guaranteed as soon as it is wanted',
    invariant: 'S3',
    faults: ['primary killed while its standbys lag'],
    servers: 2,
    synchronous: { ...ANY_1, durability: 'preferred' },
    seedsMax: 60,
    install: (): Undo => {
      const { syncOfTerm } = syncModule;
      return replaced(syncModule, {
        syncOfTerm: (wanted: Parameters<typeof syncOfTerm>[0]) => ({
          ...syncOfTerm(wanted),
          guaranteed: wanted,
        }),
      });
    },
  },
  {
    name: 'an old primary is rewound although it alone has acknowledged commits',
    invariant: 'S4',
    faults: ['primary killed while a standby stands still', 'slow disk of a standby'],
    servers: 3,
    synchronous: ANY_1,
    seedsMax: 100,
    install: () =>
      replaced(syncModule, { failoverQuorum: () => ({ isEnough: true, missing: '' }) }),
  },
  {
    name: 'a promotion begins no timeline of its own',
    invariant: 'S5',
    faults: ['primary killed while its standbys lag'],
    servers: 2,
    synchronous: null,
    seedsMax: 20,
    install: (): Undo => {
      const { branchAt } = walModule;
      return replaced(walModule, {
        branchAt: (fork: Position): Branch => ({ ...branchAt(fork), timeline: 1 }),
        lineageOf: (): Lineage => ({ timeline: 1, history: [] }),
      });
    },
  },
  {
    name: 'a pause is ignored',
    invariant: 'S6',
    faults: ['paused', 'node killed'],
    servers: null,
    seedsMax: 20,
    install: () => seenAs((view) => ({ ...view, state: { ...view.state, paused: null } })),
  },
  {
    name: 'whatever was reported before counts as an answer to the roll call',
    invariant: 'S7',
    faults: ['node killed', 'container killed'],
    servers: null,
    seedsMax: 60,
    install: () =>
      seenAs((view) => ({
        ...view,
        servers: view.servers.map((server) => answered(server, view)),
      })),
  },
  {
    name: 'a change of role never ends',
    invariant: 'L1',
    faults: ['node killed', 'switchover asked for'],
    servers: null,
    seedsMax: 20,
    install: (): Undo => {
      const rules = RULES as Rule[];
      const at = rules.findIndex(({ id }) => id === 'promotion-finish');
      const taken = rules.splice(at, 1);
      return () => void rules.splice(at, 0, ...taken);
    },
  },
];

function answered(server: ServerView, { state }: View): ServerView {
  const { report } = server;
  if (report?.obeys == null) return server;
  const obeys = { ...report.obeys, rollCall: state.change?.id ?? null };
  return { ...server, report: { ...report, obeys } };
}
