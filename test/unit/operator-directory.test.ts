/**
 * Story: after all operators had been replaced, an instance went on asking their old addresses for
 * ever. Its name resolver had stopped answering, and the one lookup in flight was waited for.
 */
import { expect } from 'chai';
import sinon from 'sinon';
import { type Resolve } from '../../src/adapters/control/name-server';
import { OperatorDirectory } from '../../src/adapters/control/operator-directory';

describe('the directory of operators', () => {
  const sandbox = sinon.createSandbox();
  afterEach(() => sandbox.restore());

  it('finds new addresses after a lookup that was never answered', async () => {
    const clock = sandbox.useFakeTimers();
    const answers: (readonly string[] | 'never')[] = [['10.0.0.1'], 'never', ['10.0.0.2']];
    const resolve: Resolve = () => {
      const answer = answers.shift() ?? [];
      return answer === 'never' ? new Promise(() => undefined) : Promise.resolve(answer);
    };
    const directory = new OperatorDirectory('operators', 7700, resolve);
    expect(await directory.endpoints()).to.deep.equal([{ host: '10.0.0.1', port: 7700 }]);
    for (let second = 0; second < 15; second += 1) {
      await directory.endpoints();
      await clock.tickAsync(1_000);
    }
    expect(await directory.endpoints()).to.deep.equal([{ host: '10.0.0.2', port: 7700 }]);
  });
});
