/** The store against a real Swarm manager: DOCKER_HOST must name one. */
import { expect } from 'chai';
import { randomBytes } from 'node:crypto';
import { createStore } from '../../src/adapters/swarm/store';
import { openDocker, requireManager } from '../../src/adapters/swarm/docker';
import { CLUSTER_LABEL } from '../../src/core/names';
import { type Store } from '../../src/core/ports';
import { failureOf } from '../support/failure';

describe('the store in Swarm', function () {
  this.timeout(30_000);
  let store: Store;
  const name = `pgswarm.test-${randomBytes(4).toString('hex')}.state`;

  before(async function () {
    if (process.env['DOCKER_HOST'] === undefined) {
      console.log('    skipped: DOCKER_HOST names no Swarm manager');
      this.skip();
    }
    const docker = openDocker();
    await requireManager(docker);
    store = createStore(docker);
  });

  afterEach(async () => {
    const left = await store.read(name);
    if (left !== null) await store.remove(left);
  });

  it('reads back what it has written, and nothing when there is nothing', async () => {
    expect(await store.read(name)).to.equal(null);
    const made = await store.create(name, { term: 1 });
    expect(await store.read(name)).to.deep.equal(made);
    const changed = await store.update(made, { term: 2 });
    expect(changed.version).to.be.greaterThan(made.version);
    expect((await store.read(name))?.value).to.deep.equal({ term: 2 });
    await store.remove(changed);
    expect(await store.read(name)).to.equal(null);
  });

  it('refuses a write on an old version, and a second record of the same name, as stale', async () => {
    const first = await store.create(name, { term: 1 });
    await store.update(first, { term: 2 });
    expect(await failureOf(store.update(first, { term: 3 }))).to.include({ kind: 'stale' });
    expect(await failureOf(store.create(name, { term: 1 }))).to.include({
      kind: 'stale',
      code: 'AlreadyExists',
    });
    expect((await store.read(name))?.value).to.deep.equal({ term: 2 });
  });

  it('lets exactly one of many writers through', async () => {
    const record = await store.create(name, { writer: -1 });
    const writers = Array.from({ length: 20 }, (_, writer) => store.update(record, { writer }));
    const results = await Promise.allSettled(writers);
    expect(results.filter(({ status }) => status === 'fulfilled')).to.have.length(1);
    const winner = results.findIndex(({ status }) => status === 'fulfilled');
    expect((await store.read(name))?.value).to.deep.equal({ writer: winner });
  });

  it('keeps the labels of a record through its changes, and lists it', async () => {
    const labels = { [CLUSTER_LABEL]: 'orders' };
    const made = await store.create(name, { term: 1 }, labels);
    const changed = await store.update(made, { term: 2 });
    expect(changed).to.have.property('labels').that.includes(labels);
    expect(await store.list()).to.deep.include(changed);
  });

  it('keeps 700 kB, and refuses what Swarm would not take', async () => {
    const made = await store.create(name, { text: 'x'.repeat(700_000) });
    expect((await store.read<{ text: string }>(name))?.value.text).to.have.length(700_000);
    const tooLarge = await failureOf(store.update(made, { text: 'x'.repeat(900_000) }));
    expect(tooLarge).to.include({ kind: 'refused', code: 'RecordTooLarge' });
  });

  it('treats a record that is gone as stale', async () => {
    const made = await store.create(name, { term: 1 });
    await store.remove(made);
    expect(await failureOf(store.update(made, { term: 2 }))).to.include({ kind: 'stale' });
  });

  it('writes in milliseconds', async () => {
    let record = await store.create(name, { count: 0 });
    const timesMs: number[] = [];
    for (let count = 1; count <= 100; count += 1) {
      const startedMs = performance.now();
      record = await store.update(record, { count });
      timesMs.push(performance.now() - startedMs);
    }
    const [median, p95] = [0.5, 0.95].map(
      (share) => timesMs.toSorted((a, b) => a - b)[100 * share]!,
    );
    console.log(
      `      compare-and-set: median ${median!.toFixed(1)} ms, p95 ${p95!.toFixed(1)} ms`,
    );
    expect(median).to.be.lessThan(200);
  });
});
