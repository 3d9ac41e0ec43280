import { expect } from 'chai';
import { backupTrouble } from '../../src/core/backup/recent';
import { calledOff, type BackupResult } from '../../src/core/backup/task';

const NOW = '2026-01-01T12:00:00.000Z';
const result = (problem: string | null): BackupResult => ({
  id: 'b1',
  server: 'pg2',
  at: '2026-01-01T02:00:00.000Z',
  problem,
});

const rows: readonly {
  readonly name: string;
  readonly last: BackupResult | null;
  readonly dueAt?: readonly string[];
  readonly says: RegExp | null;
}[] = [
  { name: 'there never was one, and none is scheduled', last: null, says: null },
  { name: 'the last one is whole', last: result(null), says: null },
  {
    name: 'the last one failed',
    last: result('no room'),
    says: /^BackupFailed: .*b1 on pg2.*no room/,
  },
  { name: 'the last one was not wanted any more', last: result(calledOff('ada')), says: null },
  {
    name: 'one is due in a while, another for a moment',
    last: null,
    dueAt: ['2026-01-02T02:00:00.000Z', '2026-01-01T11:00:00.001Z'],
    says: null,
  },
  {
    name: 'one is due for an hour',
    last: result(null),
    dueAt: ['2026-01-02T02:00:00.000Z', '2026-01-01T11:00:00.000Z', '2026-01-01T11:30:00.000Z'],
    says: /^BackupOverdue: .*since 2026-01-01T11:00/,
  },
];

describe('a recent backup', () => {
  for (const { name, last, dueAt = [], says } of rows) {
    it(name, () => {
      const trouble = backupTrouble(last, dueAt, NOW);
      if (says === null) expect(trouble).to.equal(null);
      else expect(`${trouble?.reason ?? ''}: ${trouble?.message ?? ''}`).to.match(says);
    });
  }
});
