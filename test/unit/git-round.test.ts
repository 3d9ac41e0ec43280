import { expect } from 'chai';
import { type ReadFile } from '../../src/adapters/git/files';
import { OperatingError } from '../../src/core/errors';
import { type Commit } from '../../src/core/git/source';
import { type Spec } from '../../src/core/spec';
import {
  homelessTrouble,
  lookAround,
  type Fate,
  type RoundPorts,
} from '../../src/operator/git-round';

const COMMIT: Commit = {
  id: 'a'.repeat(40),
  author: 'Jane',
  at: '2026-01-01T00:00:00.000Z',
  subject: 'Change',
};

const fileOf = (cluster: string): ReadFile => ({
  path: `${cluster}.yaml`,
  blob: cluster,
  mode: '100644',
  cluster,
  text: '',
  document: { cluster },
  findings: [],
});

/** The clusters `large` and `small`, each in a file of its own; the store does not keep the first. */
function portsOf(refusal: OperatingError): RoundPorts {
  const repository = {
    fetch: () => Promise.resolve(COMMIT),
    descends: () => Promise.resolve(true),
    lastChange: () => Promise.resolve(COMMIT),
  };
  return {
    settings: { repository: '/fleet.git', branch: 'main', path: '' } as RoundPorts['settings'],
    repository: repository as unknown as RoundPorts['repository'],
    files: {
      at: () => Promise.resolve(['large', 'small'].map(fileOf)),
    } as unknown as RoundPorts['files'],
    records: () => Promise.resolve([]),
    validate: (document) => Promise.resolve({ spec: document as Spec, document, findings: [] }),
    accept: ({ spec }) =>
      spec.cluster === 'large'
        ? Promise.reject(refusal)
        : Promise.resolve({ outcome: 'created', generation: 1 }),
    remove: () => Promise.resolve(),
    note: () => Promise.resolve(),
  };
}

const look = async (refusal: OperatingError): ReturnType<typeof lookAround> =>
  lookAround(portsOf(refusal), new AbortController().signal);

describe('a look at the branch', () => {
  it('takes the other files when the store refuses one', async () => {
    const { fates } = await look(
      new OperatingError('refused', 'RecordTooLarge', 'it is too large'),
    );
    expect(fates.map(({ path, outcome }) => `${path} ${outcome}`)).to.deep.equal([
      'large.yaml refused',
      'small.yaml applied',
    ]);
    expect(fates[0]?.message).to.match(/too large/);
  });

  it('tells of some files that are nobody’s, however many there are', () => {
    const stray = (index: number): Fate => ({
      cluster: null,
      path: `${index}.yaml`,
      outcome: 'refused',
      generation: null,
      message: `junk ${index}`,
      trouble: null,
    });
    expect(homelessTrouble([stray(1)], [])?.message).to.equal('junk 1');
    const many = Array.from({ length: 10_000 }, (_, index) => stray(index));
    expect(homelessTrouble(many, [])?.message).to.match(
      /^junk 0; .*; junk 9; and 9990 more files$/,
    );
    expect(homelessTrouble([{ ...stray(1), cluster: 'orders' }], ['orders'])).to.equal(null);
  });

  it('is done again when somebody else has written', async () => {
    const outrun = new OperatingError('stale', 'CommitOutrun', 'another commit was taken');
    expect(await look(outrun).catch((error: unknown) => error)).to.equal(outrun);
  });
});
