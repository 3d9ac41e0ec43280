import { expect } from 'chai';
import { createActor, SimulatedClock, waitFor } from 'xstate';
import { OperatingError } from '../../src/core/errors';
import { type Problem } from '../../src/core/protocol';
import { lifeMachine, type LifePorts } from '../../src/instance/life-machine';
import { type Action, type Decision } from '../../src/instance/next-action';

/** Ports whose actions end when the test says so. */
class FakeLife implements LifePorts {
  wanted: readonly Action['kind'][] = [];
  readonly begun: Action['kind'][] = [];
  problem: Problem | null = null;
  superseded = false;
  stopped = 0;
  nowMs = 0;
  #end: (error?: Error) => void = () => undefined;

  decide(heldBack: readonly Action['kind'][]): Decision {
    const kind = this.wanted.find((each) => !heldBack.includes(each));
    return { action: kind === undefined ? null : ({ kind } as Action), problem: null };
  }

  async perform({ kind }: Action, signal: AbortSignal): Promise<void> {
    this.begun.push(kind);
    await new Promise<void>((resolve, reject) => {
      this.#end = (error) => {
        if (error === undefined) resolve();
        else reject(error);
      };
      signal.addEventListener('abort', () => reject(new Error('broken off')));
    });
  }

  async stopForGood(): Promise<void> {
    this.stopped += 1;
    await Promise.resolve();
  }

  isSuperseded(): boolean {
    return this.superseded;
  }

  tell(problem: Problem | null): void {
    this.problem = problem;
  }

  monotonicMs(): number {
    return this.nowMs;
  }

  done(): void {
    this.wanted = this.wanted.filter((kind) => kind !== this.begun.at(-1));
    this.#end();
  }

  fail(): void {
    this.#end(new OperatingError('transient', 'PortInUse', 'the port is taken'));
  }
}

function live(ports: FakeLife) {
  const clock = new SimulatedClock();
  const actor = createActor(lifeMachine, { input: ports, clock });
  actor.start();
  return {
    send: actor.send.bind(actor),
    pass: (ms: number) => {
      ports.nowMs += ms;
      clock.increment(ms);
    },
    at: async (state: 'acting' | 'resting' | 'ended') =>
      await waitFor(actor, (snapshot) => snapshot.matches(state), { timeout: 1000 }),
  };
}

describe('the life of an instance', () => {
  let ports: FakeLife;
  beforeEach(() => {
    ports = new FakeLife();
  });

  it('does one thing after the other, and then rests', async () => {
    ports.wanted = ['start-primary', 'ensure-roles'];
    const { at } = live(ports);
    await at('acting');
    expect(ports.begun).to.deep.equal(['start-primary']);
    ports.done();
    await waitUntil(() => ports.begun.length === 2);
    ports.done();
    await at('resting');
    expect(ports.begun).to.deep.equal(['start-primary', 'ensure-roles']);
  });

  it('looks again when something has changed, and by itself', async () => {
    const { at, send, pass } = live(ports);
    await at('resting');
    ports.wanted = ['promote'];
    send({ type: 'LOOK' });
    await at('acting');
    ports.done();
    await at('resting');
    ports.wanted = ['reconfigure'];
    pass(1000);
    await at('acting');
    expect(ports.begun).to.deep.equal(['promote', 'reconfigure']);
  });

  it('tries what failed again, ever less often, and says why meanwhile', async () => {
    ports.wanted = ['start-primary'];
    const { at, pass, send } = live(ports);
    const waitsMs: number[] = [];
    for (let attempt = 1; attempt <= 7; attempt += 1) {
      await at('acting');
      expect(ports.begun.length).to.equal(attempt);
      ports.fail();
      await at('resting');
      expect(ports.problem).to.deep.equal({ reason: 'PortInUse', message: 'the port is taken' });
      const sinceMs = ports.nowMs;
      // However often something else changes: never a hot loop.
      while (ports.begun.length === attempt) {
        send({ type: 'LOOK' });
        pass(500);
        await Promise.resolve();
      }
      waitsMs.push(ports.nowMs - sinceMs);
    }
    expect(waitsMs).to.deep.equal([1000, 2000, 4000, 8000, 16000, 30000, 30000]);
  });

  it('does not do again and again what has no effect', async () => {
    ports.wanted = ['ensure-slots'];
    ports.decide = (heldBack) => {
      const isHeld = heldBack.includes('ensure-slots');
      return { action: isHeld ? null : { kind: 'ensure-slots', slots: [] }, problem: null };
    };
    const { at, pass } = live(ports);
    await at('acting');
    ports.done();
    await at('resting');
    expect(ports.begun).to.deep.equal(['ensure-slots']);
    expect(ports.problem?.reason).to.equal('WithoutEffect');
    pass(1000);
    await at('acting');
  });

  it('forgets a failure when it works', async () => {
    ports.wanted = ['start-primary'];
    const { at, pass } = live(ports);
    await at('acting');
    ports.fail();
    await at('resting');
    pass(1000);
    await at('acting');
    ports.done();
    await at('resting');
    expect(ports.problem).to.equal(null);
  });

  it('does other things while one is held back', async () => {
    ports.wanted = ['ensure-roles', 'ensure-slots'];
    const { at } = live(ports);
    await at('acting');
    ports.fail();
    await waitUntil(() => ports.begun.length === 2);
    expect(ports.begun).to.deep.equal(['ensure-roles', 'ensure-slots']);
  });

  it('tries again at once with a new assignment', async () => {
    ports.wanted = ['clone'];
    const { at, send } = live(ports);
    await at('acting');
    ports.fail();
    await at('resting');
    send({ type: 'ASSIGNED' });
    await at('acting');
    expect(ports.begun).to.deep.equal(['clone', 'clone']);
  });

  it('breaks off what is not wanted any more, without calling it a failure', async () => {
    ports.wanted = ['clone'];
    const { at, send } = live(ports);
    await at('acting');
    ports.superseded = true;
    ports.wanted = ['start-primary'];
    send({ type: 'ASSIGNED' });
    await waitUntil(() => ports.begun.length === 2);
    expect(ports.begun).to.deep.equal(['clone', 'start-primary']);
    expect(ports.problem).to.equal(null);
  });

  it('goes on with what is still wanted', async () => {
    ports.wanted = ['clone'];
    const { at, send } = live(ports);
    await at('acting');
    send({ type: 'ASSIGNED' });
    send({ type: 'LOOK' });
    ports.done();
    await at('resting');
    expect(ports.begun).to.deep.equal(['clone']);
  });

  for (const state of ['acting', 'resting'] as const) {
    it(`stops for good once, whatever it was doing (${state})`, async () => {
      ports.wanted = state === 'acting' ? ['clone'] : [];
      const { at, send } = live(ports);
      await at(state);
      send({ type: 'TERMINATE' });
      send({ type: 'TERMINATE' });
      await at('ended');
      expect(ports.stopped).to.equal(1);
    });
  }
});

async function waitUntil(isSo: () => boolean): Promise<void> {
  for (let turn = 0; turn < 100 && !isSo(); turn += 1) await new Promise(setImmediate);
  expect(isSo()).to.equal(true);
}
