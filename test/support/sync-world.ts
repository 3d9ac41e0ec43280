/**
 * A small world of synchronous replication, explored to the last state: one commit, a few standbys,
 * the record, and PostgreSQL's processes, each of which reloads when it likes. Whatever is
 * acknowledged must be had by the furthest server of every quorum that a failover would accept,
 * in every state, since the primary may die in any.
 */
import { type SyncSet } from '../../src/core/protocol';
import { type SyncState } from '../../src/core/state';
import {
  failoverQuorum,
  isSameSet,
  nextSyncStep,
  renderSyncNames,
  type SyncSeen,
} from '../../src/core/sync';

export type Configuration = SyncSet | null;

/** How things are done; the default is how the project does them, a mutant replaces one. */
export interface Protocol {
  readonly next: typeof nextSyncStep;
  readonly quorum: typeof failoverQuorum;
  /** What the primary is told. */
  readonly told: (sync: SyncState, target: Configuration) => Configuration;
  /** What the primary reports of its processes: do all of them have what the file says? */
  readonly report: (
    file: Configuration,
    all: { readonly walsenders: boolean; readonly checkpointer: boolean },
  ) => Pick<SyncSeen, 'syncNames' | 'isSyncInForce'>;
}

export const PROTOCOL: Protocol = {
  next: nextSyncStep,
  quorum: failoverQuorum,
  told: ({ wanted }) => wanted,
  report: (file, { walsenders, checkpointer }) => ({
    syncNames: walsenders ? renderSyncNames(file) : null,
    isSyncInForce: checkpointer,
  }),
};

export interface Question {
  readonly standbys: readonly string[];
  readonly from: SyncState;
  /** Each may be the target at any moment. */
  readonly targets: readonly Configuration[];
  /** The leader knows only the last report, however old; a much larger world. */
  readonly areReportsLate?: boolean;
  readonly protocol?: Partial<Protocol>;
}

export interface Exploration {
  readonly states: number;
  /** Every record that can be reached. */
  readonly records: readonly SyncState[];
  /** Standbys that had the commit when it was acknowledged, each combination once. */
  readonly holders: readonly (readonly string[])[];
  /** An acknowledged commit that a failover would lose. */
  readonly loss: string | null;
}

interface State {
  readonly sync: SyncState;
  /** In the answer that was sent last; in the file; in each walsender; in the checkpointer. */
  readonly sent: Configuration;
  readonly file: Configuration;
  readonly walsenders: readonly Configuration[];
  readonly checkpointer: Configuration;
  readonly commit: 'none' | 'written' | 'acknowledged';
  /** Who has it on disk: a bit for each standby. */
  readonly holders: number;
  /** The leader's last; null when it always knows the present. */
  readonly report: SyncSeen | null;
}

/** Ends of the WAL before and after the commit. */
const BEFORE = '0/1';
const AFTER = '0/2';

export function explore(question: Question): Exploration {
  const { standbys, from, areReportsLate = false } = question;
  const world = { ...PROTOCOL, ...question.protocol, ...question };
  const keyOf = keys();
  const lossOf = remembered(findLoss);
  const set = from.wanted;
  const present: State = {
    sync: from,
    sent: set,
    file: set,
    walsenders: standbys.map(() => set),
    checkpointer: set,
    commit: 'none',
    holders: 0,
    report: null,
  };
  const first = areReportsLate ? { ...present, report: seenBy(present, world) } : present;
  const seen = new Set([keyOf(first)]);
  const open = [first];
  const records = new Map<string, SyncState>();
  const holders = new Set<number>();
  for (let state = open.pop(); state !== undefined; state = open.pop()) {
    records.set(JSON.stringify(state.sync), state.sync);
    const loss = state.commit === 'acknowledged' ? lossOf(state, world) : null;
    if (loss !== null) return { states: seen.size, records: [], holders: [], loss };
    for (const next of successors(state, world)) {
      if (next.commit === 'acknowledged' && state.commit === 'written') holders.add(next.holders);
      const key = keyOf(next);
      if (seen.has(key)) continue;
      seen.add(key);
      open.push(next);
    }
  }
  const namesOf = (mask: number): readonly string[] => standbys.filter((_, i) => has(mask, i));
  return {
    states: seen.size,
    records: [...records.values()],
    holders: [...holders].map(namesOf),
    loss: null,
  };
}

type World = Protocol & Pick<Question, 'standbys' | 'targets'>;

const has = (mask: number, index: number): boolean => (mask & (1 << index)) !== 0;

/** Everything that may happen next; each is one process doing one thing. */
function* successors(state: State, world: World): Generator<State> {
  yield* ofTheLeader(state, world);
  yield* ofTheSettings(state);
  yield* ofTheCommit(state, world);
}

/** It gets a report, writes the record, or answers a heartbeat. */
function* ofTheLeader(state: State, world: World): Generator<State> {
  if (state.report !== null) yield { ...state, report: seenBy(state, world) };
  for (const target of world.targets) {
    const step = world.next(state.sync, target, state.report ?? seenBy(state, world));
    if ('next' in step) yield { ...state, sync: step.next };
    const told = world.told(state.sync, target);
    if (told !== state.sent) yield { ...state, sent: told };
  }
}

