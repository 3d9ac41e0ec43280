import { expect } from 'chai';
import fc from 'fast-check';
import {
  decideLeadership,
  LEADERSHIP_TIMING,
  leadershipLeftMs,
  released,
  renewed,
  takenOver,
  type LeaderRecord,
  type LeadershipView,
  type Reign,
} from '../../src/core/leadership';

const byB: LeaderRecord = {
  holder: 'b',
  address: 'b:1',
  counter: 7,
  epoch: 3,
  released: false,
  handedTo: null,
};
const byA: LeaderRecord = { ...byB, holder: 'a' };

const rows: readonly {
  readonly name: string;
  readonly view: Partial<LeadershipView>;
  readonly move: string;
}[] = [
  { name: 'there is no record', view: { record: null }, move: 'takeOver' },
  { name: 'another one has just renewed', view: { nowMs: 1_000 }, move: 'follow' },
  {
    name: 'the lease is over, but not the margin for drift',
    view: { nowMs: 6_499 },
    move: 'follow',
  },
  {
    name: 'the other one has been silent for long enough',
    view: { nowMs: 6_500 },
    move: 'takeOver',
  },
  { name: 'the other one has released', view: { record: released(byB) }, move: 'takeOver' },
  {
    name: 'the other one has handed it to us',
    view: { record: released(byB, 'node-a') },
    move: 'takeOver',
  },
  {
    name: 'the other one has handed it to a third',
    view: { record: released(byB, 'node-c'), nowMs: 1_999 },
    move: 'follow',
  },
  {
    name: 'the third does not come for it',
    view: { record: released(byB, 'node-c'), nowMs: 2_000 },
    move: 'takeOver',
  },
  { name: 'the record is from our own earlier reign', view: { record: byA }, move: 'takeOver' },
  { name: 'we lead', view: leads({ renewedAtMs: 0 }, 2_000), move: 'renew' },
  {
    name: 'our renewal is just not too old',
    view: leads({ renewedAtMs: 0 }, 5_999),
    move: 'renew',
  },
  {
    name: 'our last renewal is too old',
    view: leads({ renewedAtMs: 0 }, 6_000),
    move: 'standDown',
  },
  {
    name: 'another one has taken over from us',
    view: { ...leads({ renewedAtMs: 0 }, 100), record: byB },
    move: 'standDown',
  },
  {
    name: 'the record is ours, but of another reign',
    view: { ...leads({ renewedAtMs: 0, epoch: 2 }, 100) },
    move: 'standDown',
  },
  {
    name: 'somebody has removed the record',
    view: { ...leads({ renewedAtMs: 0 }, 100), record: null },
    move: 'standDown',
  },
];

describe('leadership', function () {
  this.timeout(20_000);

  for (const { name, view, move } of rows) {
    it(`decides ${move} when ${name}`, () => {
      expect(decideLeadership(viewWith(view)).kind).to.equal(move);
    });
  }

  it('counts leases of its own reign that it gave up early as running', () => {
    const areLeasesOver = (nowMs: number): unknown =>
      decideLeadership(viewWith({ record: byA, ownLeasesEndMs: 5_000, nowMs }));
    expect(areLeasesOver(4_999)).to.include({ kind: 'takeOver', areLeasesOver: false });
    expect(areLeasesOver(5_000)).to.include({ kind: 'takeOver', areLeasesOver: true });
  });

  it('never has two leaders, whatever clocks, delays and pauses do', function () {
    this.timeout(30_000);
    fc.assert(
      fc.property(
        fc.array(spell, { minLength: 2, maxLength: 12 }),
        drift,
        drift,
        (spells, a, b) => {
          const world = new World([new Candidate('a', a), new Candidate('b', b)]);
          for (const each of spells) world.play(each);
        },
      ),
      { numRuns: 150 },
    );
  });

  it('has a leader soon after the faults are over', () => {
    const faults = fc.array(spell, { maxLength: 6 });
    fc.assert(
      fc.property(faults, drift, drift, (spells, a, b) => {
        const world = new World([new Candidate('a', a), new Candidate('b', b)]);
        for (const each of spells) world.play(each);
        world.play({ forMs: 20_000, silent: [], requestMs: 2, answerMs: 2, handsOver: false });
        expect(world.leaders()).to.have.length(1);
      }),
      { numRuns: 50 },
    );
  });
});

function leads(reign: Partial<Reign>, nowMs: number): Partial<LeadershipView> {
  return { record: byA, reign: { epoch: 3, renewedAtMs: 0, ...reign }, nowMs };
}

const viewWith = (view: Partial<LeadershipView>): LeadershipView => ({
  self: { holder: 'a', node: 'node-a' },
  record: byB,
  firstSeenMs: 0,
  reign: null,
  ownLeasesEndMs: 0,
  nowMs: 0,
  ...view,
});

/** A time in which the same things go wrong. */
interface Spell {
  readonly forMs: number;
  /** Who is paused: does nothing, and finds late what had been sent to it. */
  readonly silent: readonly string[];
  /** Until a write arrives at the store; null when it is lost on the way. */
  readonly requestMs: number | null;
  /** Until the store's answer arrives; null when it is lost. */
  readonly answerMs: number | null;
  /** The leader hands over instead of renewing. */
  readonly handsOver: boolean;
}

