import { expect } from 'chai';
import { GitFiles } from '../../src/adapters/git/files';
import { type GitRepository, type TreeEntry } from '../../src/adapters/git/repository';

const MARK = '# pgswarm.dev/\n';
const entryOf = (path: string): TreeEntry => ({ path, blob: path, mode: '100644' });

/** A repository with these files; a blob's name is its path. */
const repositoryOf = (contents: ReadonlyMap<string, string>): GitRepository =>
  ({
    files: () => Promise.resolve([...contents.keys()].map(entryOf)),
    read: (blobs: readonly string[], visit: (blob: string, content: Buffer) => void) => {
      for (const blob of blobs) visit(blob, Buffer.from(contents.get(blob) ?? ''));
      return Promise.resolve();
    },
  }) as unknown as GitRepository;

const { signal } = new AbortController();

describe('the files of a repository', () => {
  for (const blob of ['each its own', 'the same']) {
    it(`are not kept when they are more than memory is for: ${blob}`, async () => {
      const large = `${MARK}# ${'x'.repeat(1024 * 1024 - 100)}`;
      const contents = new Map(Array.from({ length: 17 }, (_, index) => [`${index}.yaml`, large]));
      const repository = repositoryOf(contents);
      const entries = [...contents.keys()].map(entryOf);
      const same = entries.map((entry) => ({ ...entry, blob: '0.yaml' }));
      repository.files = () => Promise.resolve(blob === 'the same' ? same : entries);
      const looking = new GitFiles(repository).at('head', new Set(), signal);
      const outcome = await looking.catch((error: unknown) => error);
      expect(outcome).to.have.property('code', 'GitTooManyFiles');
    });
  }

  it('may be as large as they like when they are not about us', async () => {
    const contents = new Map(
      Array.from({ length: 40 }, (_, index) => [`${index}.yaml`, 'x'.repeat(1024 * 1024)]),
    );
    expect(await new GitFiles(repositoryOf(contents)).at('head', new Set(), signal)).to.be.empty;
  });

  it('leave the leader its time between each two that are parsed', async () => {
    const contents = new Map(
      Array.from({ length: 20 }, (_, index) => [`${index}.yaml`, `${MARK}a: ${index}`]),
    );
    let turns = 0;
    let isOver = false;
    const count = (): void => {
      turns += 1;
      if (!isOver) setImmediate(count);
    };
    setImmediate(count);
    await new GitFiles(repositoryOf(contents)).at('head', new Set(), signal);
    isOver = true;
    expect(turns).to.be.at.least(20);
  });
});
