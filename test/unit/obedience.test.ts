import { expect } from 'chai';
import { type Assignment } from '../../src/core/protocol';
import { disobedience } from '../../src/instance/obedience';

const assignment = (changes: Partial<Assignment> = {}): Assignment => ({
  cluster: 'orders',
  server: 'pg1',
  leaderEpoch: 5,
  term: 3,
  task: { kind: 'wait', because: 'test' },
  settings: {
    parameters: {},
    hba: [],
    subnet: '10.0.200.0/24',
    database: 'app',
    owner: 'app',
    archive: { compression: 'zstd', timeoutMs: 300_000 },
    retention: { keep: null, maxAgeMs: null },
  },
  reportEveryMs: 1000,
  ttlMs: 5000,
  rollCall: null,
  others: [],
  backup: null,
  rehearsal: null,
  prospect: null,
  ...changes,
});

const rows: readonly {
  readonly name: string;
  readonly received: Partial<Assignment>;
  readonly first?: boolean;
  readonly because?: string;
}[] = [
  { name: 'the first one', received: { term: 0, leaderEpoch: 0 }, first: true },
  { name: 'the same again', received: {} },
  { name: 'a new term', received: { term: 4 } },
  { name: 'a new leader', received: { leaderEpoch: 6 } },
  { name: 'an older term', received: { term: 2 }, because: 'its term 2 is over' },
  {
    name: 'an older term of a newer leader',
    received: { term: 2, leaderEpoch: 9 },
    because: 'term 2',
  },
  { name: 'an older leader', received: { leaderEpoch: 4 }, because: '(epoch 4) was replaced' },
  {
    name: 'an older leader with a newer term',
    received: { leaderEpoch: 4, term: 9 },
    because: 'epoch 4',
  },
  { name: 'one for another server', received: { server: 'pg2' }, because: 'it is for pg2' },
  { name: 'one for another cluster', received: { cluster: 'x' }, first: true, because: 'of x' },
];

describe('an assignment', () => {
  for (const { name, received, first = false, because = null } of rows) {
    it(`is ${because === null ? 'obeyed' : 'ignored'}: ${name}`, () => {
      const found = disobedience(assignment(received), first ? null : assignment(), assignment());
      if (because === null) expect(found).to.equal(null);
      else expect(found).to.include(because);
    });
  }
});