const LOOK_EVERY_MS = 100;

const delay = fc.oneof(
  { weight: 6, arbitrary: fc.integer({ min: 0, max: 20 }) },
  { weight: 2, arbitrary: fc.integer({ min: 0, max: 8_000 }) },
  { weight: 1, arbitrary: fc.constant(null) },
);
const spell: fc.Arbitrary<Spell> = fc.record({
  forMs: fc.integer({ min: 100, max: 9_000 }),
  silent: fc.constantFrom([], [], ['a'], ['b'], ['a', 'b']),
  requestMs: delay,
  answerMs: delay,
  handsOver: fc.constantFrom(false, false, false, true),
});
/** A clock may be 3 % off: far more than any real one, and still within the margin. */
const drift = fc.double({ min: 0.97, max: 1.03, noNaN: true });

class Candidate {
  readonly name: string;
  readonly rate: number;
  seen: { record: LeaderRecord | null; version: number; firstSeenMs: number } | null = null;
  reign: Reign | null = null;
  busyUntilMs = 0;

  constructor(name: string, rate: number) {
    this.name = name;
    this.rate = rate;
  }

  clock(nowMs: number): number {
    return nowMs * this.rate + 1_000 * this.name.charCodeAt(0);
  }

  believesToLead(nowMs: number): boolean {
    return this.reign !== null && leadershipLeftMs(this.reign, this.clock(nowMs)) > 0;
  }

  see(record: LeaderRecord | null, version: number, nowMs: number): void {
    if (this.seen?.version === version) return;
    this.seen = { record, version, firstSeenMs: this.clock(nowMs) };
  }
}

/** A store with one record, true time, and messages that are under way. */
class World {
  readonly candidates: readonly Candidate[];
  nowMs = 0;
  version = 0;
  record: LeaderRecord | null = null;
  #due: { atMs: number; happen: () => void }[] = [];

  constructor(candidates: readonly Candidate[]) {
    this.candidates = candidates;
  }

  leaders(): readonly Candidate[] {
    return this.candidates.filter((each) => each.believesToLead(this.nowMs));
  }

  play(spell: Spell): void {
    const endMs = this.nowMs + spell.forMs;
    while (this.nowMs < endMs) {
      for (const each of this.candidates) {
        if (!spell.silent.includes(each.name)) this.#turn(each, spell);
      }
      this.#passUntil(this.nowMs + LOOK_EVERY_MS);
    }
  }

  /** Looks, decides, and perhaps sends a write; one at a time, as the real one does. */
  #turn(me: Candidate, { requestMs, answerMs, handsOver }: Spell): void {
    if (this.nowMs < me.busyUntilMs) return;
    if (me.reign === null) me.see(this.record, this.version, this.nowMs);
    if (me.seen === null) return;
    const { record, version, firstSeenMs } = me.seen;
    const startedMs = me.clock(this.nowMs);
    const self = { holder: me.name, address: `${me.name}:1`, node: me.name };
    const view = { self, record, firstSeenMs, reign: me.reign, nowMs: startedMs };
    const move = decideLeadership({ ...view, ownLeasesEndMs: 0 });
    if (move.kind === 'standDown') me.reign = null;
    if (move.kind !== 'renew' && move.kind !== 'takeOver') return;
    const isLeaving = handsOver && move.kind === 'renew';
    // Acting ends before the record says so.
    if (isLeaving) me.reign = null;
    const renewal = (): LeaderRecord => (isLeaving ? released(record!, 'b') : renewed(record!));
    const next = move.kind === 'renew' ? renewal() : takenOver(record, self);
    const deadlineMs = this.nowMs + LEADERSHIP_TIMING.callTimeoutMs;
    me.busyUntilMs = deadlineMs;
    if (requestMs === null) return;
    this.#after(requestMs, () => {
      const fits = this.version === version;
      if (fits) [this.record, this.version] = [next, version + 1];
      if (answerMs === null) return;
      this.#after(answerMs, () => {
        if (this.nowMs > deadlineMs) return;
        me.busyUntilMs = this.nowMs;
        if (!fits) me.reign = null;
        if (!fits) return;
        me.see(next, version + 1, this.nowMs);
        me.reign = next.released ? null : { epoch: next.epoch, renewedAtMs: startedMs };
      });
    });
  }

  #after(delayMs: number, happen: () => void): void {
    this.#due.push({ atMs: this.nowMs + delayMs, happen });
  }

  #passUntil(atMs: number): void {
    for (;;) {
      this.#due.sort((a, b) => a.atMs - b.atMs);
      const next = this.#due[0];
      if (next === undefined || next.atMs > atMs) break;
      this.#due.shift();
      this.nowMs = Math.max(this.nowMs, next.atMs);
      next.happen();
      this.#check();
    }
    this.nowMs = atMs;
    this.#check();
  }

  #check(): void {
    const names = this.leaders().map(({ name }) => name);
    expect(names, `leaders at ${this.nowMs} ms`).to.have.length.below(2);
  }
}
