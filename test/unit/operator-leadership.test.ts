import { expect } from 'chai';
import sinon from 'sinon';
import { createLogger } from 'winston';
import { OperatingError } from '../../src/core/errors';
import { LEADER_RECORD } from '../../src/core/names';
import { type Store } from '../../src/core/ports';
import { type LeaderRecord } from '../../src/core/leadership';
import { Leadership } from '../../src/operator/leadership';
import { MemoryStore, through, type Connection } from '../support/memory-store';

/** One operator with its own way to the store, and what it was told. */
interface Operator {
  readonly leadership: Leadership;
  readonly connection: Connection;
  readonly told: string[];
  /** What it was told of its predecessor's leases, each time that it was to lead. */
  readonly areLeasesOver: boolean[];
}

describe('an operator’s leadership', () => {
  let time: sinon.SinonFakeTimers;
  let store: MemoryStore;
  let operators: Operator[];

  beforeEach(() => {
    time = sinon.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] });
    store = new MemoryStore();
    operators = [];
  });

  afterEach(async () => {
    const released = Promise.all(operators.map(({ leadership }) => leadership.release()));
    await time.tickAsync(10_000);
    await released;
    time.restore();
  });

  function start(name: string, own?: Store): Operator {
    const connection: Connection = { state: 'open' };
    const told: string[] = [];
    const areLeasesOver: boolean[] = [];
    const leadership = new Leadership({
      store: own ?? through(store, connection),
      clock: { monotonicMs: () => performance.now(), now: () => new Date(0) },
      log: createLogger({ silent: true }),
      self: { holder: name, address: `${name}:7700`, node: `node-${name}` },
      onLead: (epoch, areOver) => {
        told.push(`leads ${epoch}`);
        areLeasesOver.push(areOver);
      },
      onLose: () => told.push('loses'),
    });
    leadership.start();
    const operator = { leadership, connection, told, areLeasesOver };
    operators.push(operator);
    return operator;
  }

  const record = async (): Promise<LeaderRecord> =>
    (await store.read<LeaderRecord>(LEADER_RECORD))!.value;

  it('is given to one of two that start together, and kept', async () => {
    const [a, b] = [start('a'), start('b')];
    await time.tickAsync(30_000);
    expect([a.told, b.told]).to.deep.equal([['leads 1'], []]);
    expect([a.leadership.isLeading(), b.leadership.isLeading()]).to.deep.equal([true, false]);
    expect(b.leadership.leaderAddress()).to.equal('a:7700');
    expect((await record()).counter).to.be.within(14, 16);
  });

  it('goes to the other one at once when it is released', async () => {
    const [a, b] = [start('a'), start('b')];
    await time.tickAsync(3_000);
    await a.leadership.release();
    expect(a.told).to.deep.equal(['leads 1', 'loses']);
    await time.tickAsync(600);
    expect(b.told).to.deep.equal(['leads 2']);
  });

  it('goes to the operator that it was handed to, though another one looks earlier', async () => {
    const [a, b] = [start('a'), start('b')];
    await time.tickAsync(100);
    const c = start('c');
    await time.tickAsync(3_000);
    a.leadership.handOver('node-c', () => true);
    await time.tickAsync(2_600);
    expect(a.told).to.deep.equal(['leads 1', 'loses']);
    expect([b.told, c.told]).to.deep.equal([[], ['leads 2']]);
    expect(a.leadership.leaderAddress()).to.equal('c:7700');
  });

  it('is kept when it is not quiet any more by the time it would be handed over', async () => {
    const a = start('a');
    await time.tickAsync(3_000);
    a.leadership.handOver('node-c', () => false);
    await time.tickAsync(5_000);
    expect(a.told).to.deep.equal(['leads 1']);
  });

  it('counts leases as running after a take-over whose answer was lost', async () => {
    const a = start('a');
    await time.tickAsync(3_000);
    // The first write of the successor is done, and it hears nothing of it.
    let isLost = false;
    const lossy: Store = {
      ...through(store, { state: 'open' }),
      update: async (record, value) => {
        const written = await store.update(record, value);
        if (isLost) return written;
        isLost = true;
        throw new OperatingError('transient', 'AnswerLost', 'the answer was lost');
      },
    };
    const b = start('b', lossy);
    await a.leadership.release();
    await time.tickAsync(3_000);
    expect(b.told).to.deep.equal(['leads 3']);
    expect(b.areLeasesOver).to.deep.equal([false]);
  });

  it('is not lost when there is nobody to hand it to', async () => {
    const a = start('a');
    await time.tickAsync(3_000);
    a.leadership.handOver('node-c', () => true);
    await time.tickAsync(5_000);
    expect(a.told).to.deep.equal(['leads 1', 'loses', 'leads 2']);
  });

  it('ends 6 s after the last renewal when the store is silent, before another one has it', async () => {
    const [a, b] = [start('a'), start('b')];
    await time.tickAsync(2_500);
    a.connection.state = 'silent';
    await time.tickAsync(5_400);
    expect(a.leadership.isLeading()).to.equal(true);
    await time.tickAsync(200);
    expect(a.told).to.deep.equal(['leads 1', 'loses']);
    expect(b.told).to.deep.equal([]);
    await time.tickAsync(2_000);
    expect(b.told).to.deep.equal(['leads 2']);
    a.connection.state = 'open';
    await time.tickAsync(5_000);
    expect(a.leadership.leaderAddress()).to.equal('b:7700');
  });

  it('comes back, in a new epoch, when Raft has answered nobody for 20 s', async () => {
    const [a, b] = [start('a'), start('b')];
    await time.tickAsync(3_000);
    for (const { connection } of operators) connection.state = 'silent';
    await time.tickAsync(20_000);
    expect([a, b].map(({ leadership }) => leadership.isLeading())).to.deep.equal([false, false]);
    for (const { connection } of operators) connection.state = 'open';
    await time.tickAsync(4_000);
    expect([a, b].filter(({ leadership }) => leadership.isLeading())).to.have.length(1);
    expect((await record()).epoch).to.equal(2);
  });

  it('survives a renewal whose answer was lost: the record is still its own', async () => {
    const a = start('a');
    await time.tickAsync(1_000);
    a.connection.state = 'deaf';
    await time.tickAsync(2_500);
    a.connection.state = 'open';
    await time.tickAsync(10_000);
    expect(a.told).to.deep.equal(['leads 1']);
    expect(a.leadership.isLeading()).to.equal(true);
  });

  it('is over for a process that was frozen, before any of its timers has run', async () => {
    const a = start('a');
    await time.tickAsync(1_000);
    expect(a.leadership.isLeading()).to.equal(true);
    time.setSystemTime(0);
    time.jump(60_000);
    expect(a.leadership.leftMs()).to.equal(0);
  });
});
