import { expect } from 'chai';
import { gitFailure, isLocalFault } from '../../src/adapters/git/failures';
import { runGit } from '../../src/adapters/git/git';

describe('a git command', () => {
  it('is not begun for somebody who has given up', async () => {
    const seen: Buffer[] = [];
    const options = {
      environment: {},
      signal: AbortSignal.abort(),
      onOutput: seen.push.bind(seen),
    };
    const outcome = await runGit(['--version'], options).catch((error: unknown) => error);
    expect(outcome).to.have.property('name', 'AbortError');
    expect(seen).to.deep.equal([]);
  });

  it('that finds the lock of one that was killed wants a new copy', () => {
    const text = `error: cannot lock ref 'refs/remotes/origin/main': Unable to create '/c/main.lock': File exists.`;
    expect(isLocalFault(gitFailure('fetch', text))).to.equal(true);
  });

  it('that the network has failed does not', () => {
    const text = 'fatal: unable to access: Connection refused';
    expect(isLocalFault(gitFailure('fetch', text))).to.equal(false);
  });
});
