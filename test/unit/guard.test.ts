/** The guard with programs that only stand for PostgreSQL: they work in its data directory. */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { createLogger } from 'winston';
import { startGuard, type Guard } from '../../src/instance/guard';

const log = createLogger({ silent: true });

describe('guard', function () {
  this.timeout(20_000);

  const started: ChildProcess[] = [];
  // Each has its own: a guard may still be looking for more when the last process is gone.
  let directory: string;
  let guard: Guard;
  let onReady: () => void = () => undefined;

  const ready = async (): Promise<void> => {
    if (!guard.isAlive) await new Promise<void>((resolve) => (onReady = resolve));
  };

  function start(cwd: string): ChildProcess {
    const child = spawn('sleep', ['1000'], { cwd, detached: true, stdio: 'ignore' });
    started.push(child);
    return child;
  }

  /** When it was killed. */
  async function killed(child: ChildProcess): Promise<number> {
    const [, signal] = (await once(child, 'exit')) as [unknown, unknown];
    expect(signal).to.equal('SIGKILL');
    return performance.now();
  }

  beforeEach(async () => {
    directory = mkdtempSync(join(tmpdir(), 'pgswarm-guard-'));
    guard = startGuard({ directory, log, onEnd: () => undefined, onReady: () => onReady() });
    expect(guard.isAlive).to.equal(false);
    await ready();
  });

  afterEach(() => {
    guard.close();
    expect(guard.isAlive).to.equal(false);
    for (const child of started.splice(0)) child.kill('SIGKILL');
    rmSync(directory, { recursive: true });
  });

  it('kills at the deadline that it was given last, and only what is in the directory', async () => {
    const [inside, elsewhere] = [start(directory), start(tmpdir())];
    const deadlineMs = performance.now() + 400;
    guard.hold(performance.now() + 100);
    guard.hold(deadlineMs);
    expect(await killed(inside)).to.be.at.least(deadlineMs);
    expect(elsewhere.signalCode).to.equal(null);
  });

  it('kills nothing that was released', async () => {
    const child = start(directory);
    guard.hold(performance.now() + 100);
    guard.release();
    const deadlineMs = performance.now() + 400;
    // What is told is obeyed in order: nothing was left of the first deadline.
    setTimeout(() => guard.hold(deadlineMs), 200);
    expect(await killed(child)).to.be.at.least(deadlineMs);
  });

  it('never acts on a deadline that never comes', async () => {
    const child = start(directory);
    guard.hold(Infinity);
    const deadlineMs = performance.now() + 200;
    setTimeout(() => guard.hold(deadlineMs), 100);
    expect(await killed(child)).to.be.at.least(deadlineMs);
  });

  it('kills at once when the deadline is over, and the next time too', async () => {
    for (const deadlineMs of [0, 0, -Infinity]) {
      const child = start(directory);
      guard.hold(deadlineMs);
      await killed(child);
      guard.release();
    }
  });
});
