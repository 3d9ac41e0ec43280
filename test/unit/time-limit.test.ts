/** A watch that no leader answered was never given up: its time limit had been collected as garbage. */
import { expect } from 'chai';
import { once } from 'node:events';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { timeLimit } from '../../src/adapters/time-limit';

const collectGarbage = (): void => {
  setFlagsFromString('--expose-gc');
  (runInNewContext('gc') as () => void)();
};

describe('a time limit beside other signals', () => {
  it('strikes, though nobody holds it', async () => {
    const struck = once(timeLimit(100, new AbortController().signal), 'abort');
    // What was referred to weakly in this turn of the loop is kept until its end.
    await new Promise(setImmediate);
    collectGarbage();
    const late = new Promise<'late'>((resolve) => setTimeout(resolve, 1_500, 'late'));
    const first = await Promise.race([struck, late]);
    expect((first as readonly Event[])[0]).to.have.nested.property(
      'target.reason.name',
      'TimeoutError',
    );
  });

  it('ends with the first of the signals', () => {
    const [one, other] = [new AbortController(), new AbortController()];
    const limited = timeLimit(60_000, one.signal, other.signal);
    other.abort('hung up');
    expect(limited.reason).to.equal('hung up');
  });
});
