/** The operator's copy of a repository, when it or its last writer was broken. */
import { expect } from 'chai';
import { mkdtempSync, readdirSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { GitRepository } from '../../src/adapters/git/repository';
import { parseGitSettings } from '../../src/core/git/settings';
import { failureOf } from '../support/failure';
import { Colleague, git, makeRepository } from './support/git-server';

describe('the copy of a Git repository', function () {
  this.timeout(60_000);
  const { signal } = new AbortController();
  let folder: string;
  let cache: string;
  let bare: string;
  let jane: Colleague;
  let copy: GitRepository;

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'pgswarm-copy-'));
    bare = join(folder, 'fleet.git');
    cache = join(folder, 'cache');
    makeRepository(bare);
    jane = new Colleague(bare, join(folder, 'jane'));
    const parsed = parseGitSettings({ PGSWARM_GIT_REPOSITORY: bare });
    if (parsed.kind !== 'settings') throw new Error(JSON.stringify(parsed));
    copy = new GitRepository(parsed.settings, { cache, run: join(folder, 'run') });
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true, maxRetries: 10 }));

  /** Every object of the copy, as a disk that was full leaves them. */
  const breakObjects = (): void => {
    const objects = join(cache, 'objects');
    for (const name of readdirSync(objects, { recursive: true, withFileTypes: true })) {
      if (name.isFile()) truncateSync(join(name.parentPath, name.name), 3);
    }
  };

  // A lock that outlived its process stood in the way of `failback: adopt` for ever.
  it('commits whatever a killed commit has left behind', async () => {
    jane.write('orders.yaml', 'primary: pg1\n').push('Begin');
    const { id: head } = await copy.fetch(signal);
    writeFileSync(join(cache, 'pgswarm.index'), 'half an index');
    writeFileSync(join(cache, 'pgswarm.index.lock'), '');
    const [entry] = await copy.files(head, signal);
    const change = { head, entry: entry!, text: 'primary: pg2\n', message: 'Adopt' };
    await copy.replace(change, signal);
    expect(git(bare, 'show', 'main:orders.yaml')).to.equal('primary: pg2');
  });

  // "It does not descend" is "the history was written anew" to the reader: a broken copy knows neither.
  it('says that it cannot tell what descends from what, and is made anew', async () => {
    const first = jane.write('orders.yaml', 'primary: pg1\n').push('Begin');
    const { id } = await copy.fetch(signal);
    expect(await copy.descends(id, first, signal)).to.equal(true);
    expect(await copy.descends(id, '1'.repeat(40), signal)).to.equal(false);
    breakObjects();
    expect(await failureOf(copy.descends(id, first, signal))).to.have.property('code', 'GitFailed');
    expect((await copy.fetch(signal)).id).to.equal(id);
    expect(await copy.descends(id, first, signal)).to.equal(true);
  });

  it('is made anew when what it holds cannot be read, or nothing is left of it', async () => {
    jane.write('orders.yaml', 'primary: pg1\n').push('Begin');
    const { id } = await copy.fetch(signal);
    const ways = [breakObjects, () => rmSync(join(cache, 'HEAD'))];
    for (const broken of ways) {
      broken();
      expect(await failureOf(copy.files(id, signal))).to.have.property('code', 'GitFailed');
      await copy.fetch(signal);
      expect(await copy.files(id, signal)).to.have.length(1);
    }
  });
});
