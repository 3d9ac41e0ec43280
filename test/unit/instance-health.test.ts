import { expect } from 'chai';
import { type PostgresReport, type Task } from '../../src/core/protocol';
import {
  judgeHealth,
  judgePrimary,
  judgeReplica,
  type Health,
} from '../../src/instance/health-server';
import { crashesInARow, restartDelayMs } from '../../src/instance/restart-pacing';

const both = { systemIdentifier: '7', timeline: 1, pendingRestart: [] };
const primary: PostgresReport = {
  state: 'primary',
  ...both,
  lsn: '0/A0',
  standbys: [],
  syncNames: '',
  isSyncInForce: true,
};
const standby = (status: string | null): PostgresReport => ({
  state: 'standby',
  ...both,
  receivedLsn: '0/B0',
  replayedLsn: '0/A0',
  upstreamLsn: null,
  receiver: status === null ? null : { status, host: 'pg1' },
});
const asPrimary: Task = {
  kind: 'primary',
  slots: [],
  checkpointFor: null,
  contract: null,
  sync: null,
  restartFor: null,
};
const wait: Task = { kind: 'wait', because: 'test' };

const health = (
  postgres: PostgresReport,
  task: Task | null,
  changes: Partial<Health> = {},
): Health => ({
  report: {
    cluster: 'orders',
    server: 'pg1',
    bootId: 'b',
    obeys: null,
    volume: { kind: 'empty' },
    postgres,
    busy: null,
    problem: null,
    checkpointedFor: null,
    taskId: null,
    promiseLeftMs: null,
    isLeaving: false,
    restartedFor: null,
    archive: null,
    backup: null,
    prospect: null,
    restored: null,
    backups: [],
    rehearsal: null,
    dataVolume: null,
    divergence: null,
  },
  task,
  contactAgeMs: 0,
  heartAgeMs: 0,
  leaseLeftMs: null,
  ...changes,
});

describe('health', () => {
  const starting: PostgresReport = { state: 'starting', recoveryBytes: null };
  const rows = [
    { name: 'runs as it should', of: judgeHealth(health(primary, asPrimary)), ok: true },
    { name: 'does not run and should', of: judgeHealth(health(starting, asPrimary)), ok: false },
    { name: 'does not run and need not', of: judgeHealth(health(starting, wait)), ok: true },
    {
      name: 'has a heart that is stuck',
      of: judgeHealth(health(primary, asPrimary, { heartAgeMs: 60_000 })),
      ok: false,
    },
    { name: 'is the primary', of: judgePrimary(health(primary, asPrimary)), ok: true },
    {
      name: 'is a primary without an assignment',
      of: judgePrimary(health(primary, null)),
      ok: false,
    },
    {
      name: 'is to become primary',
      of: judgePrimary(health(standby('streaming'), asPrimary)),
      ok: false,
    },
    { name: 'streams', of: judgeReplica(health(standby('streaming'), wait), null), ok: true },
    {
      name: 'lags as far as it may',
      of: judgeReplica(health(standby('streaming'), wait), 16),
      ok: true,
    },
    { name: 'lags too far', of: judgeReplica(health(standby('streaming'), wait), 15), ok: false },
    { name: 'does not stream', of: judgeReplica(health(standby(null), wait), null), ok: false },
    {
      name: 'is a primary and no replica',
      of: judgeReplica(health(primary, asPrimary), null),
      ok: false,
    },
  ];
  for (const { name, of, ok } of rows) {
    it(`${ok ? 'is good' : 'is bad'} for one that ${name}`, () => {
      expect(of.ok, of.reason).to.equal(ok);
    });
  }
});

describe('starting again after a crash', () => {
  /** Each number: how long the server had run before it crashed. */
  const rows = [
    { name: 'the first time at once', runs: [500], delayMs: 0 },
    { name: 'the second time in a row a little later', runs: [500, 0], delayMs: 1000 },
    { name: 'then ever later', runs: [500, 0, 9000, 0], delayMs: 4000 },
    { name: 'but not later than a bound', runs: Array<number>(20).fill(0), delayMs: 30_000 },
    { name: 'at once when it had run for a while', runs: [500, 0, 0, 12_000], delayMs: 0 },
    { name: 'in a row when it never ran', runs: [20_000, -Infinity], delayMs: 1000 },
  ];
  for (const { name, runs, delayMs } of rows) {
    it(name, () => {
      const crashes = runs.reduce((before, ranMs) => crashesInARow(before, ranMs), 0);
      expect(restartDelayMs(crashes)).to.equal(delayMs);
    });
  }
});
