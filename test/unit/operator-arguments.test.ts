import { expect } from 'chai';
import { operatorCall } from '../../src/operator/arguments';

describe('pgswarm operator', () => {
  it('runs with its environment', () => {
    const call = operatorCall([], { PGSWARM_WATCH: '/etc/clusters' });
    expect(call).to.deep.equal({ kind: 'run', environment: { PGSWARM_WATCH: '/etc/clusters' } });
  });

  it('--watch stands for the variable, and before it', () => {
    const call = operatorCall(['--watch', '/srv'], { PGSWARM_WATCH: '/etc/clusters', A: 'b' });
    expect(call).to.deep.equal({ kind: 'run', environment: { PGSWARM_WATCH: '/srv', A: 'b' } });
  });

  it('--help says how it is used, and runs nothing', () => {
    expect(operatorCall(['--help'], {})).to.deep.equal({ kind: 'usage' });
  });

  for (const args of [['--wach', '/srv'], ['--watch'], ['/srv']]) {
    it(`refuses ${args.join(' ')} with its usage`, () => {
      expect(() => operatorCall(args, {})).to.throw(/Usage: pgswarm operator \[--watch DIR\]/);
    });
  }
});
