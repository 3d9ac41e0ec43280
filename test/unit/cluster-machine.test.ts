import { expect } from 'chai';
import { createActor, SimulatedClock, type Actor } from 'xstate';
import { type ErrorKind } from '../../src/core/errors';
import { clusterMachine, type ClusterLoop, type Done } from '../../src/operator/cluster-machine';

/** A loop that writes down what is asked of it, and fails when it is told to. */
class Recorder implements ClusterLoop {
  readonly calls: string[] = [];
  stepsLeft = 0;
  failure: ErrorKind | null = null;

  observe(): Promise<Done> {
    this.calls.push('observe');
    return Promise.resolve('done');
  }

  decide(): { readonly hasSteps: boolean } {
    this.calls.push('decide');
    return { hasSteps: this.stepsLeft > 0 };
  }

  apply(): Promise<Done> {
    this.calls.push('apply');
    if (this.failure !== null) return Promise.reject(new Error(this.failure));
    this.stepsLeft -= 1;
    return Promise.resolve('done');
  }

  failed(error: unknown): ErrorKind {
    return (error as Error).message as ErrorKind;
  }
}

describe('the loop of a cluster', () => {
  let loop: Recorder;
  let clock: SimulatedClock;
  let actor: Actor<ReturnType<typeof clusterMachine>>;

  beforeEach(() => {
    loop = new Recorder();
    clock = new SimulatedClock();
    actor = createActor(clusterMachine(loop), { clock });
  });
  afterEach(() => actor.stop());

  const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
  const asked = (): string => loop.calls.splice(0).join(' ');

  it('looks again after every step, and rests when there is none', async () => {
    loop.stepsLeft = 2;
    actor.start();
    await settled();
    expect(asked()).to.equal('observe decide apply observe decide apply observe decide');
    expect(actor.getSnapshot().value).to.equal('resting');
  });

  it('looks again after a rest, or at once when something has happened', async () => {
    actor.start();
    await settled();
    asked();
    clock.increment(1_999);
    await settled();
    expect(asked()).to.equal('');
    clock.increment(1);
    await settled();
    expect(asked()).to.equal('observe decide');
    actor.send({ type: 'LOOK' });
    await settled();
    expect(asked()).to.equal('observe decide');
  });

  it('does not forget an event that came while it was busy', async () => {
    actor.start();
    actor.send({ type: 'LOOK' });
    await settled();
    expect(asked()).to.equal('observe decide observe decide');
  });

  it('waits longer after each failure, and never in a hot loop', async () => {
    loop.stepsLeft = 1;
    loop.failure = 'refused';
    actor.start();
    await settled();
    expect(actor.getSnapshot().value).to.equal('backingOff');
    asked();
    actor.send({ type: 'LOOK' });
    await settled();
    expect(asked(), 'an event does not shorten the wait').to.equal('');
    const waits: number[] = [];
    for (let failure = 0; failure < 6; failure += 1) {
      let waitedMs = 0;
      while (loop.calls.length === 0) {
        clock.increment(100);
        waitedMs += 100;
        await settled();
      }
      waits.push(waitedMs);
      asked();
    }
    expect(waits).to.deep.equal([500, 1000, 2000, 4000, 8000, 10000]);
  });

  it('looks at once when the world has moved, but not for ever', async () => {
    loop.stepsLeft = 1;
    loop.failure = 'stale';
    actor.start();
    await settled();
    expect(asked().match(/apply/g)).to.have.length(5);
    expect(actor.getSnapshot().value).to.equal('backingOff');
  });
});
