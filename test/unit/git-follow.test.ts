import { expect } from 'chai';
import {
  moveOf,
  type GitFile,
  type Head,
  type KnownCluster,
  type Move,
} from '../../src/core/git/follow';
import { type Followed } from '../../src/core/git/source';

const at = (minute: number): string => `2026-01-01T00:${String(minute).padStart(2, '0')}:00.000Z`;
const commit = (id: string, minute: number): Head['commit'] => ({
  id: id.repeat(40),
  author: 'Jane',
  at: at(minute),
  subject: 'Change',
});

const file = (changes: Partial<GitFile> = {}): GitFile => ({
  path: 'orders.yaml',
  blob: 'two',
  cluster: 'orders',
  ...changes,
});

const head = (changes: Partial<Head> = {}): Head => ({
  repository: '/fleet.git',
  branch: 'main',
  path: '',
  commit: commit('b', 2),
  files: [file()],
  ...changes,
});

const TAKEN: Followed = {
  repository: '/fleet.git',
  branch: 'main',
  path: 'orders.yaml',
  blob: 'one',
  head: commit('a', 1),
  commit: commit('a', 1),
};

const known = (changes: Partial<KnownCluster> = {}): KnownCluster => ({
  cluster: 'orders',
  followed: TAKEN,
  isDescendant: true,
  deletionPolicy: 'retain',
  ...changes,
});

interface Case {
  readonly name: string;
  readonly head?: Partial<Head>;
  readonly known: KnownCluster | null;
  readonly is: Move['kind'];
  readonly says?: RegExp;
}

const sales = file({ path: 'sales.yaml', cluster: 'sales' });
const junk = file({ path: 'junk.yaml', cluster: null });

const CASES: readonly Case[] = [
  { name: 'a cluster that is new', known: null, is: 'take' },
  { name: 'a file that has changed', known: known(), is: 'take' },
  {
    name: 'a file that has not',
    head: { files: [file({ blob: 'one' })] },
    known: known(),
    is: 'settled',
  },
  {
    name: 'the same file under another name',
    head: { files: [file({ blob: 'one', path: 'db/orders.yaml' })] },
    known: known(),
    is: 'take',
  },
  {
    name: 'a cluster that was applied by hand so far',
    known: known({ followed: null }),
    is: 'take',
  },
  {
    name: 'an old copy of the repository',
    head: { commit: commit('0', 0) },
    known: known({ isDescendant: false }),
    is: 'hold',
    says: /commit 0000000 by Jane, which is older than aaaaaaa.*git revert aaaaaaa/,
  },
  {
    name: 'an old copy without the file',
    head: { commit: commit('0', 0), files: [sales] },
    known: known({ isDescendant: false, deletionPolicy: 'delete' }),
    is: 'hold',
    says: /older/,
  },
  {
    name: 'another commit of the same second',
    head: { commit: commit('0', 1) },
    known: known({ isDescendant: false }),
    is: 'hold',
    says: /older/,
  },
  {
    name: 'a history that was written anew',
    known: known({ isDescendant: false }),
    is: 'take',
    says: /written anew: bbbbbbb does not descend from aaaaaaa/,
  },
  {
    name: 'a history that was written anew, with the same file',
    head: { files: [file({ blob: 'one' })] },
    known: known({ isDescendant: false }),
    is: 'take',
    says: /written anew/,
  },
  {
    name: 'another repository',
    head: { repository: '/other.git' },
    known: known({ isDescendant: false }),
    is: 'take',
    says: /main of \/other\.git is followed now/,
  },
  {
    name: 'a file that is gone',
    head: { files: [sales] },
    known: known(),
    is: 'hold',
    says: /orders\.yaml is gone from main at bbbbbbb: the cluster goes on/,
  },
  {
    name: 'a file that is gone, of a cluster that is to go with it',
    head: { files: [sales] },
    known: known({ deletionPolicy: 'delete' }),
    is: 'delete',
    says: /its volumes are kept/,
  },
  {
    name: 'the same in a history that was written anew',
    head: { files: [sales] },
    known: known({ deletionPolicy: 'delete', isDescendant: false }),
    is: 'hold',
    says: /goes on/,
  },
  {
    name: 'the same after another path was set, below which the file was never looked for',
    head: { path: 'prod', files: [file({ path: 'prod/sales.yaml', cluster: 'sales' })] },
    known: known({ deletionPolicy: 'delete' }),
    is: 'hold',
    says: /goes on/,
  },
  {
    name: 'the same in another branch',
    head: { branch: 'next', files: [sales] },
    known: known({ deletionPolicy: 'delete' }),
    is: 'hold',
    says: /goes on/,
  },
  {
    name: 'the same beside a file that cannot be read',
    head: { files: [junk, sales] },
    known: known({ deletionPolicy: 'delete' }),
    is: 'hold',
    says: /goes on/,
  },
  {
    name: 'all files gone',
    head: { files: [] },
    known: known({ deletionPolicy: 'delete' }),
    is: 'hold',
    says: /is the path right\?/,
  },
  {
    name: 'a file that cannot be read any more',
    head: { files: [file({ cluster: null }), sales] },
    known: known({ deletionPolicy: 'delete' }),
    is: 'refuse',
  },
  {
    name: 'a file that is about another cluster now',
    head: { files: [file({ cluster: 'sales' })] },
    known: known(),
    is: 'hold',
    says: /goes on/,
  },
  {
    name: 'a cluster that was never in Git',
    head: { files: [sales] },
    known: known({ followed: null, deletionPolicy: 'delete' }),
    is: 'settled',
  },
  {
    name: 'two files about one cluster',
    head: { files: [file({ path: 'a.yaml' }), file({ path: 'b.yaml' })] },
    known: known(),
    is: 'refuse',
    says: /declared 2 times, in a\.yaml and in b\.yaml/,
  },
];

describe('following a branch', () => {
  for (const each of CASES) {
    it(`${each.is}: ${each.name}`, () => {
      const move = moveOf(head(each.head), 'orders', each.known);
      expect(move.kind).to.equal(each.is);
      const said = 'because' in move ? move.because : 'remark' in move ? move.remark : null;
      if (each.says === undefined) expect(said).to.equal(null);
      else expect(said).to.match(each.says);
    });
  }
});