function* ofTheSettings(state: State): Generator<State> {
  const { sent, file, walsenders, checkpointer } = state;
  if (file !== sent) yield { ...state, file: sent };
  for (const [index, loaded] of walsenders.entries()) {
    if (loaded !== file) yield { ...state, walsenders: walsenders.with(index, file) };
  }
  if (checkpointer !== file) yield { ...state, checkpointer: file };
}

function* ofTheCommit(state: State, world: World): Generator<State> {
  const { commit, holders } = state;
  if (commit === 'none') {
    yield { ...state, commit: 'written' };
    return;
  }
  for (const index of world.standbys.keys()) {
    if (!has(holders, index)) yield { ...state, holders: holders | (1 << index) };
  }
  if (commit === 'written' && mayAcknowledge(state, world)) {
    yield { ...state, commit: 'acknowledged' };
  }
}

/**
 * As syncrep.c does it. The checkpointer says whether to wait at all. A walsender that takes its
 * own standby for synchronous counts, with its own number, all standbys whose walsenders do so too.
 */
function mayAcknowledge(
  { walsenders, checkpointer, holders }: State,
  { standbys }: World,
): boolean {
  if (checkpointer === null) return true;
  const isCandidate = (name: string, index: number): boolean =>
    walsenders[index]?.names.includes(name) ?? false;
  const confirmed = standbys.filter((name, i) => isCandidate(name, i) && has(holders, i)).length;
  return standbys.some(
    (name, index) => isCandidate(name, index) && confirmed >= (walsenders[index]?.number ?? 0),
  );
}

function seenBy(
  { file, walsenders, checkpointer, commit, holders }: State,
  world: World,
): SyncSeen {
  return {
    ...world.report(file, {
      walsenders: walsenders.every((each) => each === file),
      checkpointer: checkpointer === file,
    }),
    lsn: commit === 'none' ? BEFORE : AFTER,
    standbys: world.standbys.map((server, index) => {
      const lsn = has(holders, index) ? AFTER : BEFORE;
      return { server, state: 'streaming', sentLsn: lsn, flushedLsn: lsn, replayedLsn: lsn };
    }),
  };
}

/** Everybody may answer the roll call, or any part of the servers. */
function findLoss({ sync, holders }: State, { standbys, quorum }: World): string | null {
  if (sync.guaranteed === null) return null;
  for (let answering = 0; answering < 1 << standbys.length; answering += 1) {
    if ((answering & holders) !== 0) continue;
    const answered = standbys.filter((_, index) => has(answering, index));
    if (!quorum(sync.guaranteed, answered).isEnough) continue;
    const having = standbys.filter((_, index) => has(holders, index)).join(', ');
    return `acknowledged on [${having}], promoted among [${answered.join(', ')}], guaranteed was ${renderSyncNames(sync.guaranteed)}`;
  }
  return null;
}

/** Whether there is a loss depends on little of a state: what is known to be harmless stays so. */
function remembered(find: typeof findLoss): typeof findLoss {
  const harmless = new Set<string>();
  return (state, world) => {
    const key = `${renderSyncNames(state.sync.guaranteed)} ${state.holders}`;
    if (harmless.has(key)) return null;
    const loss = find(state, world);
    if (loss === null) harmless.add(key);
    return loss;
  };
}

/** A short key for each state, with a character for each of its parts. */
function keys(): (state: State) => string {
  const numbers = new Map<object | null, number>();
  const texts = new Map<string, number>();
  const numberOf = (part: object | null): number => {
    const known = numbers.get(part);
    if (known !== undefined) return known;
    const text = JSON.stringify(part);
    const number = texts.get(text) ?? texts.size;
    texts.set(text, number);
    numbers.set(part, number);
    return number;
  };
  return ({ sync, sent, file, walsenders, checkpointer, commit, holders, report }) =>
    String.fromCharCode(
      ...[sync, sent, file, ...walsenders, checkpointer, report].map(numberOf),
      commit.charCodeAt(0),
      holders,
    );
}

/** All sets of these standbys, and none. */
export function allSets(standbys: readonly string[]): readonly Configuration[] {
  const sets: Configuration[] = [null];
  for (let mask = 1; mask < 1 << standbys.length; mask += 1) {
    const names = standbys.filter((_, index) => has(mask, index));
    for (let number = 1; number <= names.length; number += 1) sets.push({ number, names });
  }
  return sets;
}

/** A cluster that has had this set for long. */
export const settledOn = (set: Configuration): SyncState => ({
  wanted: set,
  guaranteed: set,
  barrier: null,
});

/** Every way from one set of up to `max` standbys to another, but for the standbys' names. */
export function allPairs(
  max: number,
): { standbys: string[]; a: Configuration; b: Configuration }[] {
  const pairs: { standbys: string[]; a: Configuration; b: Configuration }[] = [];
  for (let size = 1; size <= max; size += 1) {
    const standbys = Array.from({ length: size }, (_, index) => `pg${index + 2}`);
    for (let endOfA = 0; endOfA <= size; endOfA += 1) {
      for (let startOfB = 0; startOfB <= endOfA; startOfB += 1) {
        const a = standbys.slice(0, endOfA);
        const b = standbys.slice(startOfB);
        for (const from of ofNames(a)) {
          for (const to of ofNames(b)) pairs.push({ standbys, a: from, b: to });
        }
      }
    }
  }
  return pairs.filter(({ a, b }) => !isSameSet(a, b));
}

function ofNames(names: readonly string[]): readonly Configuration[] {
  if (names.length === 0) return [null];
  return names.map((_, index) => ({ number: index + 1, names }));
}
