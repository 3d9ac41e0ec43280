import { expect } from 'chai';
import { createLogger } from 'winston';
import { GitFollower } from '../../src/operator/git-follower';
import { type Round } from '../../src/operator/git-round';

const ROUND = { commit: { id: 'a'.repeat(40) }, fates: [], files: [], records: [] };

describe('whoever follows a branch', () => {
  it('looks when it is asked, but is not kept busy by somebody who asks all the time', async () => {
    let looks = 0;
    let onLook = (): void => undefined;
    const follower = new GitFollower({
      log: createLogger({ silent: true }),
      pollMs: 600_000,
      look: () => {
        looks += 1;
        onLook();
        return Promise.resolve(ROUND as unknown as Round);
      },
      adopt: () => Promise.resolve({ isMoved: false, troubles: new Map() }),
      troubled: () => undefined,
      seen: () => undefined,
      report: () => undefined,
    });
    const begunMs = performance.now();
    follower.start();
    try {
      await new Promise<void>((resolve) => {
        onLook = () => {
          if (looks === 3) resolve();
        };
        const ask = (): void => {
          follower.look();
          if (looks < 3) setImmediate(ask);
        };
        ask();
      });
    } finally {
      follower.stop();
    }
    expect(performance.now() - begunMs).to.be.above(950);
  });
});
